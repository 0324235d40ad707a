package tracecontext

import (
	"fmt"
	"strconv"
	"strings"
)

// ParseError is the error of [ParseTraceparent] and [ParseTracestate]. It names
// the first rule of Trace Context Level 2 that the input breaks, from left to
// right, and where.
//
//	var invalid *tracecontext.ParseError
//	if errors.As(err, &invalid) {
//		log.Print(invalid.Position(), invalid.Rule())
//	}
type ParseError struct {
	text  string // the header field
	field int
	// fault of a traceparent has no rule: it is looked for when somebody asks,
	// because most errors are only compared with nil.
	fault fault
}

// fault is the place where a rule is broken.
type fault struct {
	position int
	rule     *rule
}

type rule struct {
	text    string
	section string
	found   bool // the text goes on with what is found instead
}

// Field returns the index of the header field in the arguments of
// [ParseTracestate]. For a traceparent it is 0.
func (e *ParseError) Field() int { return e.field }

// Position returns the offset in the header field, in bytes from 0. If the field
// ends too early, it is the length of the field.
func (e *ParseError) Position() int { return e.located().position }

// Rule returns the rule as a sentence, without a full stop.
func (e *ParseError) Rule() string {
	f := e.located()
	if !f.rule.found {
		return f.rule.text
	}
	c := e.text[f.position]
	if c < 0x20 || c > 0x7e {
		return fmt.Sprintf("%s, not byte 0x%02x", f.rule.text, c)
	}
	return fmt.Sprintf("%s, not %q", f.rule.text, c)
}

// Section returns the title of the section of Trace Context Level 2 that has the
// rule.
func (e *ParseError) Section() string { return e.located().rule.section }

// Error returns the place, the beginning of the text that is wrong, and the rule.
func (e *ParseError) Error() string {
	position := strconv.Itoa(e.Position())
	if e.fault.rule == nil {
		return "traceparent " + quote(e.text) + ", position " + position + ": " + e.Rule()
	}
	start := strings.LastIndexByte(e.text[:e.fault.position], ',') + 1
	member := strings.TrimLeft(e.text[start:], " \t")
	return "tracestate field " + strconv.Itoa(e.field+1) + ", position " + position + ", in " + quote(member) + ": " + e.Rule()
}

func (e *ParseError) located() fault {
	if e.fault.rule == nil {
		return traceparentFault(e.text)
	}
	return e.fault
}

// quote keeps error texts short whatever was received.
func quote(s string) string {
	const most = 64
	if len(s) > most {
		return strconv.Quote(s[:most]) + "..."
	}
	return strconv.Quote(s)
}

// traceparentFields is the layout that [parseTraceparent] expects.
var traceparentFields = [...]struct {
	name       string
	start, end int
}{
	{"version", 0, 2},
	{"trace-id", traceIDStart, 35},
	{"parent-id", parentIDStart, 52},
	{"trace-flags", flagsStart, traceparentLen},
}

// traceparentFault goes through a traceparent that is not valid from left to right.
func traceparentFault(s string) fault {
	for _, f := range traceparentFields {
		for i := f.start; i < f.end; i++ {
			if i >= len(s) {
				return fault{len(s), &rule{text: fmt.Sprintf("the header ends inside %s, which needs %d hex digits", f.name, f.end-f.start), section: f.name}}
			}
			if hexValue[s[i]] == notHexValue {
				return fault{i, &rule{text: f.name + " must be lower-case hex digits", section: f.name, found: true}}
			}
		}
		switch text := s[f.start:f.end]; {
		case f.name == "version" && text == "ff":
			return fault{f.start, &rule{text: "version ff is invalid", section: f.name}}
		case strings.HasSuffix(f.name, "-id") && strings.Trim(text, "0") == "":
			return fault{f.start, &rule{text: f.name + " must not be all zero", section: f.name}}
		case f.end == traceparentLen:
		case f.end >= len(s):
			return fault{len(s), &rule{text: "the header ends after " + f.name, section: "traceparent Header Field Values"}}
		case s[f.end] != '-':
			return fault{f.end, &rule{text: "a dash must follow " + f.name, section: "traceparent Header Field Values", found: true}}
		}
	}
	if strings.HasPrefix(s, "00") {
		return fault{traceparentLen, &rule{text: "version 00 ends after trace-flags, at 55 characters", section: "version-format"}}
	}
	return fault{traceparentLen, &rule{text: "in a higher version a dash or the end must follow trace-flags", section: "Versioning of traceparent", found: true}}
}

// The rules of a tracestate.
var (
	ruleMembers    = rule{text: "a list has at most 32 members", section: "list"}
	ruleEqualsSign = rule{text: "an equals sign must follow the key", section: "list-members"}
	ruleKeyEmpty   = rule{text: "a key must not be empty", section: "Key"}
	ruleKeyFirst   = rule{text: "a key begins with a-z or 0-9", section: "Key", found: true}
	ruleKeyByte    = rule{text: "a key has only a-z, 0-9 and _ - * / @", section: "Key", found: true}
	ruleKeyLen     = rule{text: "a key has at most 256 characters", section: "Key"}
	ruleValueEmpty = rule{text: "a value must not be empty", section: "Value"}
	ruleValueByte  = rule{text: "a value has printable ASCII characters without comma and equals sign", section: "Value", found: true}
	ruleValueLen   = rule{text: "a value has at most 256 characters", section: "Value"}
)

// memberFault returns where a member of a tracestate, without whitespace around
// it, breaks a rule. The fault has no rule if it breaks none.
func memberFault(member string) fault {
	n := keyLen(member)
	switch {
	case member[0] == '=':
		return fault{0, &ruleKeyEmpty}
	case n == 0:
		return fault{0, &ruleKeyFirst}
	case n == len(member):
		return fault{n, &ruleEqualsSign}
	case member[n] != '=':
		return fault{n, &ruleKeyByte}
	case n > maxKeyLen:
		return fault{maxKeyLen, &ruleKeyLen}
	}
	start := n + 1
	n = valueLen(member[start:])
	switch {
	case start == len(member):
		return fault{start, &ruleValueEmpty}
	case start+n < len(member):
		return fault{start + n, &ruleValueByte}
	case n > maxValueLen:
		return fault{start + maxValueLen, &ruleValueLen}
	}
	return fault{}
}

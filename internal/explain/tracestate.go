package explain

import (
	"fmt"
	"strings"

	"github.com/clewtrace/clew/tracecontext"
)

// Tracestate is a tracestate header, taken apart.
type Tracestate struct {
	Header  string   `json:"header"`
	Members []Member `json:"members,omitempty"`
	Fault   *Fault   `json:"fault,omitempty"` // nil if the header is valid
}

// Member is an entry of a tracestate.
type Member struct {
	Key      string    `json:"key"`
	Value    string    `json:"value"`
	Sampling *Sampling `json:"sampling,omitempty"` // for the key "ot"
}

// ParseTracestate explains a header.
func ParseTracestate(header string) Tracestate {
	t := Tracestate{Header: header}
	ts, err := tracecontext.ParseTracestate(header)
	if err != nil {
		fault := tracestateFault(header)
		t.Fault = &fault
		return t
	}
	for key, value := range ts.All() {
		m := Member{Key: key, Value: value}
		if key == "ot" {
			m.Sampling = parseSampling(value)
		}
		t.Members = append(t.Members, m)
	}
	return t
}

// Limits of section 3.3.1.
const (
	maxMembers = 32
	maxLength  = 256
)

// tracestateFault finds the first rule that an invalid header breaks.
func tracestateFault(s string) Fault {
	members, start := 0, 0
	for member := range strings.SplitSeq(s, ",") {
		trimmed := strings.TrimLeft(member, " \t")
		at := start + len(member) - len(trimmed)
		start += len(member) + 1
		trimmed = strings.TrimRight(trimmed, " \t")
		if trimmed == "" {
			continue
		}
		if fault, ok := memberFault(trimmed); ok {
			fault.Position += at
			return fault
		}
		if members++; members > maxMembers {
			return Fault{at, fmt.Sprintf("a list has at most %d members", maxMembers), "3.3.1.1"}
		}
	}
	return Fault{0, "not a valid list", "3.3.1"}
}

// memberFault looks at one member; the position is within it.
func memberFault(member string) (Fault, bool) {
	const keyRest = "abcdefghijklmnopqrstuvwxyz0123456789_-*/@"
	key, value, ok := strings.Cut(member, "=")
	switch {
	case key == "" && ok:
		return Fault{0, "a key must not be empty", "3.3.1.3.1"}, true
	case strings.IndexByte(keyRest[:36], key[0]) < 0:
		return Fault{0, "a key begins with a-z or 0-9, not " + character(key[0]), "3.3.1.3.1"}, true
	}
	for i := range len(key) {
		if strings.IndexByte(keyRest, key[i]) < 0 {
			return Fault{i, "a key has only a-z, 0-9 and _ - * / @, not " + character(key[i]), "3.3.1.3.1"}, true
		}
	}
	switch {
	case !ok:
		return Fault{len(key), "an equals sign must follow the key", "3.3.1.3"}, true
	case len(key) > maxLength:
		return Fault{maxLength, fmt.Sprintf("a key has at most %d characters", maxLength), "3.3.1.3.1"}, true
	case value == "":
		return Fault{len(member), "a value must not be empty", "3.3.1.3.2"}, true
	}
	for i := range len(value) {
		if c := value[i]; c < 0x20 || c > 0x7e || c == '=' {
			return Fault{len(key) + 1 + i, "a value has printable ASCII characters without comma and equals sign, not " + character(c), "3.3.1.3.2"}, true
		}
	}
	if len(value) > maxLength {
		return Fault{len(key) + 1 + maxLength, fmt.Sprintf("a value has at most %d characters", maxLength), "3.3.1.3.2"}, true
	}
	return Fault{}, false
}

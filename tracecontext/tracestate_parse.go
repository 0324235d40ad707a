package tracecontext

import (
	"strconv"
	"strings"
)

// canonical reports whether s is a list as [Tracestate.String] writes it, and
// of how many members. It is one pass over s; parser takes whatever it refuses.
func canonical(s string) (n int, ok bool) {
	var keys [4]uint64 // one bit for the hash of each key
	for i := 0; ; i++ {
		start := i
		hash := uint32(0)
		for end := min(len(s), start+maxKeyLen+1); i < end && class[s[i]]&keyByte != 0; {
			hash = hash*31 + uint32(s[i])
			i++
		}
		if i == start || i == len(s) || s[i] != '=' || i-start > maxKeyLen || class[s[start]]&keyFirst == 0 {
			return 0, false
		}
		hash ^= hash >> 8
		word, bit := &keys[hash>>6&3], uint64(1)<<(hash&63)
		if *word&bit != 0 && hasKey(s[:start], s[start:i+1]) {
			return 0, false
		}
		*word |= bit

		start = i + 1
		end := min(len(s), start+maxValueLen+1)
		i++
		for i < end && class[s[i]]&valueByte != 0 {
			i++
		}
		if i == start || i-start > maxValueLen || s[i-1] == ' ' || n == maxMembers {
			return 0, false
		}
		n++
		if i == len(s) {
			return n, true
		}
		if s[i] != ',' {
			return 0, false
		}
	}
}

// hasKey reports whether a member of list begins with key, which ends in an
// equals sign.
func hasKey(list, key string) bool {
	for {
		i := strings.Index(list, key)
		if i < 0 {
			return false
		}
		if i == 0 || list[i-1] == ',' {
			return true
		}
		list = list[i+len(key):]
	}
}

// parser combines header fields to one list.
type parser struct {
	members [maxMembers]string // key=value, without surrounding whitespace
	keyLens [maxMembers]int
	n       int // of members kept
	seen    int // of members read, with those whose key came before
	textLen int // of the members kept, and a comma for each
}

func (p *parser) parse(field string) *tracestateError {
	rest := field
	for {
		// "tracestate Header Field Values": empty members are allowed.
		if rest = strings.TrimLeft(rest, " \t,"); rest == "" {
			return nil
		}
		start := len(field) - len(rest)
		var member string
		member, rest, _ = strings.Cut(rest, ",")
		member = strings.TrimRight(member, " \t")
		if msg := p.add(member); msg != "" {
			return &tracestateError{in: field, at: start, msg: msg}
		}
	}
}

func (p *parser) add(member string) (msg string) {
	key, value, ok := strings.Cut(member, "=")
	switch {
	case !ok:
		return "member without equals sign"
	case !validKey(key):
		return "invalid key"
	case !validValue(value):
		return "invalid value"
	case p.seen == maxMembers:
		return "more than 32 members"
	}
	p.seen++
	for i := range p.n {
		if p.keyLens[i] == len(key) && p.members[i][:len(key)] == key {
			return ""
		}
	}
	p.members[p.n], p.keyLens[p.n] = member, len(key)
	p.n++
	p.textLen += len(member) + len(",")
	return ""
}

func (p *parser) tracestate() Tracestate {
	switch p.n {
	case 0:
		return Tracestate{}
	case 1:
		return Tracestate{list: p.members[0], n: 1}
	}
	var b strings.Builder
	b.Grow(p.textLen)
	for i, member := range p.members[:p.n] {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(member)
	}
	return Tracestate{list: b.String(), n: p.n}
}

// tracestateError says which member of which header field is wrong. Its text
// quotes the beginning of the field from that member on.
type tracestateError struct {
	in    string
	field int
	at    int
	msg   string
}

func (e *tracestateError) Error() string {
	return "tracestate field " + strconv.Itoa(e.field+1) + ", position " + strconv.Itoa(e.at) +
		", " + quote(e.in[e.at:]) + ": " + e.msg
}

// Bytes of the grammar of "tracestate Header Field Values".
const (
	keyFirst  = 1 << iota // a-z 0-9
	keyByte               // a-z 0-9 _ - * / @
	valueByte             // 0x20 to 0x7e without comma and equals sign
)

var class = func() (t [256]uint8) {
	for c := byte(0x20); c <= 0x7e; c++ {
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
			t[c] = keyFirst | keyByte | valueByte
		case c == '_', c == '-', c == '*', c == '/', c == '@':
			t[c] = keyByte | valueByte
		case c != ',' && c != '=':
			t[c] = valueByte
		}
	}
	return t
}()

func validKey(s string) bool {
	if s == "" || len(s) > maxKeyLen || class[s[0]]&keyFirst == 0 {
		return false
	}
	for i := 1; i < len(s); i++ {
		if class[s[i]]&keyByte == 0 {
			return false
		}
	}
	return true
}

func validValue(s string) bool {
	if s == "" || len(s) > maxValueLen || s[len(s)-1] == ' ' {
		return false
	}
	for i := range len(s) {
		if class[s[i]]&valueByte == 0 {
			return false
		}
	}
	return true
}

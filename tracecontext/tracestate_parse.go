package tracecontext

import "strings"

// canonical reports whether s has the form of [Tracestate.String], and how many
// members it has. It is quick, one pass over s. What it refuses may still be valid, and
// is left to parser.
func canonical(s string) (n int, ok bool) {
	var keys [4]uint64 // a set of hashes; only keys with the same hash are compared
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
		if i == start || i-start > maxValueLen || s[i-1] == ' ' || n == MaxMembers {
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
	members [MaxMembers]string // those that are kept: key=value, without whitespace around
	keyLens [MaxMembers]int
	n       int // how many are kept
	read    int // how many were read, including those whose key came before
	textLen int // the length of those that are kept, with a comma for each
}

// parse adds the members of a field, up to the first that is not valid.
func (p *parser) parse(field string) *ParseError {
	rest := field
	for {
		// Empty members are allowed ("tracestate Header Field Values").
		if rest = strings.TrimLeft(rest, " \t,"); rest == "" {
			return nil
		}
		start := len(field) - len(rest)
		var member string
		member, rest, _ = strings.Cut(rest, ",")
		member = strings.TrimRight(member, " \t")
		if f := p.add(member); f.rule != nil {
			f.position += start
			return &ParseError{text: field, fault: f}
		}
	}
}

func (p *parser) add(member string) fault {
	if f := memberFault(member); f.rule != nil {
		return f
	}
	if p.read == MaxMembers {
		return fault{0, &ruleMembers}
	}
	p.read++
	n := keyLen(member)
	for i := range p.n {
		if p.keyLens[i] == n && p.members[i][:n] == member[:n] {
			return fault{}
		}
	}
	p.members[p.n], p.keyLens[p.n] = member, n
	p.n++
	p.textLen += len(member) + len(",")
	return fault{}
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

// The classes of bytes in the grammar of "Key" and "Value".
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

// keyLen returns how many bytes a key at the beginning of s has, whatever its
// length; 0 if there is none.
func keyLen(s string) int {
	if s == "" || class[s[0]]&keyFirst == 0 {
		return 0
	}
	n := 1
	for n < len(s) && class[s[n]]&keyByte != 0 {
		n++
	}
	return n
}

// valueLen returns how many bytes at the beginning of s a value may have.
func valueLen(s string) int {
	n := 0
	for n < len(s) && class[s[n]]&valueByte != 0 {
		n++
	}
	return n
}

func validKey(s string) bool {
	return s != "" && len(s) <= maxKeyLen && keyLen(s) == len(s)
}

func validValue(s string) bool {
	return s != "" && len(s) <= maxValueLen && valueLen(s) == len(s) && s[len(s)-1] != ' '
}

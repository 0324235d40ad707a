package tracecontext

import (
	"errors"
	"iter"
	"slices"
	"strings"
)

// MaxMembers is how many members a [Tracestate] has at most ("tracestate Header Field
// Values").
const MaxMembers = 32

const (
	maxKeyLen      = 256 // "Key"
	maxValueLen    = 256 // "Value"
	largeMemberLen = 128 // longer members are left out first ("tracestate Limits")
)

// Tracestate is a list of at most 32 members, each a key with a value. Vendors keep in
// it what they need beside the traceparent. The first member is the one that was
// changed last.
//
// It is immutable and comparable. The zero value is the empty list and ready to use.
type Tracestate struct {
	// list is the text that is sent: key=value,key=value, without whitespace around
	// members, and with no key twice.
	list string
	n    int
}

// ParseTracestate reads the values of all tracestate header fields of a
// message, one argument each. In that order they are one list (RFC 9110, "Field
// Order").
//
// Empty members and whitespace around members are skipped. Of members with the same
// key the first is kept. The whole list is invalid if it has more than 32 members, or
// if one of them does not follow the grammar of "tracestate Header Field Values".
//
// A single field that has the form of [Tracestate.String] already is kept as it is,
// without an allocation.
func ParseTracestate(fields ...string) (Tracestate, error) {
	if len(fields) == 1 {
		if n, ok := canonical(fields[0]); ok {
			return Tracestate{list: fields[0], n: n}, nil
		}
	}
	var p parser
	for i, field := range fields {
		if err := p.parse(field); err != nil {
			err.field = i
			return Tracestate{}, err
		}
	}
	return p.tracestate(), nil
}

// Get returns the value of the member with the given key.
func (ts Tracestate) Get(key string) (value string, ok bool) {
	for k, v := range ts.All() {
		if k == key {
			return v, true
		}
	}
	return "", false
}

// Set returns ts with the member as its first ("Mutating the tracestate Field"). It
// takes the place of a member with the same key. If the list was full, its last member
// is dropped. If key or value does not follow the grammar, Set returns ts and an error.
func (ts Tracestate) Set(key, value string) (Tracestate, error) {
	if !validKey(key) {
		return ts, errors.New("tracestate key " + quote(key) +
			": want 1 to 256 of a-z 0-9 _ - * / @, the first one of a-z 0-9")
	}
	if !validValue(value) {
		return ts, errors.New("tracestate value " + quote(value) +
			": want 1 to 256 printable ASCII characters without comma and equals sign, the last one no space")
	}
	rest := ts.Delete(key)
	if rest.n == MaxMembers {
		rest = rest.without(rest.n - 1)
	}
	if rest.n == 0 {
		return Tracestate{list: key + "=" + value, n: 1}, nil
	}
	return Tracestate{list: key + "=" + value + "," + rest.list, n: rest.n + 1}, nil
}

// Delete returns ts without the member with the given key.
func (ts Tracestate) Delete(key string) Tracestate {
	i := 0
	for k := range ts.All() {
		if k == key {
			return ts.without(i)
		}
		i++
	}
	return ts
}

// Len returns the number of members, 0 to 32.
func (ts Tracestate) Len() int { return ts.n }

// All iterates over keys and values in order.
func (ts Tracestate) All() iter.Seq2[string, string] {
	return func(yield func(key, value string) bool) {
		for rest := ts.list; rest != ""; {
			var member string
			member, rest, _ = strings.Cut(rest, ",")
			key, value, _ := strings.Cut(member, "=")
			if !yield(key, value) {
				return
			}
		}
	}
}

// Truncate returns ts cut to at most maxBytes bytes of text. Whole members are left
// out until the rest fits: first those of more than 128 bytes, from the end of the list
// on, then the others, from the end on ("tracestate Limits").
func (ts Tracestate) Truncate(maxBytes int) Tracestate {
	if len(ts.list) <= maxBytes {
		return ts
	}
	members := strings.Split(ts.list, ",")
	size := len(ts.list)
	removeLonger := func(length int) {
		for i := len(members) - 1; i >= 0 && size > maxBytes; i-- {
			if len(members[i]) > length {
				size -= len(members[i]) + len(",")
				members = slices.Delete(members, i, i+1)
			}
		}
	}
	removeLonger(largeMemberLen)
	removeLonger(0)
	return Tracestate{list: strings.Join(members, ","), n: len(members)}
}

// String returns the members as one header value: key=value,key=value.
func (ts Tracestate) String() string { return ts.list }

// AppendText appends what [Tracestate.String] returns. The error is always nil.
func (ts Tracestate) AppendText(b []byte) ([]byte, error) {
	return append(b, ts.list...), nil
}

// MarshalText returns what [Tracestate.String] does. The error is always nil.
func (ts Tracestate) MarshalText() ([]byte, error) {
	return []byte(ts.list), nil
}

// UnmarshalText sets ts as [ParseTracestate] does with one field. If text is
// not valid, ts is left as it was.
func (ts *Tracestate) UnmarshalText(text []byte) error {
	parsed, err := ParseTracestate(string(text))
	if err != nil {
		return err
	}
	*ts = parsed
	return nil
}

// without returns ts without its i-th member.
func (ts Tracestate) without(i int) Tracestate {
	if ts.n == 1 {
		return Tracestate{}
	}
	start := 0
	for range i {
		start += strings.IndexByte(ts.list[start:], ',') + 1
	}
	end := strings.IndexByte(ts.list[start:], ',')
	if end < 0 {
		return Tracestate{list: ts.list[:start-1], n: ts.n - 1}
	}
	return Tracestate{list: ts.list[:start] + ts.list[start+end+1:], n: ts.n - 1}
}

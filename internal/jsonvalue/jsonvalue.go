// Package jsonvalue reads JSON into maps, lists and scalars, as encoding/json
// does into an any. It is here for the size of programs: the decoder of
// encoding/json, which sets any type by reflection, is larger by 0.1 MB, and a
// program that only writes JSON is without it.
package jsonvalue

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Parse returns the value of a text: nil, a bool, a string, a [json.Number], a
// []any or a map[string]any. It reports whether the text is JSON, as [json.Valid]
// does.
func Parse(text []byte) (value any, ok bool) {
	if !json.Valid(text) {
		return nil, false
	}
	p := parser{text}
	return p.value(), true
}

// Member returns a member of an object, whatever the case of its name is if none
// has it as it stands, as encoding/json finds the field of a struct. It reports
// whether there is one.
func Member(value any, name string) (any, bool) {
	object, _ := value.(map[string]any)
	if v, ok := object[name]; ok {
		return v, true
	}
	for key, v := range object {
		if strings.EqualFold(key, name) {
			return v, true
		}
	}
	return nil, false
}

// parser holds what is left of a text that is valid.
type parser struct{ rest []byte }

// next skips white space, and commas and colons, whose places are valid.
func (p *parser) next() byte {
	p.rest = bytes.TrimLeft(p.rest, " \t\r\n,:")
	return p.rest[0]
}

func (p *parser) value() any {
	switch p.next() {
	case '{':
		p.rest = p.rest[1:]
		members := map[string]any{}
		for p.next() != '}' {
			name := p.text()
			members[name] = p.value()
		}
		p.rest = p.rest[1:]
		return members
	case '[':
		p.rest = p.rest[1:]
		entries := []any{}
		for p.next() != ']' {
			entries = append(entries, p.value())
		}
		p.rest = p.rest[1:]
		return entries
	case '"':
		return p.text()
	}
	switch word := p.word(); word {
	case "null":
		return nil
	case "true", "false":
		return word == "true"
	default:
		return json.Number(word)
	}
}

// word takes what has no quotes.
func (p *parser) word() string {
	end := bytes.IndexAny(p.rest, " \t\r\n,]}")
	if end < 0 {
		end = len(p.rest)
	}
	word := string(p.rest[:end])
	p.rest = p.rest[end:]
	return word
}

// text takes a string. What is not UTF-8 becomes U+FFFD.
func (p *parser) text() string {
	p.rest = p.rest[1:]
	var text []byte
	for {
		c := p.rest[0]
		switch {
		case c == '"':
			p.rest = p.rest[1:]
			return string(text)
		case c == '\\':
			text = utf8.AppendRune(text, p.escaped())
		case c < utf8.RuneSelf:
			text = append(text, c)
			p.rest = p.rest[1:]
		default:
			r, size := utf8.DecodeRune(p.rest)
			text = utf8.AppendRune(text, r)
			p.rest = p.rest[size:]
		}
	}
}

// escaped takes what begins with a backslash. Half of a surrogate pair becomes
// U+FFFD.
func (p *parser) escaped() rune {
	c := p.rest[1]
	if c != 'u' {
		p.rest = p.rest[2:]
		if i := bytes.IndexByte([]byte("bfnrt"), c); i >= 0 {
			return rune("\b\f\n\r\t"[i])
		}
		return rune(c)
	}
	r := p.hex()
	if !utf16.IsSurrogate(r) {
		return r
	}
	if bytes.HasPrefix(p.rest, []byte(`\u`)) {
		second := *p
		if pair := utf16.DecodeRune(r, second.hex()); pair != utf8.RuneError {
			*p = second
			return pair
		}
	}
	return utf8.RuneError
}

// hex takes \u and four digits.
func (p *parser) hex() rune {
	n, _ := strconv.ParseUint(string(p.rest[2:6]), 16, 16) //nolint:errcheck // valid
	p.rest = p.rest[6:]
	return rune(n) //nolint:gosec // of 16 bits
}

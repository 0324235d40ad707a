package sampler

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
)

// A pattern is a glob. Most patterns are plain text or text followed by one
// star, which need no search. The zero pattern matches every text.
type pattern struct {
	text  string // without escapes unless glob
	shape shape
}

type shape uint8

const (
	prefix shape = iota // text*
	exact               // text
	glob
)

func compile(s string) pattern {
	if !strings.ContainsAny(s, `*?\`) {
		return pattern{s, exact}
	}
	if head := strings.TrimSuffix(s, "*"); !strings.ContainsAny(head, `*?\`) {
		return pattern{head, prefix}
	}
	return pattern{s, glob}
}

func (p *pattern) matches(s string) bool {
	switch p.shape {
	case exact:
		return s == p.text
	case prefix:
		return strings.HasPrefix(s, p.text)
	default:
		return matchGlob(p.text, s)
	}
}

// excludes reports whether the length of s, or its character at the end of the pattern,
// shows that s does not match. It compares the last character because names differ
// there most. It is inlined, because most rules do not match most spans.
func (p *pattern) excludes(s string) bool {
	last := len(p.text) - 1
	return p.shape != glob && last >= 0 && (last >= len(s) || s[last] != p.text[last])
}

// matchesValue matches the text of a value that is no string.
func (p *pattern) matchesValue(v attribute.Value) bool {
	var buf [32]byte
	switch v.Type() {
	case attribute.BOOL:
		return p.matches(strconv.FormatBool(v.AsBool()))
	case attribute.INT64:
		return p.matches(string(strconv.AppendInt(buf[:0], v.AsInt64(), 10)))
	case attribute.FLOAT64:
		return p.matches(string(strconv.AppendFloat(buf[:0], v.AsFloat64(), 'g', -1, 64)))
	default:
		return p.matches(v.String())
	}
}

// maxGlobText bounds the bytes of a text that a glob searches, because a peer may
// choose the text and the decision is made for every request.
const maxGlobText = 8 << 10

// matchGlob goes back to the last star only. What an earlier star matched can stay as
// it is, because the last star can match all that follows. It searches for the plain
// text behind a star, so its time is proportional to the length of s. If the rest of
// the pattern has ? or a backslash, it is proportional to the product of the two
// lengths. Plain text behind the last star is compared with the end of the whole text,
// which takes no search.
func matchGlob(glob, whole string) bool {
	s := whole[:min(len(whole), maxGlobText)]
	var i, j int         // positions in glob and s
	star, taken := -1, 0 // the last star, and where in s its run ends
	next := ""           // the plain text behind that star
	for j < len(s) || i < len(glob) && glob[i] == '*' {
		if i < len(glob) && glob[i] == '*' {
			star, taken = i, j
			i++
			rest := glob[i:]
			plain := strings.IndexAny(rest, `*?\`)
			if plain < 0 {
				return len(whole)-j >= len(rest) && strings.HasSuffix(whole, rest)
			}
			next = rest[:plain]
		} else if gi, sj := matchOne(glob[i:], s[j:]); gi > 0 {
			i, j = i+gi, j+sj
			continue
		} else if star < 0 {
			return false
		} else {
			_, size := utf8.DecodeRuneInString(s[taken:])
			taken += size
		}
		skip := strings.Index(s[taken:], next)
		if skip < 0 {
			return false
		}
		taken += skip
		i, j = star+1, taken
	}
	return i == len(glob) && len(s) == len(whole)
}

// matchOne matches one character and returns how many bytes that took of glob
// and of s; zero means no match.
func matchOne(glob, s string) (int, int) {
	if glob == "" {
		return 0, 0
	}
	switch {
	case glob[0] == '?':
		_, size := utf8.DecodeRuneInString(s)
		return 1, size
	case glob[0] == '\\' && len(glob) > 1:
		if glob[1] == s[0] {
			return 2, 1
		}
	case glob[0] == s[0]:
		return 1, 1
	}
	return 0, 0
}

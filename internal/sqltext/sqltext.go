// Package sqltext says what of an SQL statement may be recorded.
package sqltext

import "strings"

// Operation is the first word of a statement, in upper case, or "" if it does
// not begin with a word.
func Operation(query string) string {
	query = strings.TrimSpace(query)
	end := 0
	for end < len(query) && isLetter(query[end]) {
		end++
	}
	return strings.ToUpper(query[:end])
}

// Sanitize puts a question mark in place of each literal: Semantic Conventions
// 1.43.0, "Sanitization of db.query.text". It knows the quotes and comments of
// standard SQL and the dollar quotes of PostgreSQL, and leaves no part of what
// it does not understand: a literal that does not end, or of which databases
// disagree where it ends, goes to the end. What stands in double quotes is a
// literal too, unless quotedNames says that it is a name.
func Sanitize(query string, quotedNames bool) string {
	var b strings.Builder
	for i := 0; i < len(query); {
		c := query[i]
		switch n := literal(query[i:], quotedNames); {
		case n > 0:
			b.WriteByte('?')
			i += n
		case c == '"' || c == '`': // a name
			n := quoted(query[i:], c)
			if end := query[i : i+n]; len(end) < 2 || end[n-1] != c {
				b.WriteByte('?')
			} else {
				b.WriteString(end)
			}
			i += n
		case isWord(c) || c == '$': // in one piece, so that t1 and $1 keep their digits
			n := 1
			for i+n < len(query) && isWord(query[i+n]) {
				n++
			}
			b.WriteString(query[i : i+n])
			i += n
		default:
			b.WriteByte(c)
			i++
		}
	}
	return b.String()
}

// literal is the length of the literal, or comment, that s begins with.
func literal(s string, quotedNames bool) int {
	switch {
	case s[0] == '\'' || s[0] == '"' && !quotedNames:
		return quoted(s, s[0])
	case strings.HasPrefix(s, "--"):
		return until(s, "\n")
	case strings.HasPrefix(s, "/*"):
		return until(s, "*/")
	case s[0] == '$':
		return dollarQuoted(s)
	case isDigit(s[0]) || s[0] == '.' && len(s) > 1 && isDigit(s[1]):
		n := 1
		for n < len(s) && (isWord(s[n]) || s[n] == '.' || (s[n] == '+' || s[n] == '-') && (s[n-1] == 'e' || s[n-1] == 'E')) {
			n++
		}
		return n
	}
	return 0
}

// quoted is the length of a text in quotes, in which two quotes stand for one.
// Some databases take a quote behind a backslash for the end and some do not:
// the text has no end then.
func quoted(s string, quote byte) int {
	backslashes := 0
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\':
			backslashes++
			continue
		case s[i] != quote:
		case backslashes%2 == 1:
			return len(s)
		case i+1 < len(s) && s[i+1] == quote:
			i++
		default:
			return i + 1
		}
		backslashes = 0
	}
	return len(s)
}

// dollarQuoted is the length of $tag$...$tag$, and 0 for $1.
func dollarQuoted(s string) int {
	end := 1
	for end < len(s) && isWord(s[end]) && (end > 1 || !isDigit(s[end])) {
		end++
	}
	if end >= len(s) || s[end] != '$' {
		return 0
	}
	tag := s[:end+1]
	return len(tag) + until(s[len(tag):], tag)
}

// until is the length of s up to and including the end, or all of it.
func until(s, end string) int {
	if i := strings.Index(s, end); i >= 0 {
		return i + len(end)
	}
	return len(s)
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
func isWord(c byte) bool   { return isLetter(c) || isDigit(c) || c == '_' || c >= 0x80 }

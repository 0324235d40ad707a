package redact

import "strings"

// Text returns s without what may be secret in it, for a value that holds, or
// may hold, a URL or a credential and cannot be parsed as one. It would rather
// hide too much than too little:
//
//   - PEM blocks, from the first "-----BEGIN" on;
//   - what stands before the last "@", after the scheme if there is one;
//   - queries and fragments of URLs;
//   - the values of name=value and "name: value" whose name [SensitiveQuery]
//     reports, and what follows "Bearer" and "Basic".
//
// A text without any of them is returned as it is.
func Text(s string) string {
	if i := pemStart(s); i >= 0 {
		if strings.Contains(s[i:], "@") {
			return Mask
		}
		return Text(s[:i]) + Mask
	}
	return pairs(locators(s))
}

// Error returns an error that says what err says, as [Text] does, and wraps it.
func Error(err error) error {
	if err == nil {
		return nil
	}
	text := Text(err.Error())
	if text == err.Error() {
		return err
	}
	return &redactedError{text, err}
}

type redactedError struct {
	text string
	err  error
}

func (e *redactedError) Error() string { return e.text }

func (e *redactedError) Unwrap() error { return e.err }

// pemStart is where the first PEM block of s begins, or negative. A value that
// was taken for a name may be in lower case.
func pemStart(s string) int {
	const begin = "-----BEGIN"
	for i := 0; i+len(begin) <= len(s); i++ {
		if s[i] == '-' && strings.EqualFold(s[i:i+len(begin)], begin) {
			return i
		}
	}
	return -1
}

// locators hides the user information, queries and fragments of what looks like
// a URL in s. A password may hold any character, so that all between the first
// scheme and the last "@" is taken for one.
func locators(s string) string {
	scheme := strings.Index(s, "://")
	if scheme < 0 {
		return userinfo(s)
	}
	scheme += len("://")
	var b strings.Builder
	b.WriteString(userinfo(s[:scheme]))
	rest := userinfo(s[scheme:])
	for {
		start := strings.IndexAny(rest, "?#") + 1
		end := start + quoteEnd(rest[start:])
		if start == 0 || start == len(rest) {
			b.WriteString(rest)
			return b.String()
		}
		b.WriteString(rest[:start])
		if end > start {
			b.WriteString(Mask)
		}
		rest = rest[end:]
	}
}

// quoteEnd is where a quoted text or a line ends.
func quoteEnd(s string) int {
	if i := strings.IndexAny(s, "\"\n"); i >= 0 {
		return i
	}
	return len(s)
}

// userinfo hides what stands before the last "@" of s.
func userinfo(s string) string {
	i := strings.LastIndexByte(s, '@')
	if i <= 0 {
		return s
	}
	return Mask + s[i:]
}

// pairs hides the values of name=value and "name: value" with a secret name, and
// the credentials after the name of an authentication scheme.
func pairs(s string) string {
	var b strings.Builder
	rest := s
	for {
		i := strings.IndexAny(rest, "=: ")
		if i < 0 {
			b.WriteString(rest)
			return b.String()
		}
		name := rest[strings.LastIndexAny(rest[:i], "\"',;&?/(){}[]\t\r\n")+1 : i]
		b.WriteString(rest[:i+1])
		separator := rest[i]
		rest = rest[i+1:]
		if separator == ' ' && !authScheme(name) || separator != ' ' && !SensitiveQuery(name) {
			continue
		}
		value := strings.TrimLeft(rest, " ")
		if value == "" {
			continue
		}
		end := valueEnd(value)
		if end == 0 {
			continue
		}
		b.WriteString(rest[:len(rest)-len(value)])
		b.WriteString(Mask)
		rest = value[end:]
	}
}

// valueEnd is where a value ends: "Bearer abc" is one, with its space.
func valueEnd(value string) int {
	const enders = " ,;&\"'\t\r\n/"
	end := strings.IndexAny(value, enders)
	if end < 0 {
		return len(value)
	}
	if value[end] != ' ' || !authScheme(value[:end]) {
		return end
	}
	rest := strings.TrimLeft(value[end:], " ")
	start := len(value) - len(rest)
	if n := strings.IndexAny(rest, enders); n >= 0 {
		return start + n
	}
	return len(value)
}

func authScheme(word string) bool {
	return strings.EqualFold(word, "bearer") || strings.EqualFold(word, "basic") || strings.EqualFold(word, "digest") || strings.EqualFold(word, "negotiate")
}

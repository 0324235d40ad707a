// Package redact hides credentials in URLs and in texts, before they enter a
// span, a log line, a report or an error.
package redact

import (
	"net/url"
	"strings"
)

// Mask stands for what is hidden: Semantic Conventions 1.43.0, "url.full".
const Mask = "REDACTED"

// URL returns u as text without what may be secret in it: its user information,
// its fragment, which is never sent and in which OAuth puts tokens, and the
// values of the query and matrix parameters whose names hide reports. The rest
// stays as it was spelt. A nil hide is [SensitiveQuery], a nil u is "".
func URL(u *url.URL, hide func(name string) bool) string {
	if u == nil {
		return ""
	}
	if u.Opaque != "" {
		// "user:password@host" after a scheme is opaque to net/url.
		return Text(u.String())
	}
	if u.User == nil && u.Fragment == "" && !strings.Contains(u.Path, ";") && Query(u.RawQuery, hide) == u.RawQuery {
		return u.String()
	}
	shown := *u
	if u.User != nil {
		shown.User = url.UserPassword(Mask, Mask)
	}
	if strings.Contains(u.Path, ";") {
		escaped := u.EscapedPath()
		if path := Path(escaped, hide); path != escaped {
			shown.Path, shown.RawPath = unescapedPath(path), path
		}
	}
	shown.RawQuery = Query(u.RawQuery, hide)
	if u.Fragment != "" {
		shown.Fragment, shown.RawFragment = Mask, ""
	}
	return shown.String()
}

// Query returns query without the values of the parameters whose names hide
// reports. Names are passed to hide unescaped. A nil hide is [SensitiveQuery].
// A query in which nothing is hidden is returned as it is.
func Query(query string, hide func(name string) bool) string {
	return parameters(query, "&;", hide)
}

// Path returns path without the values of the matrix parameters
// ("/list;jsessionid=0A1B/page") whose names hide reports. A nil hide is
// [SensitiveQuery].
func Path(path string, hide func(name string) bool) string {
	if !strings.Contains(path, ";") {
		return path
	}
	return parameters(path, ";/", hide)
}

// parameters hides the values of name=value in list, whose parts one of the
// separators ends.
func parameters(list, separators string, hide func(name string) bool) string {
	if !strings.Contains(list, "=") {
		return list
	}
	if hide == nil {
		hide = SensitiveQuery
	}
	var b strings.Builder // not used unless something is hidden
	kept := 0             // list[:kept] is in b
	for i := 0; i <= len(list); {
		end := len(list)
		if n := strings.IndexAny(list[i:], separators); n >= 0 {
			end = i + n
		}
		name, value, _ := strings.Cut(list[i:end], "=")
		if value != "" && hide(unescaped(name)) {
			b.WriteString(list[kept : i+len(name)+1])
			b.WriteString(Mask)
			kept = end
		}
		i = end + 1
	}
	if kept == 0 {
		return list
	}
	b.WriteString(list[kept:])
	return b.String()
}

func unescaped(name string) string {
	if plain, err := url.QueryUnescape(name); err == nil {
		return plain
	}
	return name
}

func unescapedPath(path string) string {
	if plain, err := url.PathUnescape(path); err == nil {
		return plain
	}
	return path
}

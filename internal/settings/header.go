package settings

import "strings"

// validHeader reports whether a name and a value can be sent as a header field (RFC
// 9110, "Field Names" and "Field Values"). Package golang.org/x/net/http/httpguts says
// the same, but with it each program would link tables of Unicode, for 0.2 MB.
func validHeader(name, value string) bool {
	return name != "" && strings.IndexFunc(name, notToken) < 0 && strings.IndexFunc(value, control) < 0
}

// notToken reports whether a character is not one of a token (RFC 9110, "Tokens").
func notToken(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
		return false
	}
	return !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
}

// control reports whether a character is a control character other than a tab.
func control(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }

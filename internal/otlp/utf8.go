package otlp

import (
	"strings"
	"unicode/utf8"
)

// validText returns s with U+FFFD in place of each run of bytes that are not UTF-8. Protobuf takes
// UTF-8 only (Protocol Buffers, Language Guide (proto 3), "Scalar Value Types"), and a receiver
// refuses the whole request for one text that is not, such as the path of a request for /%ff.
func validText(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return strings.ToValidUTF8(s, string(utf8.RuneError))
}

// cutText returns the length of the longest prefix of s, which is UTF-8, that is at most n bytes
// long and ends where a character ends.
func cutText(s []byte, n int) int {
	if len(s) <= n {
		return len(s)
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return n
}

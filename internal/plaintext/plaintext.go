// Package plaintext makes what others say fit to print: names that spans have,
// messages of servers, names in certificates. A terminal obeys control
// characters, and a line break in the middle of a line forges another one.
package plaintext

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// Line returns text as one line of at most about so many bytes. Everything that
// does not print is written as Go would in a string: control characters, those
// that change the direction of writing, and bytes that are not UTF-8.
func Line(text string, most int) string {
	if len(text) <= most && isPlain(text) {
		return text
	}
	var b strings.Builder
	for len(text) > 0 {
		if b.Len() >= most {
			b.WriteString("…")
			break
		}
		r, size := utf8.DecodeRuneInString(text)
		switch {
		case r == utf8.RuneError && size == 1:
			b.WriteString(`\x` + strconv.FormatUint(uint64(text[0]), 16))
		case strconv.IsPrint(r):
			b.WriteString(text[:size])
		default:
			quoted := strconv.QuoteRune(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		text = text[size:]
	}
	return b.String()
}

func isPlain(text string) bool {
	for _, r := range text {
		if !strconv.IsPrint(r) || r == utf8.RuneError {
			return false
		}
	}
	return true
}

// maxError is more than any error has to say that is not a server's message.
const maxError = 1000

// Error returns an error that says what err says, as [Line] does, and wraps it.
func Error(err error) error {
	if err == nil {
		return nil
	}
	text := Line(err.Error(), maxError)
	if text == err.Error() {
		return err
	}
	return &plainError{text, err}
}

type plainError struct {
	text string
	err  error
}

func (e *plainError) Error() string { return e.text }

func (e *plainError) Unwrap() error { return e.err }

package plaintext_test

import (
	"errors"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/clewtrace/clew/internal/plaintext"
)

func TestLine(t *testing.T) {
	for _, test := range []struct {
		text string
		most int
		want string
	}{
		{"GET /cart", 100, "GET /cart"},
		{"Zähler “ok” 名前", 100, "Zähler “ok” 名前"},
		{"", 100, ""},
		{"a\x1b[31mred", 100, `a\x1b[31mred`},
		{"title \x1b]0;owned\x07", 100, `title \x1b]0;owned\a`},
		{"C1 \u009b31m", 100, `C1 \u009b31m`},
		{"two\nlines\r\tand\x00more\x7f", 100, `two\nlines\r\tand\x00more\x7f`},
		{"line\u2028separator", 100, `line\u2028separator`},
		{"right \u202eto left", 100, `right \u202eto left`},
		{"raw \x9b \xff", 100, `raw \x9b \xff`},
		{strings.Repeat("x", 50), 10, "xxxxxxxxxx…"},
		{strings.Repeat("\x1b", 50), 10, `\x1b\x1b\x1b…`},
	} {
		if got := plaintext.Line(test.text, test.most); got != test.want {
			t.Errorf("%q: got %s, want %s", test.text, got, test.want)
		}
	}
}

func FuzzLine(f *testing.F) {
	f.Add("a\x1b[2J\u009b\u202e\xff", 5)
	f.Fuzz(func(t *testing.T, text string, most int) {
		most = max(most, 0)
		got := plaintext.Line(text, most)
		if !utf8.ValidString(got) || strings.ContainsFunc(got, func(r rune) bool { return !strconv.IsPrint(r) }) {
			t.Errorf("%q: got %q", text, got)
		}
		if len(got) > most+len(`\U0010ffff…`) {
			t.Errorf("%q: %d bytes, want about %d", text, len(got), most)
		}
	})
}

func TestError(t *testing.T) {
	if plaintext.Error(nil) != nil {
		t.Error("nil is no longer nil")
	}
	plain, hostile := errors.New("refused"), errors.New("a\nb")
	if got := plaintext.Error(plain); got != plain { //nolint:errorlint // the very same
		t.Errorf("changed %v", got)
	}
	if got := plaintext.Error(hostile); got.Error() != `a\nb` || !errors.Is(got, hostile) {
		t.Errorf("got %q", got)
	}
}

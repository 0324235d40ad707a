package settings

import (
	"testing"

	"golang.org/x/net/http/httpguts"
)

// FuzzValidHeader compares with golang.org/x/net.
func FuzzValidHeader(f *testing.F) {
	for _, seed := range []string{"", "api-key", "a b", "A1!#$%&'*+-.^_`|~", "ä", "a\tb", "a\nb", "\x7f", "\xff", "a:b", "(a)"} {
		f.Add(seed, seed)
	}
	f.Fuzz(func(t *testing.T, name, value string) {
		want := httpguts.ValidHeaderFieldName(name) && httpguts.ValidHeaderFieldValue(value)
		if got := validHeader(name, value); got != want {
			t.Errorf("validHeader(%q, %q) is %v, want %v", name, value, got, want)
		}
	})
}

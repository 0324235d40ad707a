package sloghandler

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// FuzzSplit makes lines with slog's own handler, which formats as its default
// one does, and has them taken apart.
func FuzzSplit(f *testing.F) {
	f.Add("m", "k", "v", "l", "")
	f.Add("m n", "a b", `x"y`, "g.k", "1")
	f.Add("", "k=", "=", "\x00", "\xff")
	f.Add("x=1 y", "k", "v\n", `"`, "\u2028")
	f.Add(` 0="`, " ", "0", "0", "0") // the message seems to have an attribute that ends inside a key
	f.Fuzz(func(t *testing.T, message, key1, value1, key2, value2 string) {
		want := []slog.Attr{slog.String(key1, value1), slog.String(key2, value2)}
		for _, s := range []string{key1, value1, key2, value2} {
			if strings.ToValidUTF8(s, "") != s {
				t.Skip("what is not UTF-8 is escaped for good")
			}
		}
		var line bytes.Buffer
		h := slog.NewTextHandler(&line, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.MessageKey || a.Key == slog.LevelKey {
				return slog.Attr{}
			}
			return a
		}})
		if key1 == slog.MessageKey || key1 == slog.LevelKey || key2 == slog.MessageKey || key2 == slog.LevelKey {
			t.Skip("left out above")
		}
		r := slog.NewRecord(time.Time{}, 0, "", 0)
		r.AddAttrs(want...)
		h.Handle(t.Context(), r) //nolint:errcheck // it is a buffer
		text := message + " " + strings.TrimSuffix(line.String(), "\n")

		gotMessage, got := split(text)
		if len(got) < len(want) {
			t.Fatalf("%q has the attributes %v, want %v at least", text, got, want)
		}
		for i, a := range got[len(got)-len(want):] {
			if !a.Equal(want[i]) {
				t.Errorf("%q has the attributes %v, want %v at the end", text, got, want)
			}
		}
		if len(got) == len(want) && gotMessage != message {
			t.Errorf("%q has the message %q, want %q", text, gotMessage, message)
		}
	})
}

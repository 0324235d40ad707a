package tracecontext_test

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/clewtrace/clew/tracecontext"
)

// The grammars of the Recommendation as regular expressions: slow and plain.
var (
	anyTraceparent = regexp.MustCompile(`^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$`)
	anyMember      = regexp.MustCompile(`^[a-z0-9][a-z0-9_\-*/@]{0,255}=[ -+\--<>-~]{0,255}[!-+\--<>-~]$`)
)

// slowTraceparent returns what is sent for the header value s, "" if it is invalid.
func slowTraceparent(s string) string {
	m := anyTraceparent.FindStringSubmatch(strings.ReplaceAll(s, "\n", "?"))
	if m == nil || strings.Contains(s[:55], "\n") || m[1] == "ff" || m[1] == "00" && m[5] != "" ||
		strings.Trim(m[2], "0") == "" || strings.Trim(m[3], "0") == "" {
		return ""
	}
	flags := strings.IndexByte("0123456789abcdef", m[4][1]) & 3
	return "00-" + m[2] + "-" + m[3] + "-0" + string(rune('0'+flags))
}

// slowTracestate returns the members of the header fields, false if one is invalid.
func slowTracestate(fields ...string) (members []string, ok bool) {
	n := 0
	var keys []string
	for m := range strings.SplitSeq(strings.Join(fields, ","), ",") {
		m = strings.Trim(m, " \t")
		if m == "" {
			continue
		}
		if n++; n > 32 || !anyMember.MatchString(m) || strings.Contains(m, "\n") {
			return nil, false
		}
		key, _, _ := strings.Cut(m, "=")
		if !slices.Contains(keys, key) {
			keys, members = append(keys, key), append(members, m)
		}
	}
	return members, true
}

// checkInside checks that an error points into what was parsed.
func checkInside(t *testing.T, err error, fields ...string) {
	t.Helper()
	var e *tracecontext.ParseError
	if !errors.As(err, &e) || e.Field() >= len(fields) || e.Position() > len(fields[e.Field()]) || e.Rule() == "" || e.Section() == "" {
		t.Fatalf("%q: error %v", fields, err)
	}
	if len(err.Error()) > 1000 {
		t.Errorf("an error text of %d bytes", len(err.Error()))
	}
}

func FuzzParseTraceparent(f *testing.F) {
	for _, s := range []string{
		sample, sample + "-", sample + "-00", "cc" + sample[2:], "cc" + sample[2:] + "-x", "cc" + sample[2:] + "x", "ff" + sample[2:],
		sample[:53] + "ff", sample[:53] + "0A", strings.ToUpper(sample), "", " " + sample, sample[:54], "00-" + strings.Repeat("0", 32) + sample[35:],
		sample[:36] + "0000000000000000-01", sample[:40] + "\x00" + sample[41:], sample[:40] + "\xc3\xa9" + sample[42:], sample[:40] + "`" + sample[41:], sample[:40] + "g" + sample[41:],
		sample[:40] + ":" + sample[41:], sample[:40] + "/" + sample[41:], "cc" + sample[2:] + "-\n",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		tp, err := tracecontext.ParseTraceparent(s)
		want := slowTraceparent(s)
		if (err == nil) != (want != "") || tp.String() != want {
			t.Fatalf("ParseTraceparent(%q) = %q, %v; the reference says %q", s, tp, err, want)
		}
		if err != nil {
			checkInside(t, err, s)
			return
		}
		again, err := tracecontext.ParseTraceparent(tp.String())
		if err != nil || again != tp {
			t.Errorf("%q parsed again is %q, %v", tp, again, err)
		}
		if from := tracecontext.TraceparentFrom(tp.TraceID(), tp.ParentID(), tp.Flags()); from != tp {
			t.Errorf("%q from its parts is %q", tp, from)
		}
	})
}

func FuzzParseTracestate(f *testing.F) {
	for _, s := range []string{
		"", "foo=1", "foo=1,bar=2", "foo=1,foo=2", "foo=1,xfoo=1,foo=3", ",, \t,foo=1 ", "1a=x,a@b@c=y,d@=z", "foo= 1", "foo=", "=1", "foo", "foo=1=2",
		members(32), members(33), "a=" + strings.Repeat("x", 256), "a=" + strings.Repeat("x", 257), strings.Repeat("k", 256) + "=1", strings.Repeat("k", 257) + "=1",
		"ot=th:fd70a4", "FOO=1", "foo\x00=1", "foo=\xc3\xa9", "a=1\n", "_a=1",
	} {
		f.Add(s, "")
		f.Add("x=y", s)
	}
	f.Fuzz(func(t *testing.T, first, second string) {
		fields := []string{first, second}
		if second == "" {
			fields = fields[:1]
		}
		ts, err := tracecontext.ParseTracestate(fields...)
		want, ok := slowTracestate(fields...)
		if (err == nil) != ok || ts.String() != strings.Join(want, ",") || ts.Len() != len(want) {
			t.Fatalf("ParseTracestate(%q) = %q (%d), %v; the reference says %q, %t", fields, ts, ts.Len(), err, want, ok)
		}
		if err != nil {
			checkInside(t, err, fields...)
			return
		}
		again, err := tracecontext.ParseTracestate(ts.String())
		if err != nil || again != ts {
			t.Errorf("%q parsed again is %q, %v", ts, again, err)
		}
		var rebuilt tracecontext.Tracestate
		for _, m := range slices.Backward(want) {
			key, value, _ := strings.Cut(m, "=")
			if got, ok := ts.Get(key); !ok || got != value {
				t.Errorf("Get(%q) = %q, %t; want %q", key, got, ok, value)
			}
			if rebuilt, err = rebuilt.Set(key, value); err != nil {
				t.Errorf("Set(%q, %q): %v", key, value, err)
			}
		}
		if rebuilt != ts {
			t.Errorf("%q set member by member is %q", ts, rebuilt)
		}
		for limit := range 3 {
			limit *= len(first) / 2
			if cut := ts.Truncate(limit); len(cut.String()) > limit || cut.Len() > ts.Len() {
				t.Errorf("Truncate(%d) = %q", limit, cut)
			}
		}
	})
}

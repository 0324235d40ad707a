package explain_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/clewtrace/clew/internal/explain"
	"github.com/clewtrace/clew/tracecontext"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const valid = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

var now = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func TestTraceparentFault(t *testing.T) {
	for _, test := range []struct {
		header   string
		position int
		rule     string
	}{
		{"", 0, "ends inside version"},
		{"0", 1, "ends inside version"},
		{"00", 2, "ends after version"},
		{"00-4bf9", 7, "ends inside trace-id"},
		{"0g" + valid[2:], 1, "version must be lower-case hex digits, not 'g'"},
		{"ff" + valid[2:], 0, "version ff"},
		{"00_" + valid[3:], 2, "a dash must follow version, not '_'"},
		{strings.Replace(valid, "f9", "F9", 1), 5, "trace-id must be lower-case hex digits, not 'F'"},
		{strings.Replace(valid, "f9", "\x00\x00", 1), 5, "not byte 0x00"},
		{"00-" + strings.Repeat("0", 32) + valid[35:], 3, "trace-id must not be all zero"},
		{valid[:36] + strings.Repeat("0", 16) + valid[52:], 36, "parent-id must not be all zero"},
		{valid[:53] + "0x", 54, "trace-flags must be"},
		{valid[:54], 54, "ends inside trace-flags"},
		{valid + "-", 55, "version 00 ends after trace-flags"},
		{"01" + valid[2:] + ".", 55, "a dash or the end must follow"},
		{" " + valid, 0, "version must be"},
	} {
		f := explain.ParseTraceparent(test.header, now).Fault
		if f == nil || f.Position != test.position || !strings.Contains(f.Rule, test.rule) || f.Section == "" {
			t.Errorf("%q: %+v, want position %d, %q", test.header, f, test.position, test.rule)
		}
	}
}

func TestTraceparent(t *testing.T) {
	for header, want := range map[string]string{
		valid:                          "00 sampled=true random=false unknown=false",
		valid[:53] + "02":              "00 sampled=false random=true unknown=false",
		valid[:53] + "ff":              "00 sampled=true random=true unknown=true",
		"cc" + valid[2:]:               "cc sampled=true random=false unknown=false",
		valid[:53] + "03":              "00 sampled=true random=true unknown=false",
		"cc" + valid[2:53] + "00-more": "cc sampled=false random=false unknown=false",
	} {
		tp := explain.ParseTraceparent(header, now)
		got := fmt.Sprintf("%s sampled=%v random=%v unknown=%v", tp.Version, tp.Sampled, tp.Random, tp.Unknown)
		if tp.Fault != nil || got != want || tp.TraceID != valid[3:35] || tp.ParentID != valid[36:52] {
			t.Errorf("%s: %s %+v, want %s", header, got, tp, want)
		}
	}
}

func TestStarted(t *testing.T) {
	for _, age := range []time.Duration{0, time.Hour, 29 * 24 * time.Hour} {
		started := now.Add(-age)
		tp := explain.ParseTraceparent(fmt.Sprintf("00-%08x%s", started.Unix(), valid[11:]), now)
		if tp.Started == nil || !tp.Started.Equal(started) {
			t.Errorf("age %v: started %v", age, tp.Started)
		}
	}
	for _, age := range []time.Duration{-time.Hour, 31 * 24 * time.Hour} {
		if tp := explain.ParseTraceparent(fmt.Sprintf("00-%08x%s", now.Add(-age).Unix(), valid[11:]), now); tp.Started != nil {
			t.Errorf("age %v: started %v", age, tp.Started)
		}
	}
}

func TestTracestateFault(t *testing.T) {
	long := strings.Repeat("x", 257)
	for _, test := range []struct {
		header   string
		position int
		rule     string
	}{
		{"a=1,B=2", 4, "a key begins with a-z or 0-9, not 'B'"},
		{"a=1, b.c=2", 6, "a key has only"},
		{"a=1,b", 5, "an equals sign must follow"},
		{"=1", 0, "a key must not be empty"},
		{"a=", 2, "a value must not be empty"},
		{"a=1=2", 3, "not '='"},
		{"a=1,b=\u00e9", 6, "not byte 0xc3"},
		{"a=1\x7f", 3, "not byte 0x7f"},
		{long + "=1", 256, "a key has at most 256"},
		{"a=" + long, 258, "a value has at most 256"},
		{strings.Repeat("a=1,", 32) + "b=1", 128, "at most 32 members"},
		{"a b=1", 1, "a key has only"},
	} {
		f := explain.ParseTracestate(test.header).Fault
		if f == nil || f.Position != test.position || !strings.Contains(f.Rule, test.rule) || f.Section == "" {
			t.Errorf("%.40q: %+v, want position %d, %q", test.header, f, test.position, test.rule)
		}
	}
}

func TestSampling(t *testing.T) {
	for value, want := range map[string]explain.Sampling{
		"th:0":                   {Threshold: "0", Probability: 1, AdjustedCount: 1},
		"th:8":                   {Threshold: "8", Probability: 0.5, AdjustedCount: 2},
		"th:c;rv:0123456789abcd": {Threshold: "c", Probability: 0.25, AdjustedCount: 4, Randomness: "0123456789abcd"},
		"th:ffffffffffffff":      {Threshold: "ffffffffffffff", Probability: 1.0 / (1 << 56), AdjustedCount: 1 << 56},
		"p:8;r:62":               {Others: "p:8;r:62"},
		"th:":                    {Invalid: "th must be 1 to 14 lower-case hex digits"},
		"th:012345678901234":     {Invalid: "th must be 1 to 14 lower-case hex digits"},
		"th:C":                   {Invalid: "th must be 1 to 14 lower-case hex digits"},
		"rv:12":                  {Invalid: "rv must be 14 lower-case hex digits"},
	} {
		s := explain.ParseTracestate("x=1,ot=" + value)
		if s.Fault != nil || len(s.Members) != 2 || s.Members[0].Sampling != nil || *s.Members[1].Sampling != want {
			t.Errorf("%s: %+v, want %+v", value, s, want)
		}
	}
}

// FuzzFaults checks that a header has a fault exactly if it is not valid, and that the
// fault is inside the header.
func FuzzFaults(f *testing.F) {
	for _, s := range []string{"", valid, valid + "-", "ff" + valid[2:], "a=1,b=2", "a=1 ,=,", "a= ", " a=1\t,,", strings.Repeat("a=1,", 33)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		_, err := tracecontext.ParseTraceparent(s)
		check(t, s, err, explain.ParseTraceparent(s, now).Fault)
		_, err = tracecontext.ParseTracestate(s)
		check(t, s, err, explain.ParseTracestate(s).Fault)
	})
}

func check(t *testing.T, s string, err error, fault *explain.Fault) {
	t.Helper()
	if (err == nil) != (fault == nil) {
		t.Fatalf("%q: error %v, fault %+v", s, err, fault)
	}
	if fault != nil && (fault.Position < 0 || fault.Position > len(s) || fault.Rule == "") {
		t.Fatalf("%q: fault %+v", s, fault)
	}
}

package tracecontext_test

import (
	"strings"
	"testing"

	"github.com/clewtrace/clew/tracecontext"
)

const (
	traceID  = "0af7651916cd43dd8448eb211c80319c"
	parentID = "b7ad6b7169203331"
	sample   = "00-" + traceID + "-" + parentID + "-01"
)

func TestParseTraceparentRules(t *testing.T) {
	ids := "-" + traceID + "-" + parentID + "-"
	valid := []struct{ rule, in, want string }{
		{"sampled", "00" + ids + "01", "00" + ids + "01"},
		{"not sampled", "00" + ids + "00", "00" + ids + "00"},
		{"random", "00" + ids + "03", "00" + ids + "03"},
		{"random, not sampled", "00" + ids + "02", "00" + ids + "02"},
		{"unknown flags are sent as zero", "00" + ids + "ff", "00" + ids + "03"},
		{"only unknown flags", "00" + ids + "04", "00" + ids + "00"},
		{"flags with a letter", "00" + ids + "0a", "00" + ids + "02"},
		{"higher version", "01" + ids + "01", "00" + ids + "01"},
		{"highest version", "fe" + ids + "01", "00" + ids + "01"},
		{"higher version with more after a dash", "cc" + ids + "01-what-the-future-holds", "00" + ids + "01"},
		{"higher version with a dash at the end", "cc" + ids + "01-", "00" + ids + "01"},
		{"ids may be almost zero", "00-00000000000000000000000000000001-0000000000000001-00", "00-00000000000000000000000000000001-0000000000000001-00"},
		{"ids may end in zeros", "00-10000000000000000000000000000000-1000000000000000-00", "00-10000000000000000000000000000000-1000000000000000-00"},
		{"all digits", "00-0123456789abcdef0123456789abcdef-fedcba9876543210-00", "00-0123456789abcdef0123456789abcdef-fedcba9876543210-00"},
	}
	for _, tt := range valid {
		t.Run(tt.rule, func(t *testing.T) {
			tp, err := tracecontext.ParseTraceparent(tt.in)
			if err != nil || tp.String() != tt.want || !tp.IsValid() {
				t.Errorf("ParseTraceparent(%q) = %q, %v; want %q", tt.in, tp, err, tt.want)
			}
		})
	}

	invalid := []struct{ rule, in string }{
		{"empty", ""},
		{"too short", sample[:54]},
		{"version 00 with a dash at the end", sample + "-"},
		{"version 00 with more", sample + "-00"},
		{"version 00 with a character more", sample + "0"},
		{"higher version with a character more", "cc" + ids + "01."},
		{"higher version too short", "cc" + ids + "0"},
		{"version ff", "ff" + ids + "01"},
		{"version of one digit", "0" + ids + "010"},
		{"version not hex", ".0" + ids + "01"},
		{"version not hex, second digit", "0." + ids + "01"},
		{"version in upper case", "CC" + ids + "01"},
		{"trace id all zero", "00-" + strings.Repeat("0", 32) + "-" + parentID + "-01"},
		{"parent id all zero", "00-" + traceID + "-0000000000000000-01"},
		{"upper case in trace id", "00-" + strings.ToUpper(traceID) + "-" + parentID + "-01"},
		{"upper case in parent id", "00-" + traceID + "-" + strings.ToUpper(parentID) + "-01"},
		{"upper case in flags", "00" + ids + "0A"},
		{"z in trace id", "00-z" + traceID[1:] + "-" + parentID + "-01"},
		{"trace id too long", "00-0" + traceID + "-" + parentID + "-01"},
		{"trace id too short", "00-" + traceID[1:] + "-" + parentID + "-010"},
		{"parent id too long", "00-" + traceID + "-0" + parentID + "-01"},
		{"flags not hex", "00" + ids + ".0"},
		{"flags of three digits", "00" + ids + "001"},
		{"no dash after the version", "00_" + sample[3:]},
		{"no dash after the trace id", sample[:35] + "_" + sample[36:]},
		{"no dash after the parent id", sample[:52] + "_" + sample[53:]},
		{"whitespace is not part of the value", " " + sample},
		{"two values in one field", sample + "," + sample},
		{"NUL", sample[:20] + "\x00" + sample[21:]},
		{"non-ASCII", sample[:20] + "\xc3" + sample[21:]},
	}
	for _, tt := range invalid {
		t.Run(tt.rule, func(t *testing.T) {
			tp, err := tracecontext.ParseTraceparent(tt.in)
			if err == nil || tp != (tracecontext.Traceparent{}) {
				t.Errorf("ParseTraceparent(%q) = %q, %v; want an error", tt.in, tp, err)
			}
		})
	}
}

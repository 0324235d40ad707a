package tracecontext_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/clewtrace/clew/tracecontext"
)

const zeros = "00000000000000000000000000000000"

func TestTraceparentErrors(t *testing.T) {
	for _, tt := range []struct {
		text     string
		position int
		rule     string
		section  string
	}{
		{"", 0, "the header ends inside version, which needs 2 hex digits", "version"},
		{"0", 1, "the header ends inside version, which needs 2 hex digits", "version"},
		{"00", 2, "the header ends after version", "traceparent Header Field Values"},
		{"00-4bf9", 7, "the header ends inside trace-id, which needs 32 hex digits", "trace-id"},
		{sample[:54], 54, "the header ends inside trace-flags, which needs 2 hex digits", "trace-flags"},
		{" " + sample, 0, "version must be lower-case hex digits, not ' '", "version"},
		{"0g" + sample[2:], 1, "version must be lower-case hex digits, not 'g'", "version"},
		{"ff" + sample[2:], 0, "version ff is invalid", "version"},
		{"00_" + sample[3:], 2, "a dash must follow version, not '_'", "traceparent Header Field Values"},
		{sample[:10] + "F" + sample[11:], 10, "trace-id must be lower-case hex digits, not 'F'", "trace-id"},
		{sample[:10] + "\x00" + sample[11:], 10, "trace-id must be lower-case hex digits, not byte 0x00", "trace-id"},
		{"00-" + zeros + sample[35:], 3, "trace-id must not be all zero", "trace-id"},
		{sample[:40] + "X" + sample[41:], 40, "parent-id must be lower-case hex digits, not 'X'", "parent-id"},
		{sample[:36] + zeros[:16] + "-01", 36, "parent-id must not be all zero", "parent-id"},
		{sample[:53] + "0A", 54, "trace-flags must be lower-case hex digits, not 'A'", "trace-flags"},
		{sample + "-", 55, "version 00 ends after trace-flags, at 55 characters", "version-format"},
		{"01" + sample[2:] + ".", 55, "in a higher version a dash or the end must follow trace-flags, not '.'", "Versioning of traceparent"},
	} {
		_, err := tracecontext.ParseTraceparent(tt.text)
		checkError(t, tt.text, err, 0, tt.position, tt.rule, tt.section)
	}
	_, err := tracecontext.ParseTraceparent(strings.Repeat("x", 5000))
	if text := err.Error(); len(text) > 400 || !strings.Contains(text, `xx"...`) {
		t.Errorf("a long header gives the error %q", text)
	}
	_, err = tracecontext.ParseTraceparent("x")
	if want := `traceparent "x", position 0: version must be lower-case hex digits, not 'x'`; err.Error() != want {
		t.Errorf("the error is %q, want %q", err, want)
	}
}

func TestTracestateErrors(t *testing.T) {
	long := strings.Repeat("x", 257)
	for _, tt := range []struct {
		fields   []string
		field    int
		position int
		rule     string
		section  string
	}{
		{[]string{"a=1,B=2"}, 0, 4, "a key begins with a-z or 0-9, not 'B'", "Key"},
		{[]string{"a=1,b=2", "", "c=1,\t_=2"}, 2, 5, "a key begins with a-z or 0-9, not '_'", "Key"},
		{[]string{"a=1, b.c=2"}, 0, 6, "a key has only a-z, 0-9 and _ - * / @, not '.'", "Key"},
		{[]string{"a b=1"}, 0, 1, "a key has only a-z, 0-9 and _ - * / @, not ' '", "Key"},
		{[]string{"a\xc3\xa9=1"}, 0, 1, "a key has only a-z, 0-9 and _ - * / @, not byte 0xc3", "Key"},
		{[]string{"=1"}, 0, 0, "a key must not be empty", "Key"},
		{[]string{long + "=1"}, 0, 256, "a key has at most 256 characters", "Key"},
		{[]string{"a=1,b"}, 0, 5, "an equals sign must follow the key", "list-members"},
		{[]string{"a=1,b \t"}, 0, 5, "an equals sign must follow the key", "list-members"},
		{[]string{"a=  "}, 0, 2, "a value must not be empty", "Value"},
		{[]string{"a=1=2"}, 0, 3, "a value has printable ASCII characters without comma and equals sign, not '='", "Value"},
		{[]string{"a=1\x7f"}, 0, 3, "a value has printable ASCII characters without comma and equals sign, not byte 0x7f", "Value"},
		{[]string{"a=" + long}, 0, 258, "a value has at most 256 characters", "Value"},
		{[]string{members(33)}, 0, len(members(32)) + 1, "a list has at most 32 members", "list"},
		{[]string{members(32), "x=1"}, 1, 0, "a list has at most 32 members", "list"},
	} {
		_, err := tracecontext.ParseTracestate(tt.fields...)
		checkError(t, strings.Join(tt.fields, "|"), err, tt.field, tt.position, tt.rule, tt.section)
	}
	_, err := tracecontext.ParseTracestate("foo=1, bar=\x00")
	if want := `tracestate field 1, position 11, in "bar=\x00": a value has printable ASCII characters without comma and equals sign, not byte 0x00`; err.Error() != want {
		t.Errorf("the error is %q, want %q", err, want)
	}
}

func checkError(t *testing.T, text string, err error, field, position int, rule, section string) {
	t.Helper()
	var e *tracecontext.ParseError
	if !errors.As(err, &e) {
		t.Errorf("%.40q: the error %v is no ParseError", text, err)
		return
	}
	if e.Field() != field || e.Position() != position || e.Rule() != rule || e.Section() != section {
		t.Errorf("%.40q: field %d, position %d, %q (%s); want %d, %d, %q (%s)",
			text, e.Field(), e.Position(), e.Rule(), e.Section(), field, position, rule, section)
	}
	if !strings.Contains(err.Error(), rule) || len(err.Error()) > 1000 {
		t.Errorf("%.40q: error text %q", text, err)
	}
}

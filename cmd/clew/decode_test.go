package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

const header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

// runWith returns what the command prints, and its exit code.
func runWith(t *testing.T, stdin string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, stdio{strings.NewReader(stdin), &out, &errs})
	return out.String(), errs.String(), code
}

func TestDecode(t *testing.T) {
	const valid = `traceparent "` + header + `"
  version    00
  trace id   4bf92f3577b34da6a3ce929d0e0e4736
  parent id  00f067aa0ba902b7
  flags      01  sampled; not known to be random
`
	const state = `tracestate "ot=th:c,shop=1"
  ot         th:c
             sampled with probability 25%; each span stands for 4
  shop       1
`
	for _, test := range []struct {
		name, stdin string
		args        []string
		want        string
		code        int
	}{
		{"a traceparent", "", []string{header}, valid, 0},
		{"both headers", "", []string{header, "ot=th:c,shop=1"}, valid + "\n" + state, 0},
		{"an invalid one", "", []string{"00-4bf92f3577b34da6a3ce929d0e0e4736-00F067aa0ba902b7-01"}, `traceparent "00-4bf92f3577b34da6a3ce929d0e0e4736-00F067aa0ba902b7-01"
                                                   ^
  invalid position 38: parent-id must be lower-case hex digits, not 'F' (Trace Context Level 2, "parent-id")
`, 1},
		{"control characters", "", []string{"a=\x1b[31m"}, `tracestate "a=\x1b[31m"
              ^
  invalid position 2: a value has printable ASCII characters without comma and equals sign, not byte 0x1b (Trace Context Level 2, "Value")
`, 1},
		{"what curl prints", "> GET / HTTP/1.1\r\n> traceparent: " + header + "\r\n> tracestate: ot=th:c,shop=1\r\n", nil, valid + "\n" + state, 0},
		{"a log as text", `level=INFO traceparent=` + header + ` tracestate="ot=th:c,shop=1" msg=hi`, nil, valid + "\n" + state, 0},
		{"a log as JSON", `{"traceparent":"` + header + `","tracestate":"ot=th:c,shop=1"}`, nil, valid + "\n" + state, 0},
		{"the same again", header + "\n" + header + "\n", nil, valid, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			stdout, _, code := runWith(t, test.stdin, append([]string{"decode"}, test.args...)...)
			if stdout != test.want || code != test.code {
				t.Errorf("code %d, got\n%s\nwant %d\n%s", code, stdout, test.code, test.want)
			}
		})
	}
	if _, stderr, code := runWith(t, "nothing here", "decode"); code != 1 || !strings.Contains(stderr, "no traceparent or tracestate") {
		t.Errorf("code %d, %q", code, stderr)
	}
}

func TestDecodeAge(t *testing.T) {
	var out bytes.Buffer
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	if err := decode([]string{"00-6a5f1c2077b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}, stdio{out: &out}, time.Unix(0x6a5f1c20+90, 0)); err != nil {
		t.Fatal(err)
	}
	if want := "begins with a time, as those of AWS X-Ray do: 2026-07-21T07:13:36Z, 1m30s ago"; !strings.Contains(out.String(), want) {
		t.Errorf("no %q in\n%s", want, &out)
	}
	out.Reset()
	if err := decode([]string{header}, stdio{out: &out}, now); err != nil || strings.Contains(out.String(), "X-Ray") {
		t.Errorf("%v\n%s", err, &out)
	}
}

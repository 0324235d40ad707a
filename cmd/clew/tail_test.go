package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clewtrace/clew/internal/view"
)

// startTestView starts a clew view that ends with the test.
func startTestView(t *testing.T, page string) *viewer {
	t.Helper()
	v, err := startView(t.Context(), viewConfig{page: page, http: "127.0.0.1:0", memory: view.MinBytes}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.stop() }) //nolint:errcheck // there is no file to close
	return v
}

// sendTrace sends a trace whose id ends in n: a root span and, if a failure is
// given, a failed child.
func sendTrace(t *testing.T, v *viewer, n int, service, name, failure string) {
	t.Helper()
	id := traceIDOf(n)
	quoted := func(s string) string { b, _ := json.Marshal(s); return string(b) }
	spans := fmt.Sprintf(`{"traceId":%q,"spanId":"00000000000000a1","name":%s,"startTimeUnixNano":"1000000000","endTimeUnixNano":"1012300000"}`, id, quoted(name))
	if failure != "" {
		spans += fmt.Sprintf(`,{"traceId":%q,"spanId":"00000000000000a2","parentSpanId":"00000000000000a1","name":"call","startTimeUnixNano":"1001000000","endTimeUnixNano":"1002000000","status":{"code":2,"message":%s}}`, id, quoted(failure))
		spans += fmt.Sprintf(`,{"traceId":%q,"spanId":"00000000000000a3","parentSpanId":"00000000000000a2","name":"inner","startTimeUnixNano":"1001000000","endTimeUnixNano":"1002000000"}`, id)
		spans += fmt.Sprintf(`,{"traceId":%q,"spanId":"00000000000000a4","parentSpanId":"00000000000000a1","name":"last","startTimeUnixNano":"1003000000","endTimeUnixNano":"1004000000"}`, id)
	}
	body := fmt.Sprintf(`{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":%s}}]},"scopeSpans":[{"spans":[%s]}]}]}`, quoted(service), spans)
	if status := request(t, http.MethodPost, v.httpURL+"/v1/traces", body); status != http.StatusOK {
		t.Fatalf("status %d", status)
	}
}

func traceIDOf(n int) string { return fmt.Sprintf("%08x%024x", n, 1) }

// A tailing is a clew tail that runs until the test ends.
type tailing struct {
	t      *testing.T
	lines  *bufio.Reader
	stderr *bufio.Reader
}

func startTail(t *testing.T, v *viewer, args ...string) *tailing {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	er, ew := io.Pipe()
	code := make(chan int)
	go func() {
		c := run(ctx, append([]string{"tail", "-from", v.pageURL, "-settle", "1ms"}, args...), stdio{out: w, err: ew})
		w.Close()  //nolint:errcheck // never fails
		ew.Close() //nolint:errcheck // never fails
		code <- c
	}()
	t.Cleanup(func() {
		cancel()
		r.Close()  //nolint:errcheck // never fails
		er.Close() //nolint:errcheck // never fails
		if c := <-code; c != 0 {
			t.Errorf("exit code %d", c)
		}
	})
	return &tailing{t, bufio.NewReader(r), bufio.NewReader(er)}
}

// times are what differs between time zones.
var times = regexp.MustCompile(`^\d\d:\d\d:\d\d`)

func (r *tailing) expect(want ...string) {
	r.t.Helper()
	for _, w := range want {
		got, err := r.lines.ReadString('\n')
		if err != nil {
			r.t.Fatal(err)
		}
		if got = times.ReplaceAllString(strings.TrimSuffix(got, "\n"), "hh:mm:ss"); got != w {
			r.t.Errorf("got  %q\nwant %q", got, w)
		}
	}
}

func TestTailPrintsTracesAsTheyEnd(t *testing.T) {
	v := startTestView(t, "127.0.0.1:0")
	sendTrace(t, v, 1, "shop", "before", "")
	sendTrace(t, v, 2, "shop", "latest", "")
	tail := startTail(t, v, "-n", "1")
	tail.expect("hh:mm:ss  00000002     12.3ms  ok     shop  latest")
	sendTrace(t, v, 3, "shop", "GET /", "no stock")
	tail.expect("hh:mm:ss  00000003     12.3ms  error  shop  GET /")
	sendTrace(t, v, 4, "pay\x1b[2J", "line\nbreak \x07", "")
	tail.expect(`hh:mm:ss  00000004     12.3ms  ok     pay\x1b[2J  line\nbreak \a`)
}

// A listing answers every request of clew tail with these traces.
type listing []view.Summary

func (l *listing) RoundTrip(*http.Request) (*http.Response, error) {
	body, err := json.Marshal(map[string]any{"traces": *l})
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(bytes.NewReader(body))}, err
}

// TestTailPrintsWhatWasUnderWay: a trace whose root had not arrived when clew tail
// started is printed when it has ended, and only then.
func TestTailPrintsWhatWasUnderWay(t *testing.T) {
	part := view.Summary{ID: traceIDOf(1), Service: "shop", Name: "SELECT", Start: "0", Duration: 5_000_000, Spans: 1, Partial: true}
	whole := view.Summary{ID: traceIDOf(1), Service: "shop", Name: "GET /", Start: "0", Duration: 12_300_000, Spans: 2, Errors: 1}
	for _, test := range []struct {
		name   string
		latest int
		last   view.Summary
		want   string
	}{
		{"among the latest", 10, whole, "hh:mm:ss  00000001     12.3ms  error  shop  GET /\n"},
		{"older", 0, whole, "hh:mm:ss  00000001     12.3ms  error  shop  GET /\n"},
		{"among the latest, without an end", 10, part, "hh:mm:ss  00000001      5.0ms  part   shop  SELECT\n"},
		{"older, without an end", 0, part, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				found := listing{part}
				var out bytes.Buffer
				tail := &tailer{
					tailConfig: tailConfig{latest: test.latest, settle: time.Second},
					source:     &viewClient{"http://view", &http.Client{Transport: &found}},
					out:        tailPrinter{printer{out: &out}},
				}
				for second := range 20 {
					if second == 3 {
						found = listing{test.last}
					}
					if _, err := tail.poll(t.Context()); err != nil {
						t.Fatal(err)
					}
					if out.Len() > 0 && second < 4 {
						t.Errorf("after %d s: %q", second, &out)
					}
					time.Sleep(time.Second)
				}
				if got := times.ReplaceAllString(out.String(), "hh:mm:ss"); got != test.want {
					t.Errorf("got %q, want %q", got, test.want)
				}
			})
		})
	}
}

func TestTailSelectsAsThePageDoes(t *testing.T) {
	v := startTestView(t, "127.0.0.1:0")
	tail := startTail(t, v, "name=GET /", "-service=shop")
	sendTrace(t, v, 1, "shop", "GET /", "")
	sendTrace(t, v, 2, "pay", "GET /x", "")
	sendTrace(t, v, 3, "pay", "GET /", "")
	tail.expect("hh:mm:ss  00000003     12.3ms  ok     pay  GET /")
}

func TestTailPrintsFailedAndSlowTracesAsTrees(t *testing.T) {
	v := startTestView(t, "127.0.0.1:0")
	tail := startTail(t, v, "-tree")
	sendTrace(t, v, 1, "shop", "fine", "")
	tail.expect("hh:mm:ss  00000001     12.3ms  ok     shop  fine")
	sendTrace(t, v, 2, "shop", "GET /", "no\x1b[31m stock")
	tail.expect(
		"trace "+traceIDOf(2)+": 4 spans, 1 service, 12.3ms",
		"shop  GET /  12.3ms",
		`├─ shop  call  1.0ms  error no\x1b[31m stock`,
		"│  └─ shop  inner  1.0ms",
		"└─ shop  last  1.0ms",
		"")
	slow := startTail(t, v, "-tree", "-slow", "10ms", "fine")
	slow.expect("trace "+traceIDOf(1)+": 1 span, 1 service, 12.3ms", "shop  fine  12.3ms", "")
}

func TestTailPrintsOneTrace(t *testing.T) {
	v := startTestView(t, "127.0.0.1:0")
	sendTrace(t, v, 1, "shop", "GET /", "")
	sendTrace(t, v, 2, "shop", "POST /", "")
	want := "trace " + traceIDOf(1) + ": 1 span, 1 service, 12.3ms\nshop  GET /  12.3ms\n\n"
	for _, id := range []string{traceIDOf(1), "00000001"} {
		if stdout, stderr, code := runWith(t, "", "tail", "-from", v.pageURL, "-trace", id); code != 0 || stdout != want {
			t.Errorf("%s: code %d, %q, %q", id, code, stdout, stderr)
		}
	}
	for id, want := range map[string]string{
		traceIDOf(9): "clew tail: the trace is not there: it was not received, or made room for newer ones\n",
		"00000000":   "clew tail: 2 traces have ids that begin with \"00000000\"\n",
	} {
		if id == "00000000" {
			sendTrace(t, v, 0, "shop", "another", "")
			body := strings.NewReplacer("$id", "00000000"+strings.Repeat("2", 24)).Replace(
				`{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"$id","spanId":"00000000000000a1","name":"other"}]}]}]}`)
			request(t, http.MethodPost, v.httpURL+"/v1/traces", body)
		}
		if _, stderr, code := runWith(t, "", "tail", "-from", v.pageURL, "-trace", id); code != 1 || stderr != want {
			t.Errorf("%s: code %d, %q", id, code, stderr)
		}
	}
}

func TestTailJSON(t *testing.T) {
	v := startTestView(t, "127.0.0.1:0")
	tail := startTail(t, v, "-json", "-tree")
	sendTrace(t, v, 1, "shop", "fine", "")
	sendTrace(t, v, 2, "shop", "GET /", "no stock")
	for i, rows := range []int{0, 4} {
		line, err := tail.lines.ReadBytes('\n')
		var trace wholeTrace
		if err != nil || json.Unmarshal(line, &trace) != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if trace.ID != traceIDOf(i+1) || trace.Duration != 12_300_000 || len(trace.Rows) != rows {
			t.Errorf("trace %d: %s", i+1, line)
		}
		if want := []string{"", "no stock"}[i]; trace.Messages["00000000000000a2"] != want {
			t.Errorf("trace %d: messages %v", i+1, trace.Messages)
		}
	}
}

func TestTailWaitsForAViewThatGoesAway(t *testing.T) {
	v := startTestView(t, "127.0.0.1:0")
	tail := startTail(t, v)
	sendTrace(t, v, 1, "shop", "one", "")
	tail.expect("hh:mm:ss  00000001     12.3ms  ok     shop  one")
	address := strings.TrimPrefix(v.pageURL, "http://")
	if err := v.stop(); err != nil {
		t.Fatal(err)
	}
	if said, err := tail.stderr.ReadString('\n'); err != nil || !strings.HasSuffix(said, "; waiting for it\n") {
		t.Errorf("it says %q, %v", said, err)
	}
	v = startTestView(t, address)
	if said, err := tail.stderr.ReadString('\n'); err != nil || said != "clew tail: "+v.pageURL+" is back\n" {
		t.Errorf("it says %q, %v", said, err)
	}
	sendTrace(t, v, 2, "shop", "two", "")
	tail.expect("hh:mm:ss  00000002     12.3ms  ok     shop  two")
}

func TestTailErrors(t *testing.T) {
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"-from", "127.0.0.1:1"}, 1, "no clew view answers"},
		{[]string{"-from", "ftp://x"}, 2, "such as http://127.0.0.1:4380"},
		{[]string{"-n", "-1"}, 2, "must be 0 to 1000"},
		{[]string{"-settle", "0"}, 2, "must be more than 0"},
		{[]string{"-slow", "-1s"}, 2, "must be 0 or more"},
		{[]string{"duration>x"}, 2, "must be a duration"},
		{[]string{"-trace", "12345678", "error"}, 2, "takes no terms"},
		{[]string{"error", "-tree"}, 2, `-tree stands behind the term "error": flags come first`},
		{[]string{"error", "-n=3"}, 2, "flags come first"},
	} {
		if _, stderr, code := runWith(t, "", append([]string{"tail"}, c.args...)...); code != c.code || !strings.Contains(stderr, c.want) {
			t.Errorf("%v: code %d, %q; want %d, %q", c.args, code, stderr, c.code, c.want)
		}
	}
}

func TestTailInANarrowTerminal(t *testing.T) {
	s := view.Summary{ID: traceIDOf(1), Service: "shop", Name: "GET /orders/{id}", Start: "0", Duration: 12_300_000, Errors: 1}
	for width, want := range map[int]string{
		0:  "hh:mm:ss  00000001     12.3ms  error  shop  GET /orders/{id}\n",
		80: "hh:mm:ss  00000001     12.3ms  error  shop  GET /orders/{id}\n",
		40: "   12.3ms  error  shop  GET /orders/{id}\n",
		36: "   12.3ms  error  shop  GET /orders…\n",
		20: "   12.3ms  error  s…\n",
		5:  "   12.3ms  error\n",
	} {
		var out bytes.Buffer
		p := tailPrinter{printer{out: &out, width: width}}
		if err := p.line(s); err != nil {
			t.Fatal(err)
		}
		if got := times.ReplaceAllString(out.String(), "hh:mm:ss"); got != want {
			t.Errorf("%d columns: got %q, want %q", width, got, want)
		}
	}
	var out bytes.Buffer
	p := tailPrinter{printer{out: &out, colour: true, width: 80}}
	if err := p.line(s); err != nil || !strings.Contains(out.String(), "\x1b[31merror\x1b[0m  shop") {
		t.Errorf("in colour: %q, %v", &out, err)
	}
}

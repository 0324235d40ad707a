package propagator_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/clewtrace/clew/propagator"
	"github.com/clewtrace/clew/tracecontext"
)

// service is a traced HTTP service that calls another one, as the test suite
// of the Recommendation wants it. It listens and calls on loopback.
type service struct {
	addr  string
	calls chan http.Header
}

func newService(t *testing.T, p propagation.TextMapPropagator) *service {
	t.Helper()
	tp := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.AlwaysSample())))
	opts := []otelhttp.Option{otelhttp.WithTracerProvider(tp), otelhttp.WithPropagators(p)}
	s := &service{calls: make(chan http.Header, 8)}

	next := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		s.calls <- r.Header
	}))
	client := &http.Client{Transport: otelhttp.NewTransport(http.DefaultTransport, opts...)}
	service := httptest.NewServer(otelhttp.NewHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for range r.URL.Query()["call"] {
			req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, next.URL, http.NoBody)
			if err != nil {
				t.Error(err)
				return
			}
			res, err := client.Do(req)
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.Copy(w, res.Body)
			_ = res.Body.Close()
		}
	}), "service", opts...))
	s.addr = service.Listener.Addr().String()
	t.Cleanup(func() {
		service.Close()
		next.Close()
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
		_ = tp.Shutdown(t.Context())
	})
	return s
}

// request sends header lines exactly as written and returns the header of each
// of the calls that the service makes.
func (s *service) request(t *testing.T, calls int, lines ...string) []http.Header {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /?%s HTTP/1.1\r\nHost: service\r\nConnection: close\r\n", strings.Repeat("call&", calls))
	for _, line := range lines {
		fmt.Fprintf(conn, "%s\r\n", line)
	}
	fmt.Fprint(conn, "\r\n")
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Fatalf("status %s", res.Status)
	}
	var headers []http.Header
	for range calls {
		headers = append(headers, <-s.calls)
	}
	return headers
}

func traceparentIn(t *testing.T, h http.Header) tracecontext.Traceparent {
	t.Helper()
	if n := len(h.Values("traceparent")); n != 1 {
		t.Fatalf("%d traceparent fields were sent: %q", n, h.Values("traceparent"))
	}
	tp, err := tracecontext.ParseTraceparent(h.Get("traceparent"))
	if err != nil {
		t.Fatal(err)
	}
	return tp
}

const (
	suiteTrace  = "12345678901234567890123456789012"
	suiteSpan   = "1234567890123456"
	suiteParent = "traceparent: 00-" + suiteTrace + "-" + suiteSpan + "-00"
)

func numbered(from, to int) string {
	var s []string
	for i := from; i <= to; i++ {
		s = append(s, fmt.Sprintf("bar%02d=%02d", i, i))
	}
	return strings.Join(s, ",")
}

func TestTraceparentThroughService(t *testing.T) {
	s := newService(t, propagator.New())
	ids := suiteTrace + "-" + suiteSpan
	lines := func(values ...string) (lines []string) {
		for _, v := range values {
			lines = append(lines, "traceparent: "+v)
		}
		return lines
	}
	for _, tt := range []struct {
		rule      string
		continued bool
		lines     []string
	}{
		{"both headers missing", false, nil},
		{"traceparent without tracestate", true, lines("00-" + ids + "-01")},
		{"duplicated", false, lines("00-"+suiteTrace[1:]+"1-"+suiteSpan+"-01", "00-"+ids+"-01")},
		{"duplicated with the same value", false, lines("00-"+ids+"-01", "00-"+ids+"-01")},
		{"duplicated in two spellings", false, []string{"traceparent: 00-" + ids + "-01", "TRACEPARENT: 00-" + ids + "-01"}},
		{"two values in one field", false, lines("00-" + ids + "-01,00-" + ids + "-01")},
		{"name with a dash", false, []string{"trace-parent: 00-" + ids + "-01"}},
		{"name with a dot", false, []string{"trace.parent: 00-" + ids + "-01"}},
		{"name TraceParent", true, []string{"TraceParent: 00-" + ids + "-01"}},
		{"name TrAcEpArEnT", true, []string{"TrAcEpArEnT: 00-" + ids + "-01"}},
		{"name TRACEPARENT", true, []string{"TRACEPARENT: 00-" + ids + "-01"}},
		{"version 00 with a character more", false, lines("00-" + ids + "-01.")},
		{"version 00 with a dash more", false, lines("00-" + ids + "-01-")},
		{"version 00 with more", false, lines("00-" + ids + "-01-what-the-future-will-be-like")},
		{"version cc", true, lines("cc-" + ids + "-01")},
		{"version cc with more", true, lines("cc-" + ids + "-01-what-the-future-will-be-like")},
		{"version cc with more and no dash", false, lines("cc-" + ids + "-01.what-the-future-will-be-like")},
		{"version ff", false, lines("ff-" + ids + "-01")},
		{"version with illegal first character", false, lines(".0-" + ids + "-01")},
		{"version with illegal second character", false, lines("0.-" + ids + "-01")},
		{"version of three digits", false, lines("000-" + ids + "-01")},
		{"version of four digits", false, lines("0000-" + ids + "-01")},
		{"version of one digit", false, lines("0-" + ids + "-01")},
		{"trace id all zero", false, lines("00-" + strings.Repeat("0", 32) + "-" + suiteSpan + "-01")},
		{"trace id with illegal first character", false, lines("00-." + suiteTrace[1:] + "-" + suiteSpan + "-01")},
		{"trace id with illegal last character", false, lines("00-" + suiteTrace[:31] + ".-" + suiteSpan + "-01")},
		{"trace id too long", false, lines("00-" + suiteTrace + "3-" + suiteSpan + "-01")},
		{"trace id too short", false, lines("00-" + suiteTrace[:31] + "-" + suiteSpan + "-01")},
		{"parent id all zero", false, lines("00-" + suiteTrace + "-0000000000000000-01")},
		{"parent id with illegal first character", false, lines("00-" + suiteTrace + "-." + suiteSpan[1:] + "-01")},
		{"parent id with illegal last character", false, lines("00-" + suiteTrace + "-" + suiteSpan[:15] + ".-01")},
		{"parent id too long", false, lines("00-" + ids + "7-01")},
		{"parent id too short", false, lines("00-" + ids[:48] + "-01")},
		{"flags with illegal first character", false, lines("00-" + ids + "-.0")},
		{"flags with illegal second character", false, lines("00-" + ids + "-0.")},
		{"flags too long", false, lines("00-" + ids + "-001")},
		{"flags too short", false, lines("00-" + ids + "-1")},
		{"unknown flags", true, lines("00-" + ids + "-ff")},
		{"space before", true, lines(" 00-" + ids + "-01")},
		{"tab before", true, lines("\t00-" + ids + "-01")},
		{"space after", true, lines("00-" + ids + "-01 ")},
		{"tab after", true, lines("00-" + ids + "-01\t")},
		{"tabs and spaces around", true, lines("\t 00-" + ids + "-01 \t")},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			got := traceparentIn(t, s.request(t, 1, tt.lines...)[0])
			text := got.String()
			if continued := strings.Contains(text, suiteTrace); continued != tt.continued {
				t.Errorf("sent %s after %q; trace continued: %t, want %t", text, tt.lines, continued, tt.continued)
			}
			if strings.Contains(text, suiteSpan+"-") {
				t.Errorf("sent %s, the parent id is the received one", text)
			}
			if strings.Contains(text, strings.Repeat("0", 32)) {
				t.Errorf("sent %s", text)
			}
		})
	}
}

func TestFlagsThroughService(t *testing.T) {
	s := newService(t, propagator.New())
	for received, want := range map[string]tracecontext.Flags{"00": 0, "01": 1, "02": 2, "03": 3, "04": 0, "09": 1, "ff": 3} {
		got := traceparentIn(t, s.request(t, 1, "traceparent: 00-"+suiteTrace+"-"+suiteSpan+"-"+received)[0])
		if got.Flags() != want || fmt.Sprintf("%x", got.TraceID()) != suiteTrace {
			t.Errorf("flags %s were sent as %q", received, got)
		}
	}
}

func TestTracestateThroughService(t *testing.T) {
	s := newService(t, propagator.New())
	key := "abcdefghijklmnopqrstuvwxyz0123456789_-*/"
	var chars []byte
	for c := byte(0x20); c <= 0x7e; c++ {
		if c != ',' && c != '=' {
			chars = append(chars, c)
		}
	}
	value := string(chars)
	z := func(n int) string { return strings.Repeat("z", n) }
	for _, tt := range []struct {
		rule   string
		fields []string
		want   string
	}{
		{"inherited", []string{"foo=1,bar=2"}, "foo=1,bar=2"},
		{"empty field", []string{""}, ""},
		{"empty field after another", []string{"foo=1", ""}, "foo=1"},
		{"empty field before another", []string{"", "foo=1"}, "foo=1"},
		{"several fields", []string{"foo=1,bar=2", "rojo=1,congo=2", "baz=3"}, "foo=1,bar=2,rojo=1,congo=2,baz=3"},
		{"duplicated key, same value", []string{"foo=1,foo=1"}, "foo=1"},
		{"duplicated key, other value", []string{"foo=1,foo=2"}, "foo=1"},
		{"duplicated key in another field, same value", []string{"foo=1", "foo=1"}, "foo=1"},
		{"duplicated key in another field, other value", []string{"foo=1", "foo=2"}, "foo=1"},
		{"all characters of a simple key", []string{key + "=" + value}, key + "=" + value},
		{"all characters of a key with a system", []string{key + "@a-z0-9_-*/=" + value}, key + "@a-z0-9_-*/=" + value},
		{"spaces and tabs around members", []string{"foo=1 \t , \t bar=2, \t baz=3"}, "foo=1,bar=2,baz=3"},
		{"tabs and spaces around members", []string{"foo=1\t \t,\t \tbar=2,\t \tbaz=3"}, "foo=1,bar=2,baz=3"},
		{"space before", []string{" foo=1"}, "foo=1"},
		{"tab before", []string{"\tfoo=1"}, "foo=1"},
		{"space after", []string{"foo=1 "}, "foo=1"},
		{"tab after", []string{"foo=1\t"}, "foo=1"},
		{"tabs and spaces around", []string{"\t foo=1 \t"}, "foo=1"},
		{"key with a space", []string{"foo =1"}, ""},
		{"key in upper case", []string{"FOO=1"}, ""},
		{"key with a dot", []string{"foo.bar=1"}, ""},
		{"key ends in an at sign", []string{"foo@=1,bar=2"}, "foo@=1,bar=2"},
		{"key begins with an at sign", []string{"@foo=1,bar=2"}, ""},
		{"key with two at signs", []string{"foo@@bar=1,bar=2"}, "foo@@bar=1,bar=2"},
		{"key with two parts after the at sign", []string{"foo@bar@baz=1,bar=2"}, "foo@bar@baz=1,bar=2"},
		{"key begins with a digit", []string{"1a=1"}, "1a=1"},
		{"32 members", []string{numbered(1, 10), numbered(11, 20), numbered(21, 30), numbered(31, 32)}, numbered(1, 32)},
		{"33 members", []string{numbered(1, 10), numbered(11, 20), numbered(21, 30), numbered(31, 33)}, ""},
		{"key of 256 characters", []string{"foo=1", z(256) + "=1"}, "foo=1," + z(256) + "=1"},
		{"key of 257 characters", []string{"foo=1", z(257) + "=1"}, ""},
		{"241 and 14 characters", []string{"foo=1", z(241) + "@" + z(14) + "=1"}, "foo=1," + z(241) + "@" + z(14) + "=1"},
		{"242 characters before the at sign", []string{"foo=1", z(242) + "@v=1"}, "foo=1," + z(242) + "@v=1"},
		{"15 characters after the at sign", []string{"foo=1", "t@" + z(15) + "=1"}, "foo=1,t@" + z(15) + "=1"},
		{"value with an equals sign", []string{"foo=bar=baz"}, ""},
		{"empty value", []string{"foo=,bar=3"}, ""},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			lines := []string{suiteParent}
			for _, f := range tt.fields {
				lines = append(lines, "tracestate: "+f)
			}
			h := s.request(t, 1, lines...)[0]
			if got := traceparentIn(t, h).String(); !strings.HasPrefix(got, "00-"+suiteTrace) {
				t.Errorf("tracestate %q: the trace was not continued: %s", tt.fields, got)
			}
			if got := h.Values("tracestate"); strings.Join(got, "|") != tt.want {
				t.Errorf("tracestate %q was sent as %q, want %q", tt.fields, got, tt.want)
			}
		})
	}
	for _, tt := range []struct {
		rule  string
		lines []string
		want  string
	}{
		{"without traceparent", []string{"tracestate: foo=1"}, ""},
		{"with an invalid traceparent", []string{"traceparent: 00-x", "tracestate: foo=1"}, ""},
		{"name with a dash", []string{suiteParent, "trace-state: foo=1"}, ""},
		{"name with a dot", []string{suiteParent, "trace.state: foo=1"}, ""},
		{"name TraceState", []string{suiteParent, "TraceState: foo=1"}, "foo=1"},
		{"name TrAcEsTaTe", []string{suiteParent, "TrAcEsTaTe: foo=1"}, "foo=1"},
		{"name TRACESTATE", []string{suiteParent, "TRACESTATE: foo=1"}, "foo=1"},
		{"two spellings are one list", []string{suiteParent, "tracestate: foo=1", "TRACESTATE: bar=2"}, "foo=1,bar=2"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if got := s.request(t, 1, tt.lines...)[0].Get("tracestate"); got != tt.want {
				t.Errorf("%q was sent as %q, want %q", tt.lines, got, tt.want)
			}
		})
	}
}

func TestSeveralCallsOfService(t *testing.T) {
	s := newService(t, propagator.New())
	for _, tt := range []struct {
		rule, line string
		continued  bool
	}{
		{"valid traceparent", "traceparent: 00-" + suiteTrace + "-" + suiteSpan + "-01", true},
		{"no traceparent", "X-Other: 1", false},
		{"invalid traceparent", "traceparent: 00-" + strings.Repeat("0", 32) + "-" + suiteSpan + "-01", false},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			var parents [][8]byte
			var traces [][16]byte
			for _, h := range s.request(t, 3, tt.line) {
				tp := traceparentIn(t, h)
				if slices.Contains(parents, tp.ParentID()) {
					t.Errorf("two calls with the parent id %x", tp.ParentID())
				}
				parents = append(parents, tp.ParentID())
				traces = append(traces, tp.TraceID())
				if got := fmt.Sprintf("%x", tp.TraceID()); (got == suiteTrace) != tt.continued {
					t.Errorf("sent trace id %s", got)
				}
			}
			if len(slices.Compact(traces)) != 1 {
				t.Errorf("one request, trace ids %x", traces)
			}
		})
	}
}

package interop_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// caller is what a caller says about its span. Its trace id begins with 8 zero
// bytes, for ottrace carries 64 bits only.
type caller struct {
	trace, span string // 16 hexadecimal digits each
	sampled     bool
	random      bool // only traceparent can say so
}

var (
	w3cCaller     = caller{"a3ce929d0e0e4736", "00f067aa0ba902b7", true, true}
	sampledCaller = caller{"a3ce929d0e0e4736", "00f067aa0ba902b7", true, false}
	otherCaller   = caller{"5b8efff798038103", "eee19b7ec3c1b174", false, false}
)

func (c caller) traceID() string { return strings.Repeat("0", 16) + c.trace }

func (c caller) flag(yes, no string) string {
	if c.sampled {
		return yes
	}
	return no
}

const callerState = "clew=t1"

// format is an older format of headers, as its own documents write it. These
// are literal, so that what is tested is the bytes and not a round trip.
type format struct {
	name   string // in OTEL_PROPAGATORS
	header func(c caller) map[string]string
}

func traceparent(c caller) map[string]string {
	flags := c.flag("01", "00")
	if c.random {
		flags = c.flag("03", "02")
	}
	return map[string]string{"Traceparent": "00-" + c.traceID() + "-" + c.span + "-" + flags}
}

var formats = []format{
	{"b3", func(c caller) map[string]string {
		return map[string]string{"B3": c.traceID() + "-" + c.span + "-" + c.flag("1", "0")}
	}},
	{"b3multi", func(c caller) map[string]string {
		return map[string]string{"X-B3-Traceid": c.traceID(), "X-B3-Spanid": c.span, "X-B3-Sampled": c.flag("1", "0")}
	}},
	{"jaeger", func(c caller) map[string]string {
		return map[string]string{"Uber-Trace-Id": c.traceID() + ":" + c.span + ":0:" + c.flag("1", "0")}
	}},
	{"xray", func(c caller) map[string]string {
		id := c.traceID()
		return map[string]string{"X-Amzn-Trace-Id": "Root=1-" + id[:8] + "-" + id[8:] + ";Parent=" + c.span + ";Sampled=" + c.flag("1", "0")}
	}},
	{"ottrace", func(c caller) map[string]string {
		return map[string]string{"Ot-Tracer-Traceid": c.trace, "Ot-Tracer-Spanid": c.span, "Ot-Tracer-Sampled": c.flag("true", "false")}
	}},
}

// configured is a service of ours with the given OTEL_PROPAGATORS, in a process
// of its own.
type configured struct {
	t          *testing.T
	list       string
	url, after string // the service, and one that only records
}

func configure(t *testing.T, list string) configured {
	t.Helper()
	after := httptest.NewServer(endpoint())
	t.Cleanup(after.Close)
	env := []string{"OTEL_PROPAGATORS=" + list, "OTEL_TRACES_EXPORTER=none", "OTEL_METRICS_EXPORTER=none", "OTEL_LOGS_EXPORTER=none"}
	return configured{t, list, startLibrary(t, "ours", env), after.URL}
}

// call sends headers and returns what the service made of them, and what it
// sent on.
func (c configured) call(headers ...map[string]string) (record, http.Header) {
	c.t.Helper()
	var fields []string
	for _, h := range headers {
		for name, value := range h {
			fields = append(fields, name, value)
		}
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	records, err := visit(c.t.Context(), client, c.url+","+c.after, fields...)
	if err != nil {
		c.t.Fatal(err)
	}
	return records[0], records[1].Received
}

// continued checks that the service went on with the caller's trace.
func (c configured) continued(r record, from caller) {
	c.t.Helper()
	parent := ""
	if from.sampled {
		parent = from.span // an unsampled span keeps none
	}
	if r.TraceID != from.traceID() || r.Sampled != from.sampled || r.ParentID != parent {
		c.t.Errorf("%s: got trace %s, parent %s, sampled %v from %v; want %+v", c.list, r.TraceID, r.ParentID, r.Sampled, r.Received, from)
	}
}

// forwarded checks that the caller's trace goes on in exactly the given formats.
func (c configured) forwarded(got http.Header, from caller, in ...func(caller) map[string]string) {
	c.t.Helper()
	var wanted []string
	for _, header := range in {
		want := header(from)
		for name, value := range want {
			// The span is one that the service made.
			digits := strings.NewReplacer(from.span, strings.Repeat("?", 16)).Replace(value)
			if !matches(got.Get(name), digits) {
				c.t.Errorf("%s: sent %s: %q, want %q", c.list, name, got.Get(name), digits)
			}
		}
		wanted = slices.Concat(wanted, slices.Collect(maps.Keys(want)))
	}
	for _, f := range append(slices.Clone(formats), format{"tracecontext", traceparent}) {
		for name := range f.header(from) {
			if got.Get(name) != "" && !slices.Contains(wanted, name) {
				c.t.Errorf("%s: sent %s too", c.list, name)
			}
		}
	}
}

// matches compares a header with one in which ? stands for a hexadecimal digit.
func matches(got, pattern string) bool {
	if len(got) != len(pattern) {
		return false
	}
	for i := range len(got) {
		if pattern[i] != got[i] && (pattern[i] != '?' || strings.IndexByte("0123456789abcdef", got[i]) < 0) {
			return false
		}
	}
	return true
}

func TestFormatAlone(t *testing.T) {
	for _, f := range formats {
		t.Run(f.name, func(t *testing.T) {
			ours := configure(t, f.name)
			for _, from := range []caller{sampledCaller, otherCaller} {
				r, sent := ours.call(f.header(from), traceparent(caller{"1111111111111111", "2222222222222222", !from.sampled, true}))
				ours.continued(r, from)
				ours.forwarded(sent, from, f.header)
			}
		})
	}
}

// TestFormatBesideOurs: each format in the list is written, whichever came, and
// the order of preference when their headers disagree is that of the list: the
// last whose header is valid wins, with all it says. Nothing of the others is
// mixed in, and what the winner said is forwarded in all formats.
func TestFormatBesideOurs(t *testing.T) {
	for _, f := range formats {
		for _, last := range []string{f.name, "tracecontext"} {
			list := strings.Join([]string{"tracecontext", f.name}, ",")
			if last == "tracecontext" {
				list = f.name + ",tracecontext"
			}
			t.Run(list, func(t *testing.T) {
				ours := configure(t, list)
				one := func(what string, headers map[string]string, from caller) {
					t.Helper()
					r, sent := ours.call(headers)
					ours.continued(r, from)
					ours.forwarded(sent, from, traceparent, f.header)
					if t.Failed() {
						t.Log(what)
					}
				}
				one("only W3C", traceparent(w3cCaller), w3cCaller)
				one("only the other", f.header(sampledCaller), sampledCaller)
				one("only the other, unsampled", f.header(otherCaller), otherCaller)

				winner, state := otherCaller, ""
				if last == "tracecontext" {
					winner, state = w3cCaller, callerState
				}
				r, sent := ours.call(traceparent(w3cCaller), map[string]string{"Tracestate": callerState}, f.header(otherCaller))
				ours.continued(r, winner)
				ours.forwarded(sent, winner, traceparent, f.header)
				if got := sent.Get("Tracestate"); got != state {
					t.Errorf("%s: forwarded tracestate %q, want %q", list, got, state)
				}

				// A header that is not valid does not undo what another one said.
				malformed := func(header map[string]string) map[string]string {
					bad := map[string]string{}
					for name := range header {
						bad[name] = "?"
					}
					return bad
				}
				r, sent = ours.call(traceparent(w3cCaller), malformed(f.header(otherCaller)))
				ours.continued(r, w3cCaller)
				ours.forwarded(sent, w3cCaller, traceparent, f.header)
				r, sent = ours.call(malformed(traceparent(w3cCaller)), f.header(otherCaller))
				ours.continued(r, otherCaller)
				ours.forwarded(sent, otherCaller, traceparent, f.header)
			})
		}
	}
}

// TestAllFormats has every format in one list. One header after the other is
// added, each with another trace.
func TestAllFormats(t *testing.T) {
	names := []string{"tracecontext"}
	writers := []func(caller) map[string]string{traceparent}
	for _, f := range formats {
		names, writers = append(names, f.name), append(writers, f.header)
	}
	ours := configure(t, strings.Join(names, ","))
	headers := map[string]string{}
	var winner caller
	for i, header := range writers {
		from := caller{fmt.Sprintf("%016x", 0xa0+i), fmt.Sprintf("%016x", 0xb0+i), i%2 == 0, false}
		maps.Copy(headers, header(from))
		// b3 and b3multi both read both ways of writing it, and prefer the
		// single header: B3 Propagation, "Single Header".
		if names[i] != "b3multi" {
			winner = from
		}
		r, sent := ours.call(headers)
		ours.continued(r, winner)
		ours.forwarded(sent, winner, writers...)
	}
}

package e2e_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
	logspb "go.opentelemetry.io/proto/otlp/logs/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/clewtrace/clew/e2e/internal/jaeger"
	"github.com/clewtrace/clew/e2e/internal/spantree"
	"github.com/clewtrace/clew/internal/otlpreceiver"
)

func TestTutorialInJaeger(t *testing.T) {
	programs := buildExamples(t)
	store := jaeger.Start(t, jaeger.Config{})
	url := programs.runTutorial(t, exportTo(store.OTLP), "OTEL_METRICS_EXPORTER=none", "OTEL_LOGS_EXPORTER=console")
	spans := spantree.FromTraces(store.WaitTrace(t, "client", 4))

	t.Run("holds what the examples record", func(t *testing.T) {
		got := spantree.Format(spans, func(s spantree.Span) []string { return constant(s, url) })
		if got != recorded {
			t.Errorf("got\n%s\nwant\n%s", got, recorded)
		}
	})
	t.Run("has the shape of the reference", func(t *testing.T) {
		want := readReference(t)
		for i := range want {
			want[i].Logs = nil // Jaeger stores no logs
		}
		compareShapes(t, spans, want)
	})
}

// TestTutorialInReceiver includes the log records, which Jaeger does not store.
func TestTutorialInReceiver(t *testing.T) {
	var store otlpreceiver.Store
	receiver := httptest.NewServer(store.Handler())
	defer receiver.Close()
	url := buildExamples(t).runTutorial(t, exportTo(receiver.URL))
	spans, outside := received(t, &store)

	t.Run("holds what the examples record", func(t *testing.T) {
		got := spantree.Format(spans, func(s spantree.Span) []string { return constant(s, url) })
		if got != recordedWithLogs {
			t.Errorf("got\n%s\nwant\n%s", got, recordedWithLogs)
		}
		if want := []string{"Listening on " + url}; !slices.Equal(outside, want) {
			t.Errorf("log records outside of spans: %q, want %q", outside, want)
		}
	})
	t.Run("has the shape of the reference", func(t *testing.T) {
		compareShapes(t, spans, readReference(t))
	})
}

func TestFailedCallInReceiver(t *testing.T) {
	var store otlpreceiver.Store
	receiver := httptest.NewServer(store.Handler())
	defer receiver.Close()
	const nobody = "http://127.0.0.1:1/"
	client := buildExamples(t).startClient(t, nobody, exportTo(receiver.URL))
	if code := client.Wait(t, exitLimit); code != 1 {
		t.Errorf("exit code is %d, want 1", code)
	}
	spans, _ := received(t, &store)
	got := spantree.Format(spans, func(s spantree.Span) []string {
		s.Logs = nil
		return constant(s, nobody)
	})
	if got != recordedFailure {
		t.Errorf("got\n%s\nwant\n%s", got, recordedFailure)
	}
}

// received returns the spans of a store with the log records written in them,
// and the bodies of the records that belong to no span.
func received(t *testing.T, store *otlpreceiver.Store) (spans []spantree.Span, outside []string) {
	t.Helper()
	var traces tracepb.TracesData
	for _, s := range store.Spans() {
		traces.ResourceSpans = append(traces.ResourceSpans, &tracepb.ResourceSpans{
			Resource:   s.Resource,
			ScopeSpans: []*tracepb.ScopeSpans{{Scope: s.Scope, Spans: []*tracepb.Span{s.Span}}},
		})
	}
	var logs logspb.LogsData
	for _, l := range store.Logs() {
		logs.ResourceLogs = append(logs.ResourceLogs, &logspb.ResourceLogs{
			Resource:  l.Resource,
			ScopeLogs: []*logspb.ScopeLogs{{Scope: l.Scope, LogRecords: []*logspb.LogRecord{l.LogRecord}}},
		})
	}
	td, err := new(ptrace.ProtoUnmarshaler).UnmarshalTraces(marshal(t, &traces))
	if err != nil {
		t.Fatal(err)
	}
	ld, err := new(plog.ProtoUnmarshaler).UnmarshalLogs(marshal(t, &logs))
	if err != nil {
		t.Fatal(err)
	}
	spans = spantree.FromTraces(td)
	return spans, spantree.AddLogs(spans, ld)
}

func marshal(t *testing.T, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// constant describes a span with what differs from run to run masked.
func constant(s spantree.Span, url string) []string {
	lines := spantree.Describe(s)
	for i, line := range lines {
		line = strings.ReplaceAll(line, url, "http://localhost:8000/")
		for _, v := range variable {
			line = v.pattern.ReplaceAllString(line, v.mask)
		}
		lines[i] = line
	}
	return lines
}

// variable are the values that differ from run to run. The patterns hold the
// types: a timestamp that became a double or a string matches none.
var variable = []struct {
	pattern *regexp.Regexp
	mask    string
}{
	{regexp.MustCompile(`timestamp=\d{13}( |$)`), "timestamp=MILLISECONDS$1"},
	{regexp.MustCompile(`request_id="[A-Z2-7]{26}"`), "request_id=RANDOM"},
	{regexp.MustCompile(`(server|network\.peer)\.port=\d+`), "$1.port=PORT"},
}

// recordedWithLogs is the tree that one run of the tutorial leaves behind. The
// server's handler is no mux, so its span is named by the method alone.
const recordedWithLogs = `client call-api INTERNAL (api-client 1.0.0)
  event received_response status=200 timestamp=MILLISECONDS
  log Client: Starting API call
  log Client: Received response: {"message":"Hello from server!"}
    client GET CLIENT (github.com/clewtrace/clew/clewhttp)
      http.request.method="GET" http.response.status_code=200 network.protocol.version="1.1" server.address="127.0.0.1" server.port=PORT url.full="http://localhost:8000/" url.path="/" url.scheme="http"
        server GET SERVER (github.com/clewtrace/clew/clewhttp)
          client.address="127.0.0.1" http.request.method="GET" http.response.body.size=33 http.response.status_code=200 network.peer.address="127.0.0.1" network.peer.port=PORT network.protocol.version="1.1" server.address="127.0.0.1" server.port=PORT url.full="http://localhost:8000/" url.path="/" url.scheme="http" user_agent.original="Go-http-client/1.1"
            server GET / INTERNAL (api-server 1.0.0)
              http.route="/"
              event processing_request request_id=RANDOM timestamp=MILLISECONDS
              log Server: Processing request in trace context
`

// recorded is the same as a store that takes no log records holds it.
var recorded = regexp.MustCompile(`(?m)^ +log .*\n`).ReplaceAllString(recordedWithLogs, "")

const recordedFailure = `client call-api INTERNAL (api-client 1.0.0) ERROR Get "http://localhost:8000/": dial tcp 127.0.0.1:1: connect: connection refused
  event exception exception.message="Get \"http://localhost:8000/\": dial tcp 127.0.0.1:1: connect: connection refused" exception.type="*url.Error"
    client GET CLIENT (github.com/clewtrace/clew/clewhttp) ERROR dial tcp 127.0.0.1:1: connect: connection refused
      error.type="*net.OpError" http.request.method="GET" server.address="127.0.0.1" server.port=PORT url.full="http://localhost:8000/" url.path="/" url.scheme="http"
`

// readReference returns the tutorial's trace as the original programs recorded
// it. The recording lies outside of the repository, in a directory beside it.
func readReference(t *testing.T) []spantree.Span {
	t.Helper()
	content, err := findReference()
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("no reference recording beside this repository")
	} else if err != nil {
		t.Fatal(err)
	}
	type value struct {
		Type  string
		Value any
	}
	var reference struct {
		Spans []struct {
			Service                          string
			Scope                            struct{ Name, Version string }
			Name, Kind, SpanID, ParentSpanID string
			Attributes                       map[string]value
			Events                           []struct {
				Name       string
				Attributes map[string]value
			}
			Status struct{ Code int }
		}
		Logs []struct {
			SpanID string
			Body   struct{ Value string }
		}
	}
	if err := json.Unmarshal(content, &reference); err != nil {
		t.Fatal(err)
	}
	attributes := func(from map[string]value) spantree.Attributes {
		to := make(spantree.Attributes)
		for key, v := range from {
			to[key] = fmt.Sprint(v.Value)
		}
		return to
	}
	var spans []spantree.Span
	for _, s := range reference.Spans {
		span := spantree.Span{
			ID: s.SpanID, Parent: s.ParentSpanID, Service: s.Service, Scope: s.Scope.Name, ScopeVersion: s.Scope.Version,
			Name: s.Name, Kind: s.Kind, Attributes: attributes(s.Attributes),
			Status: []string{"", "OK", "ERROR"}[s.Status.Code],
		}
		for _, e := range s.Events {
			span.Events = append(span.Events, spantree.Event{Name: e.Name, Attributes: attributes(e.Attributes)})
		}
		for _, l := range reference.Logs {
			if l.SpanID == s.SpanID {
				span.Logs = append(span.Logs, strings.TrimSuffix(l.Body.Value, "\n"))
			}
		}
		spans = append(spans, span)
	}
	return spans
}

func findReference() ([]byte, error) {
	dir, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	for {
		content, err := os.ReadFile(filepath.Join(dir, "shared", "reference", "deno-tutorial.json"))
		up := filepath.Dir(dir)
		if !errors.Is(err, fs.ErrNotExist) || up == dir {
			return content, err
		}
		dir = up
	}
}

// compareShapes compares what does not depend on the runtime.
func compareShapes(t *testing.T, got, want []spantree.Span) {
	t.Helper()
	g, w := spantree.Format(got, shape), spantree.Format(want, shape)
	if g != w {
		t.Errorf("got\n%s\nwant\n%s", g, w)
	}
}

// shape describes a span with what the tutorial gives it: for the spans of its
// own, all but values; for the two that the runtime records, what the original
// runtime records and not what Go adds to that.
func shape(s spantree.Span) []string {
	head := s.Service + " " + s.Kind + " " + s.Status
	var lines []string
	if s.Kind == "INTERNAL" {
		lines = append(lines, head+" "+s.Name+" "+s.Scope+" "+s.ScopeVersion, strings.Join(s.Attributes.Keys(), " "))
	} else {
		// The method is the name, and where the mux matched one, the route follows.
		method, _, _ := strings.Cut(s.Name, " ")
		keys := slices.DeleteFunc(s.Attributes.Keys(), func(key string) bool { return !slices.Contains(original, key) })
		lines = append(lines, head+" "+method, strings.Join(keys, " "))
	}
	for _, e := range s.Events {
		lines = append(lines, "event "+e.Name+" "+strings.Join(e.Attributes.Keys(), " "))
	}
	for _, body := range s.Logs {
		lines = append(lines, "log "+body)
	}
	return lines
}

// original are the attributes that the original records of a request on both
// sides, but for url.query, which it records even if empty.
var original = []string{"http.request.method", "http.response.status_code", "url.full", "url.path", "url.scheme"}

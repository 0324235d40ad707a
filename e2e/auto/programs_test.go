package auto_test

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/clewtrace/clew/e2e/internal/process"
	"github.com/clewtrace/clew/internal/otlpreceiver"
)

var listening = regexp.MustCompile(`listening on (http://\S+)`)

// urlOf waits until a program says where it listens.
func urlOf(t *testing.T, p *process.Process) (url string) {
	t.Helper()
	process.Eventually(t, limit, func() error {
		match := listening.FindStringSubmatch(p.Stdout() + p.Stderr())
		if match == nil {
			return errors.New("the program does not say where it listens")
		}
		url = match[1]
		return nil
	})
	return url
}

func terminate(t *testing.T, p *process.Process) {
	t.Helper()
	p.Signal(t, syscall.SIGTERM)
	p.Wait(t, limit)
}

// TestTwoPrograms is one trace over two programs that know nothing of tracing.
func TestTwoPrograms(t *testing.T) {
	serverPath, clientPath := build(t, module(t, "server")), build(t, module(t, "client"))
	c := newCollector(t)
	server := c.start(t, serverPath, nil, "OTEL_SERVICE_NAME=server")
	url := urlOf(t, server)
	for _, path := range []string{"/healthz", "/greet/ada", "/driver/nil", "/driver/panics"} {
		client := c.start(t, clientPath, []string{url + path}, "OTEL_SERVICE_NAME=client")
		if code := client.Wait(t, limit); code != 0 {
			t.Fatalf("the client ends with %d", code)
		}
	}
	terminate(t, server)
	want := map[string]int{
		"client GET": 1, // of the health check, which has no span in the server
		"client GET(server GET /greet/{name}(client INSERT))":  1,
		"client GET(server GET /driver/{what}(client DELETE))": 2,
	}
	got := shapes(c.Spans())
	for _, shape := range slices.Sorted(keys(got, want)) {
		if got[shape] != want[shape] {
			t.Errorf("%d traces, want %d: %s", got[shape], want[shape], shape)
		}
	}
	for _, s := range c.Spans() {
		text := otlpreceiver.Attribute(s.GetAttributes(), "db.query.text").GetStringValue()
		if s.GetName() == "INSERT" && text != "INSERT INTO greetings VALUES (?, ?)" {
			t.Errorf("db.query.text is %q", text)
		}
		if s.GetName() == "GET /greet/{name}" {
			checkLines(t, server, hex.EncodeToString(s.GetTraceId()), hex.EncodeToString(s.GetSpanId()))
			checkRecords(t, c, s)
		}
	}
}

// checkLines looks for the ids in what the server prints, at the top level.
func checkLines(t *testing.T, server *process.Process, trace, span string) {
	t.Helper()
	ids := " trace_id=" + trace + " span_id=" + span + "\n"
	for _, want := range []string{" INFO slog path=/greet/ada" + ids, " log" + ids} {
		if !strings.Contains(server.Stderr(), want) {
			t.Errorf("standard error has no %q:\n%s", want, server.Stderr())
		}
	}
	var line struct {
		TraceID   string `json:"trace_id"`
		SpanID    string `json:"span_id"`
		Component string
		Request   map[string]string
	}
	for text := range strings.Lines(server.Stdout()) {
		if strings.HasPrefix(text, "{") {
			if err := json.Unmarshal([]byte(text), &line); err != nil {
				t.Error(err)
			}
		}
	}
	if line.TraceID != trace || line.SpanID != span || line.Component != "greeter" || line.Request["name"] != "ada" || len(line.Request) != 1 {
		t.Errorf("the line with a group is %+v", line)
	}
}

// checkRecords looks for the log records of a span.
func checkRecords(t *testing.T, c *collector, s otlpreceiver.Span) {
	t.Helper()
	var bodies []string
	for _, l := range c.Logs() {
		if string(l.GetSpanId()) == string(s.GetSpanId()) && l.Service() == "server" {
			bodies = append(bodies, l.GetBody().GetStringValue())
		}
	}
	if got, want := strings.Join(bodies, ","), "slog,log,grouped"; got != want {
		t.Errorf("the span has the log records %s, want %s", got, want)
	}
}

// TestDisabled is a plain program: nothing arrives, and there are no ids.
func TestDisabled(t *testing.T) {
	path := build(t, module(t, "server"))
	for _, variable := range []string{"OTEL_SDK_DISABLED=true", "CLEW_AUTO=false", "CLEW_AUTO_LOG_IDS=false"} {
		t.Run(variable, func(t *testing.T) {
			c := newCollector(t)
			server := c.start(t, path, nil, variable)
			client := process.Start(t, build(t, module(t, "client")), []string{urlOf(t, server) + "/greet/ada"}, []string{"OTEL_SDK_DISABLED=true"})
			if client.Wait(t, limit) != 0 {
				t.Fatal("the client failed")
			}
			terminate(t, server)
			if out := server.Stdout() + server.Stderr(); strings.Contains(out, "_id") || !strings.Contains(out, "INFO slog") {
				t.Errorf("output:\n%s", out)
			}
			if got, want := len(c.Spans()) > 0, variable == "CLEW_AUTO_LOG_IDS=false"; got != want {
				t.Errorf("there are spans: %v, want %v", got, want)
			}
		})
	}
}

// TestProtocols reads status and size from the servers of both protocols, which
// have writers of their own.
func TestProtocols(t *testing.T) {
	c := newCollector(t)
	p := c.start(t, build(t, module(t, "protocols")), nil, "OTEL_BSP_SCHEDULE_DELAY=50")
	process.Eventually(t, limit, func() error {
		upgraded := slices.ContainsFunc(c.Spans(), func(s otlpreceiver.Span) bool { return s.GetName() == "GET /upgrade" })
		if out := p.Stdout(); !upgraded || out != "503 Service Unavailable HTTP/2.0\necho hi\n" {
			return fmt.Errorf("the upgraded request has ended: %v; output %q", upgraded, out)
		}
		return nil
	})
	terminate(t, p)
	compare(t, shapes(c.Spans()), map[string]int{
		"client GET(server GET(client GET(server GET /http2)))": 1, "client GET(server GET /upgrade)": 1,
	})
	for _, s := range c.Spans() {
		status := otlpreceiver.Attribute(s.GetAttributes(), "http.response.status_code").GetIntValue()
		size := otlpreceiver.Attribute(s.GetAttributes(), "http.response.body.size").GetIntValue()
		if s.GetName() == "GET /http2" && (status != 503 || size != int64(len("HTTP/2.0"))) || s.GetName() == "GET /upgrade" && status != 101 {
			t.Errorf("%s has the status %d and the size %d", s.GetName(), status, size)
		}
	}
}

package delivery_test

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	collogpb "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	colmetricpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/clewtrace/clew/delivery"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sink is an OTLP server on a real socket that records what it took.
type sink struct {
	*httptest.Server

	// fault, if set, answers in the sink's place and reports true.
	fault func(w http.ResponseWriter, r *http.Request, body []byte) bool

	mu      sync.Mutex
	spans   map[string]int // by name: how often
	records int
	points  int
	got     []*http.Request
}

func newSink(t *testing.T) *sink {
	t.Helper()
	s := newStoppedSink(t)
	s.Start()
	return s
}

func newStoppedSink(t *testing.T) *sink {
	t.Helper()
	s := &sink{spans: make(map[string]int)}
	s.Server = httptest.NewUnstartedServer(s)
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s
}

// restart makes a sink that listens where another one did.
func restart(t *testing.T, addr string) *sink {
	t.Helper()
	return restartWith(t, addr, nil)
}

func restartWith(t *testing.T, addr string, fault func(http.ResponseWriter, *http.Request, []byte) bool) *sink {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	s := newStoppedSink(t)
	s.fault = fault
	_ = s.Listener.Close()
	s.Listener = l
	s.Start()
	return s
}

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := plainBody(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if s.fault != nil && s.fault(w, r, body) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got = append(s.got, r)
	switch r.URL.Path {
	case "/v1/traces":
		for _, name := range spanNames(body) {
			s.spans[name]++
		}
	case "/v1/logs":
		s.records += decoded(delivery.Logs, body)
	case "/v1/metrics":
		s.points += decoded(delivery.Metrics, body)
	}
}

func plainBody(r *http.Request) ([]byte, error) {
	if r.Header.Get("Content-Encoding") != "gzip" {
		return io.ReadAll(r.Body)
	}
	zr, err := gzip.NewReader(r.Body)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(zr)
}

func spanNames(body []byte) []string {
	var req coltracepb.ExportTraceServiceRequest
	if proto.Unmarshal(body, &req) != nil {
		return nil
	}
	var names []string
	for _, rs := range req.ResourceSpans {
		for _, ss := range rs.ScopeSpans {
			for _, span := range ss.Spans {
				names = append(names, span.Name)
			}
		}
	}
	return names
}

// decoded is the plain way of counting: decode everything, then look. It
// returns -1 for what is not a valid message.
func decoded(s delivery.Signal, body []byte) int {
	n := 0
	switch s {
	case delivery.Traces:
		var req coltracepb.ExportTraceServiceRequest
		if proto.Unmarshal(body, &req) != nil {
			return -1
		}
		for _, rs := range req.ResourceSpans {
			for _, ss := range rs.ScopeSpans {
				n += len(ss.Spans)
			}
		}
	case delivery.Logs:
		var req collogpb.ExportLogsServiceRequest
		if proto.Unmarshal(body, &req) != nil {
			return -1
		}
		for _, rl := range req.ResourceLogs {
			for _, sl := range rl.ScopeLogs {
				n += len(sl.LogRecords)
			}
		}
	case delivery.Metrics:
		var req colmetricpb.ExportMetricsServiceRequest
		if proto.Unmarshal(body, &req) != nil {
			return -1
		}
		for _, rm := range req.ResourceMetrics {
			for _, sm := range rm.ScopeMetrics {
				for _, m := range sm.Metrics {
					n += len(m.GetGauge().GetDataPoints()) + len(m.GetSum().GetDataPoints()) +
						len(m.GetHistogram().GetDataPoints()) + len(m.GetExponentialHistogram().GetDataPoints()) +
						len(m.GetSummary().GetDataPoints())
				}
			}
		}
	}
	return n
}

// lost and twice compare what a sink took with what was sent.
func (s *sink) lost(names []string) (lost, twice int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range names {
		switch n := s.spans[name]; {
		case n == 0:
			lost++
		case n > 1:
			twice += n - 1
		}
	}
	return lost, twice
}

// handled collects what the error handler is told.
type handled struct {
	mu   sync.Mutex
	errs []error
}

func (h *handled) Handle(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.errs = append(h.errs, err)
}

// all shuts tr down, whose senders speak up after they have done their work, and
// returns everything the handler was told.
func (h *handled) all(t *testing.T, tr *delivery.Transport) []error {
	t.Helper()
	if err := tr.Shutdown(context.Background()); err != nil && !errors.As(err, new(*delivery.UndeliveredError)) {
		t.Error(err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.errs
}

func (h *handled) drops() []*delivery.DroppedError {
	h.mu.Lock()
	defer h.mu.Unlock()
	var drops []*delivery.DroppedError
	for _, err := range h.errs {
		if d, ok := errors.AsType[*delivery.DroppedError](err); ok {
			drops = append(drops, d)
		}
	}
	return drops
}

package e2e_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	_ "google.golang.org/grpc/encoding/gzip"
	"google.golang.org/protobuf/proto"

	"github.com/clewtrace/clew/e2e/internal/process"
)

// The bounds of OpenTelemetry's Collector: what it reads of an HTTP request, and
// what it takes as a gRPC message.
const (
	collectorBody    = 20 << 20
	collectorMessage = 4 << 20
)

// ordinaryCollector takes spans as the Collector does and counts those of
// ordinary requests by their User-Agent.
type ordinaryCollector struct {
	coltracepb.UnimplementedTraceServiceServer
	ordinary atomic.Int64
}

func (c *ordinaryCollector) Export(_ context.Context, r *coltracepb.ExportTraceServiceRequest) (*coltracepb.ExportTraceServiceResponse, error) {
	for _, resource := range r.GetResourceSpans() {
		for _, scope := range resource.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				if isOrdinary(s) {
					c.ordinary.Add(1)
				}
			}
		}
	}
	return &coltracepb.ExportTraceServiceResponse{}, nil
}

func isOrdinary(s *tracepb.Span) bool {
	for _, a := range s.GetAttributes() {
		if a.GetKey() == "user_agent.original" {
			return a.GetValue().GetStringValue() == "ordinary"
		}
	}
	return false
}

func (c *ordinaryCollector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, collectorBody))
	var request coltracepb.ExportTraceServiceRequest
	if err != nil || proto.Unmarshal(body, &request) != nil {
		w.WriteHeader(http.StatusBadRequest) // what the Collector answers to a body that is too large
		return
	}
	_, _ = c.Export(r.Context(), &request)
}

// TestNobodyMakesTheSpansOfOthersDisappear sends 50 ordinary requests a second
// beside hostile ones for 10 s. Every ordinary span arrives, and the process
// takes no more memory than a quiet one and its queue.
func TestNobodyMakesTheSpansOfOthersDisappear(t *testing.T) {
	const lasts = 10 * time.Second
	program := process.Build(t, ".", "./internal/victim")
	for _, attack := range []struct {
		name     string
		protocol string
		rate     int // per second
		url      int // bytes
	}{
		{"15 a second with 900 KB over HTTP", "http/protobuf", 15, 900_000},
		{"2,000 a second with 8,000 bytes over HTTP", "http/protobuf", 2000, 8000},
		{"2 a second with 900 KB over gRPC", "grpc", 2, 900_000},
	} {
		t.Run(attack.name, func(t *testing.T) {
			t.Parallel()
			collector := &ordinaryCollector{}
			victim, addr := startVictim(t, program, exportTo(collector.start(t, attack.protocol)), "OTEL_EXPORTER_OTLP_PROTOCOL="+attack.protocol)
			var ordinary int64
			var senders sync.WaitGroup
			senders.Go(func() { ordinary = send(t, addr, "/", "ordinary", 50, lasts) })
			senders.Go(func() { send(t, addr, "/"+strings.Repeat("x", attack.url), "hostile", attack.rate, lasts) })
			senders.Wait()
			victim.Signal(t, syscall.SIGTERM)
			if code := victim.Wait(t, exitLimit); code != 0 {
				t.Errorf("exit code %d:\n%s", code, victim.Stderr())
			}
			_, peak := victim.Usage()
			t.Logf("%d of %d ordinary spans arrived, peak %d MiB", collector.ordinary.Load(), ordinary, peak>>20)
			if got := collector.ordinary.Load(); got != ordinary {
				t.Errorf("%d of %d ordinary spans arrived:\n%s", got, ordinary, victim.Stderr())
			}
			if limit := int64(32+64) << 20; peak > limit {
				t.Errorf("the process took %d MiB, want at most %d: 32 for itself and 64 for the queue", peak>>20, limit>>20)
			}
		})
	}
}

// start returns the URL where the collector takes spans by a protocol.
func (c *ordinaryCollector) start(t *testing.T, protocol string) string {
	t.Helper()
	if protocol != "grpc" {
		s := httptest.NewServer(c)
		t.Cleanup(s.Close)
		return s.URL
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(grpc.MaxRecvMsgSize(collectorMessage))
	coltracepb.RegisterTraceServiceServer(s, c)
	go s.Serve(listener) //nolint:errcheck // ends with Stop
	t.Cleanup(s.Stop)
	return "http://" + listener.Addr().String()
}

// send makes so many requests a second over one connection for a time and returns
// how many were answered.
func send(t *testing.T, addr, path, agent string, rate int, lasts time.Duration) (answered int64) {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Error(err)
		return 0
	}
	defer conn.Close()
	request := fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: victim\r\nUser-Agent: %s\r\n\r\n", path, agent)
	answers := bufio.NewReader(conn)
	tick := time.NewTicker(time.Second / time.Duration(rate))
	defer tick.Stop()
	for end := time.Now().Add(lasts); time.Now().Before(end); <-tick.C {
		if _, err := conn.Write(request); err != nil {
			t.Error(err)
			return answered
		}
		res, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Error(err)
			return answered
		}
		_ = res.Body.Close()
		answered++
	}
	return answered
}

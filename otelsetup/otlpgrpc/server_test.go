package otlpgrpc_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/url"
	"sync"
	"testing"

	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	colmetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/stats"
	"google.golang.org/protobuf/proto"

	"github.com/clewtrace/clew/delivery"
	"github.com/clewtrace/clew/otelsetup/extend"
	"github.com/clewtrace/clew/otelsetup/otlpgrpc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// collector is a server of the three services.
type collector struct {
	mu       sync.Mutex
	answer   func(context.Context, proto.Message) error // nil: takes everything
	spans    map[string]int                             // how often each came, by name
	calls    int
	headers  []*stats.InHeader
	payloads []*stats.InPayload
	ended    chan struct{} // nil, or has room for each connection that ends
}

// listen returns a listener on loopback.
func listen(t *testing.T, network, address string) net.Listener {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), network, address)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// serve serves the collector until the end of the test, or until stop is called.
func (c *collector) serve(t *testing.T, l net.Listener, config *tls.Config, more ...grpc.ServerOption) (stop func()) {
	t.Helper()
	credential := insecure.NewCredentials()
	if config != nil {
		credential = credentials.NewTLS(config)
	}
	s := grpc.NewServer(append(more, grpc.Creds(credential), grpc.StatsHandler(watcher{c}))...)
	coltrace.RegisterTraceServiceServer(s, traceService{c: c})
	colmetrics.RegisterMetricsServiceServer(s, metricsService{c: c})
	collogs.RegisterLogsServiceServer(s, logsService{c: c})
	served := make(chan struct{})
	go func() {
		defer close(served)
		if err := s.Serve(l); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			t.Error(err)
		}
	}()
	stop = sync.OnceFunc(func() { s.Stop(); <-served })
	t.Cleanup(stop)
	return stop
}

func (c *collector) take(ctx context.Context, m proto.Message, names ...string) error {
	c.mu.Lock()
	c.calls++
	answer := c.answer
	c.mu.Unlock()
	if answer != nil {
		if err := answer(ctx, m); err != nil {
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.spans == nil {
		c.spans = map[string]int{}
	}
	for _, name := range names {
		c.spans[name]++
	}
	return nil
}

// taken returns how many different items came.
func (c *collector) taken() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.spans)
}

// answers makes the collector answer so from now on.
func (c *collector) answers(answer func(context.Context, proto.Message) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answer = answer
}

type traceService struct {
	coltrace.UnimplementedTraceServiceServer
	c *collector
}

func (s traceService) Export(ctx context.Context, r *coltrace.ExportTraceServiceRequest) (*coltrace.ExportTraceServiceResponse, error) {
	var names []string
	for _, rs := range r.GetResourceSpans() {
		for _, ss := range rs.GetScopeSpans() {
			for _, span := range ss.GetSpans() {
				names = append(names, span.GetName())
			}
		}
	}
	return &coltrace.ExportTraceServiceResponse{}, s.c.take(ctx, r, names...)
}

type metricsService struct {
	colmetrics.UnimplementedMetricsServiceServer
	c *collector
}

func (s metricsService) Export(ctx context.Context, r *colmetrics.ExportMetricsServiceRequest) (*colmetrics.ExportMetricsServiceResponse, error) {
	return &colmetrics.ExportMetricsServiceResponse{}, s.c.take(ctx, r, r.GetResourceMetrics()[0].GetSchemaUrl())
}

type logsService struct {
	collogs.UnimplementedLogsServiceServer
	c *collector
}

func (s logsService) Export(ctx context.Context, r *collogs.ExportLogsServiceRequest) (*collogs.ExportLogsServiceResponse, error) {
	return &collogs.ExportLogsServiceResponse{}, s.c.take(ctx, r, r.GetResourceLogs()[0].GetSchemaUrl())
}

// watcher notes what came on the wire.
type watcher struct{ c *collector }

func (w watcher) HandleRPC(_ context.Context, s stats.RPCStats) {
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	switch s := s.(type) {
	case *stats.InHeader:
		w.c.headers = append(w.c.headers, s)
	case *stats.InPayload:
		w.c.payloads = append(w.c.payloads, s)
	}
}

func (watcher) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context   { return ctx }
func (watcher) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

func (w watcher) HandleConn(_ context.Context, s stats.ConnStats) {
	if _, ended := s.(*stats.ConnEnd); ended && w.c.ended != nil {
		w.c.ended <- struct{}{}
	}
}

// request returns an encoded request of a signal with items of these names.
func request(t *testing.T, s delivery.Signal, names ...string) []byte {
	t.Helper()
	var m proto.Message
	switch s {
	case delivery.Traces:
		spans := make([]*trace.Span, len(names))
		for i, name := range names {
			spans[i] = &trace.Span{Name: name}
		}
		m = &coltrace.ExportTraceServiceRequest{ResourceSpans: []*trace.ResourceSpans{{ScopeSpans: []*trace.ScopeSpans{{Spans: spans}}}}}
	case delivery.Metrics:
		m = &colmetrics.ExportMetricsServiceRequest{ResourceMetrics: []*metrics.ResourceMetrics{{SchemaUrl: names[0]}}}
	default:
		m = &collogs.ExportLogsServiceRequest{ResourceLogs: []*logs.ResourceLogs{{SchemaUrl: names[0]}}}
	}
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// endpoint returns the configuration of a sender to an address.
func endpoint(t *testing.T, text string) extend.OTLP {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return extend.OTLP{Signal: "traces", Endpoint: u}
}

// sender returns one that is closed at the end of the test.
func sender(t *testing.T, c extend.OTLP) delivery.Sender {
	t.Helper()
	s, err := otlpgrpc.New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

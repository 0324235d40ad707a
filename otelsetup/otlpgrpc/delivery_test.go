package otlpgrpc_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"go.uber.org/goleak"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/clewtrace/clew/delivery"
	"github.com/clewtrace/clew/otelsetup/otlpgrpc"
)

// errorLog is an error handler that keeps what it is told.
type errorLog struct {
	mu   sync.Mutex
	errs []error
}

func (l *errorLog) Handle(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.errs = append(l.errs, err)
}

// deliver returns a Transport that sends spans to an address, and the function that hands
// them over, as one request. The test shuts the Transport down.
func deliver(t *testing.T, address string, cfg delivery.Config, gzip bool, headers ...map[string]string) (*delivery.Transport, func(names ...string)) {
	t.Helper()
	to := endpoint(t, "http://"+address)
	to.Gzip = gzip
	for _, h := range headers {
		to.Headers = h
	}
	s, err := otlpgrpc.New(t.Context(), to)
	if err != nil {
		t.Fatal(err)
	}
	cfg.MinBackoff, cfg.MaxBackoff = time.Millisecond, 10*time.Millisecond
	if cfg.ErrorHandler == nil {
		cfg.ErrorHandler = otel.ErrorHandlerFunc(func(error) {})
	}
	transport, err := delivery.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	client := transport.ClientVia(delivery.Traces, delivery.Route{Sender: s, URL: to.Endpoint.String()})
	return transport, func(names ...string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, to.Endpoint.String(), bytes.NewReader(request(t, delivery.Traces, names...)))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-protobuf")
		response, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
	}
}

// end flushes and shuts a Transport down, which has nothing left then.
func end(t *testing.T, transport *delivery.Transport) {
	t.Helper()
	ctx := within(t, 30*time.Second)
	if err := errors.Join(transport.ForceFlush(ctx), transport.Shutdown(ctx)); err != nil {
		t.Error(err)
	}
}

func TestAnOutageLosesNothing(t *testing.T) {
	const spans = 200
	name := func(i int) string { return fmt.Sprintf("span %d", i) }
	for _, outage := range []string{"refused", "silent", "UNAVAILABLE", "UNAVAILABLE, told when"} {
		for _, gzip := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, gzip %v", outage, gzip), func(t *testing.T) {
				var c collector
				l := listen(t, "tcp", "127.0.0.1:0")
				stop := c.serve(t, l, nil)
				p := newProxy(t, l.Addr().String())
				address := p.Addr().String()
				if outage == "refused" {
					address = l.Addr().String()
				}
				transport, export := deliver(t, address, delivery.Config{Timeout: 200 * time.Millisecond}, gzip)
				for i := range spans / 2 {
					export(name(i))
				}
				if err := transport.ForceFlush(within(t, 10*time.Second)); err != nil {
					t.Fatal(err)
				}
				switch outage {
				case "refused":
					stop()
				case "silent":
					p.silence()
				default:
					c.answers(func(context.Context, proto.Message) error {
						s := status.New(codes.Unavailable, "restarting")
						if outage != "UNAVAILABLE" {
							s, _ = s.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(20 * time.Millisecond)})
						}
						return s.Err()
					})
				}
				for i := range spans / 2 {
					export(name(spans/2 + i))
				}
				if outage != "silent" { // what is silent stays so, and the next connection is not
					short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
					defer cancel()
					if err := transport.ForceFlush(short); err == nil {
						t.Error("delivered in the outage")
					}
				}
				c.answers(nil)
				if outage == "refused" {
					c.serve(t, listen(t, "tcp", address), nil)
				}
				end(t, transport)
				if c.taken() != spans {
					t.Errorf("%d of %d spans arrived", c.taken(), spans)
				}
				if s := transport.Stats(delivery.Traces); s.Delivered != spans || s.DroppedTotal() != 0 {
					t.Errorf("%d delivered, dropped: %v", s.Delivered, s.Dropped)
				}
			})
		}
	}
}

// What a server takes is limited by its size, which gRPC checks itself, or by what a
// service says of the request.
func TestWhatIsRefusedIsDividedUntilTheCulpritStandsAlone(t *testing.T) {
	culprit := strings.Repeat("x", 5000)
	contains := func(m proto.Message) bool {
		r, _ := m.(*coltrace.ExportTraceServiceRequest)
		return slices.ContainsFunc(r.GetResourceSpans()[0].GetScopeSpans(), func(ss *trace.ScopeSpans) bool {
			return slices.ContainsFunc(ss.GetSpans(), func(s *trace.Span) bool { return s.GetName() == culprit })
		})
	}
	for _, code := range []codes.Code{codes.OK, codes.ResourceExhausted, codes.InvalidArgument} {
		t.Run(code.String(), func(t *testing.T) {
			var c collector
			var options []grpc.ServerOption
			want := map[codes.Code]string{codes.ResourceExhausted: "RESOURCE_EXHAUSTED", codes.InvalidArgument: "INVALID_ARGUMENT"}[code]
			if code == codes.OK {
				options, want = append(options, grpc.MaxRecvMsgSize(4000)), "RESOURCE_EXHAUSTED"
			} else {
				c.answers(func(_ context.Context, m proto.Message) error {
					if contains(m) {
						return status.Error(code, "too much")
					}
					return nil
				})
			}
			l := listen(t, "tcp", "127.0.0.1:0")
			c.serve(t, l, nil, options...)
			var told errorLog
			transport, export := deliver(t, l.Addr().String(), delivery.Config{ErrorHandler: &told}, false)
			names := make([]string, 100)
			for i := range names {
				names[i] = fmt.Sprintf("span %d", i)
			}
			names[71] = culprit
			export(names...)
			ctx := within(t, 30*time.Second)
			_ = transport.ForceFlush(ctx)
			_ = transport.Shutdown(ctx)
			s := transport.Stats(delivery.Traces)
			if c.taken() != 99 || s.Delivered != 99 || s.Dropped[want] != 1 || s.DroppedTotal() != 1 {
				t.Errorf("%d came, %d delivered, dropped: %v", c.taken(), s.Delivered, s.Dropped)
			}
			if text := fmt.Sprint(told.errs); !strings.Contains(text, "1 spans dropped") {
				t.Errorf("told: %.300s", text)
			}
		})
	}
}

func TestTheSpoolOutlivesTheProcess(t *testing.T) {
	l := listen(t, "tcp", "127.0.0.1:0")
	address := l.Addr().String()
	l.Close()
	cfg := delivery.Config{SpoolDir: t.TempDir()}
	first, export := deliver(t, address, cfg, true)
	export("a", "b")
	export("c")
	if err := first.Shutdown(within(t, 30*time.Second)); err == nil {
		t.Error("delivered to nothing")
	}
	var c collector
	c.serve(t, listen(t, "tcp", address), nil)
	second, export := deliver(t, address, cfg, true)
	export("d")
	end(t, second)
	if got, want := slices.Sorted(maps.Keys(c.spans)), []string{"a", "b", "c", "d"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// What a silent server has not taken is named when the context ends, and where nothing
// listens, before that.
func TestShutdownKeepsItsDeadline(t *testing.T) {
	silent := listen(t, "tcp", "127.0.0.1:0") // accepts and says nothing
	t.Cleanup(func() { silent.Close() })
	absent := listen(t, "tcp", "127.0.0.1:0")
	absent.Close()
	for name, tc := range map[string]struct {
		address string
		within  time.Duration
		ends    bool // before the deadline
	}{
		"silent": {silent.Addr().String(), 200 * time.Millisecond, false},
		"absent": {absent.Addr().String(), time.Minute, true},
	} {
		t.Run(name, func(t *testing.T) {
			before := goleak.IgnoreCurrent()
			transport, export := deliver(t, tc.address, delivery.Config{}, false)
			export("a", "b")
			ctx := within(t, tc.within)
			err := transport.Shutdown(ctx)
			if lost, ok := errors.AsType[*delivery.UndeliveredError](err); !ok || lost.Items != 2 {
				t.Errorf("got %v", err)
			}
			if over := ctx.Err() != nil; over == tc.ends {
				t.Errorf("the deadline was over: %v", over)
			}
			goleak.VerifyNone(t, before)
		})
	}
}

package otlpgrpc_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"go.uber.org/goleak"
	"google.golang.org/grpc"

	"github.com/clewtrace/clew/delivery"
	"github.com/clewtrace/clew/otelsetup"
)

// TestShutdownLeavesNothing: whatever the collector does, nothing runs after the
// Shutdown of what Start started.
func TestShutdownLeavesNothing(t *testing.T) {
	silent := listen(t, "tcp", "127.0.0.1:0") // accepts and says nothing
	t.Cleanup(func() { silent.Close() })
	absent := listen(t, "tcp", "127.0.0.1:0")
	absent.Close()
	for name, address := range map[string]string{"absent": absent.Addr().String(), "silent": silent.Addr().String(), "no name": "nothing.invalid:4317"} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
			t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+address)
			t.Setenv("CLEW_DELIVERY_REFUSED_TIMEOUT", "1")
			before := goleak.IgnoreCurrent()
			telemetry, err := otelsetup.Start(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			_, span := otel.Tracer("test").Start(t.Context(), "work")
			span.End()
			if telemetry.ForceFlush(within(t, 100*time.Millisecond)) == nil {
				t.Error("delivered")
			}
			if telemetry.Shutdown(within(t, 100*time.Millisecond)) == nil {
				t.Error("delivered at the end")
			}
			goleak.VerifyNone(t, before)
		})
	}
}

// TestALongMessageIsCut: of what a collector says about a request that it takes,
// a line is repeated, without what it repeats itself of the headers.
func TestALongMessageIsCut(t *testing.T) {
	l := listen(t, "tcp", "127.0.0.1:0")
	server := grpc.NewServer(grpc.UnknownServiceHandler(func(_ any, s grpc.ServerStream) error {
		if err := s.RecvMsg(&coltrace.ExportTraceServiceRequest{}); err != nil {
			return err
		}
		return s.SendMsg(&coltrace.ExportTraceServiceResponse{PartialSuccess: &coltrace.ExportTracePartialSuccess{
			RejectedSpans: 1, ErrorMessage: "no s3cr3tV4lue \x1b[2J\n" + strings.Repeat("x", 50<<10),
		}})
	}))
	served := make(chan struct{})
	go func() {
		defer close(served)
		if err := server.Serve(l); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			t.Error(err)
		}
	}()
	t.Cleanup(func() { server.Stop(); <-served })
	var told errorLog
	transport, export := deliver(t, l.Addr().String(), delivery.Config{ErrorHandler: &told}, false, map[string]string{"x-tenant": "s3cr3tV4lue"})
	export("a", "b")
	_ = transport.ForceFlush(within(t, 10*time.Second))
	_ = transport.Shutdown(within(t, 10*time.Second))
	if len(told.errs) == 0 {
		t.Fatal("nothing was said")
	}
	for _, err := range told.errs {
		if text := err.Error(); len(text) > 500 || !strings.Contains(text, "no ***********") || strings.ContainsAny(text, "\x1b\n") {
			t.Errorf("%d bytes: %.300q", len(text), text)
		}
	}
}

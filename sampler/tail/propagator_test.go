package tail_test

import (
	"context"
	"testing"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/propagator"
	"github.com/clewtrace/clew/sampler/tail"
)

func TestPropagatorHintsAfterAnError(t *testing.T) {
	s := start(t, dropAll, tail.Config{Policies: []tail.Policy{failedPolicy, {Probability: 0.01}}})
	inject := s.Propagator(propagator.New())
	// sent returns the flags and tracestate that a call carries.
	sent := func(ctx context.Context) (trace.TraceFlags, string) {
		carrier := propagation.MapCarrier{}
		inject.Inject(ctx, carrier)
		sc := trace.SpanContextFromContext(inject.Extract(context.Background(), carrier))
		return sc.TraceFlags() & trace.FlagsSampled, sc.TraceState().String()
	}
	var traces uint64
	for name, tt := range map[string]struct {
		happens func(ctx context.Context) // between the root's start and the call
		want    trace.TraceFlags
	}{
		"nothing": {func(context.Context) {}, 0},
		"the calling span fails": {func(ctx context.Context) {
			trace.SpanFromContext(ctx).SetStatus(codes.Error, "")
		}, 1},
		"an earlier call failed": {func(ctx context.Context) {
			_, span := s.Start(ctx, "first attempt")
			span.SetStatus(codes.Error, "")
			span.End()
		}, 1},
		"an earlier call succeeded": {func(ctx context.Context) {
			_, span := s.Start(ctx, "first attempt")
			span.End()
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			traces++
			ctx, root := s.Start(from(t, traceID(traces), 0x02, "ot=th:8;x:y,a=b"), "root")
			defer root.End()
			tt.happens(ctx)
			for _, call := range []string{"from the root", "from a child"} {
				ctx := ctx
				if call == "from a child" {
					var child trace.Span
					ctx, child = s.Start(ctx, "call")
					defer child.End()
				}
				flags, state := sent(ctx)
				wantState := "ot=th:8;x:y,a=b"
				if tt.want != 0 {
					wantState = "ot=x:y,a=b"
				}
				if flags != tt.want || state != wantState {
					t.Errorf("%s: sent flags %v and tracestate %q, want %v and %q", call, flags, state, tt.want, wantState)
				}
			}
		})
		if err := s.ForceFlush(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("no hint after a decision by probability", func(t *testing.T) {
		ctx, root := s.Start(from(t, traceID(1<<56-1), 0x02, "ot=th:8"), "root")
		root.End()
		if flags, state := sent(ctx); flags != 0 || state != "ot=th:8" {
			t.Errorf("sent flags %v and tracestate %q", flags, state)
		}
		if last := s.names(); last[len(last)-1] != "root" {
			t.Error("the root was not kept")
		}
	})
	if flags, _ := sent(context.Background()); flags != 0 {
		t.Errorf("sent %v without a span", flags)
	}
}

package propagator_test

import (
	"context"
	"errors"
	"fmt"
	rtrace "runtime/trace"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

type key struct{}

// What Extract returns is a context like any other.
func TestContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cause := errors.New("cause")
		base, cancel := context.WithTimeout(context.WithValue(t.Context(), key{}, "value"), time.Minute)
		defer cancel()
		ctx := extractInto(base, "1a=x,foo=1")
		if ctx.Value(key{}) != "value" || ctx.Value("none") != nil {
			t.Error("values of the parent are not there")
		}
		if d, ok := ctx.Deadline(); !ok || time.Until(d) != time.Minute {
			t.Errorf("deadline %v, %t", d, ok)
		}
		child, cancelChild := context.WithCancelCause(ctx)
		stop := context.AfterFunc(ctx, func() {})
		defer stop()
		cancelChild(cause)
		<-child.Done()
		if !errors.Is(context.Cause(child), cause) || ctx.Err() != nil {
			t.Errorf("cause of the child %v, error of its parent %v", context.Cause(child), ctx.Err())
		}
		grandchild, cancelGrandchild := context.WithCancel(context.WithValue(ctx, key{}, "other"))
		defer cancelGrandchild()
		time.Sleep(2 * time.Minute)
		<-grandchild.Done()
		if !errors.Is(grandchild.Err(), context.DeadlineExceeded) || !errors.Is(ctx.Err(), context.DeadlineExceeded) {
			t.Errorf("after the deadline: %v, %v", grandchild.Err(), ctx.Err())
		}
		if err := context.WithoutCancel(ctx).Err(); err != nil {
			t.Errorf("without cancel: %v", err)
		}
		if text := fmt.Sprint(child); !strings.Contains(text, parent) {
			t.Errorf("the context prints as %s", text)
		}
	})
}

func extractInto(ctx context.Context, state string) context.Context {
	return w3c.Extract(ctx, header("Traceparent", parent, "Tracestate", state))
}

// The remote span takes every call and ignores it.
func TestRemoteSpan(t *testing.T) {
	ctx := extractInto(t.Context(), "foo=1")
	span := trace.SpanFromContext(ctx)
	if span.IsRecording() || !span.SpanContext().IsRemote() || span.SpanContext().TraceState().Get("foo") != "1" {
		t.Errorf("recording: %t, span context %v", span.IsRecording(), span.SpanContext())
	}
	span.SetAttributes(attribute.Int("a", 1))
	span.SetName("x")
	span.SetStatus(codes.Error, "x")
	span.RecordError(errors.New("x"))
	span.AddEvent("x")
	span.AddLink(trace.Link{})
	span.End()
	if _, child := span.TracerProvider().Tracer("").Start(ctx, "x"); !child.SpanContext().Equal(span.SpanContext()) {
		t.Errorf("its provider starts a span with %v", child.SpanContext())
	}
	if trace.SpanFromContext(trace.ContextWithSpan(t.Context(), span)) != span {
		t.Error("the span cannot be put into another context")
	}
}

func TestSDKAndRuntimeTrace(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)).Tracer("")
	ctx, task := rtrace.NewTask(extractInto(t.Context(), "1a=x,foo=1"), "task")
	defer task.End()
	rtrace.WithRegion(ctx, "region", func() {
		rtrace.Log(ctx, "category", "message")
		_, span := tracer.Start(ctx, "span")
		span.End()
	})
	got := spans.Ended()[0]
	want := trace.SpanContextFromContext(ctx)
	if !got.Parent().Equal(want) || got.SpanContext().TraceID() != want.TraceID() || got.SpanContext().TraceFlags() != want.TraceFlags() {
		t.Errorf("the span has the parent %v, want %v", got.Parent(), want)
	}
}

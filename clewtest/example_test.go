package clewtest_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/clewtest"
)

// order is the code under test.
func order(ctx context.Context, provider trace.TracerProvider, id int) {
	tracer := provider.Tracer("shop")
	ctx, span := tracer.Start(ctx, "GET /orders/{id}", trace.WithAttributes(attribute.Int("order.id", id)))
	defer span.End()
	_, query := tracer.Start(ctx, "SELECT orders")
	query.End()
	_, call := tracer.Start(ctx, "POST stock")
	call.End()
}

// t stands for the *testing.T of a test, which an example does not have.
var t = &exampleT{}

type exampleT struct{ testing.TB }

func (*exampleT) Helper()                   {}
func (*exampleT) Cleanup(func())            {}
func (*exampleT) Context() context.Context  { return context.Background() }
func (*exampleT) Errorf(f string, a ...any) { fmt.Println(strings.TrimSpace(fmt.Sprintf(f, a...))) }

func ExampleRecord() {
	// func TestOrder(t *testing.T) {
	rec := clewtest.Record(t)
	order(t.Context(), rec.TracerProvider(), 7)
	rec.Want(`
		GET /orders/{id}
		  SELECT orders
		  POST stock
	`)
	fmt.Println(rec.Span("GET /orders/{id}").Attr("order.id").AsInt64())
	// Output: 7
}

func ExampleRecorder_Want() {
	rec := clewtest.Record(t)
	order(t.Context(), rec.TracerProvider(), 7)
	rec.Want(`
		GET /orders/{id}
		  SELECT orders
		    SELECT lines
		  POST stock
	`)
	// Output:
	// traces differ (- want, + got):
	//   GET /orders/{id}
	//     SELECT orders
	// -     SELECT lines
	//     POST stock
}

func ExampleAttributes() {
	rec := clewtest.Record(t, clewtest.Attributes("order.id"))
	order(t.Context(), rec.TracerProvider(), 7)
	for _, trace := range rec.Traces() {
		fmt.Println(trace)
	}
	// Output:
	// GET /orders/{id} order.id=7
	//   SELECT orders
	//   POST stock
}

func ExampleGlobal() {
	rec := clewtest.Record(t, clewtest.Global())
	// The code under test uses the global provider. rec.Context says to which test the spans
	// belong; a test that does not run in parallel needs no such context.
	order(rec.Context(), otel.GetTracerProvider(), 7)
	rec.Want(`
		GET /orders/{id}
		  SELECT orders
	`)
	// Output:
	// traces differ (- want, + got):
	//   GET /orders/{id}
	//     SELECT orders
	// +   POST stock
}

func ExampleSorted() {
	rec := clewtest.Record(t, clewtest.Sorted())
	ctx, parent := rec.TracerProvider().Tracer("shop").Start(t.Context(), "GET /orders")
	var done sync.WaitGroup
	for _, id := range []int{3, 1, 2} {
		done.Go(func() { // they start in any order
			_, span := rec.TracerProvider().Tracer("shop").Start(ctx, fmt.Sprint("order ", id))
			span.End()
		})
	}
	done.Wait()
	parent.End()
	fmt.Println(rec.Traces()[0])
	// Output:
	// GET /orders
	//   order 1
	//   order 2
	//   order 3
}

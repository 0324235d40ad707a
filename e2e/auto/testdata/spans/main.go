// Command spans makes spans of all kinds by OpenTelemetry's API. With an argument
// it installs an SDK of its own, which prints them.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

type printer struct{}

func (printer) Shutdown(context.Context) error { return nil }

func (printer) ExportSpans(_ context.Context, spans []sdktrace.ReadOnlySpan) error {
	for _, s := range spans {
		fmt.Printf("%s kind=%d time=%d-%d%s dropped=%d status=%d %s\n", s.Name(), s.SpanKind(), s.StartTime().UnixNano(), s.EndTime().UnixNano(),
			attributes(s.Attributes()), s.DroppedAttributes(), map[codes.Code]int{codes.Ok: 1, codes.Error: 2}[s.Status().Code], s.Status().Description)
		for _, e := range s.Events() {
			fmt.Printf("\tevent %s%s dropped=%d\n", e.Name, attributes(e.Attributes), e.DroppedAttributeCount)
		}
		for _, l := range s.Links() {
			fmt.Printf("\tlink %s%s dropped=%d\n", l.SpanContext.TraceID(), attributes(l.Attributes), l.DroppedAttributeCount)
		}
		fmt.Printf("\tdropped events=%d links=%d\n", s.DroppedEvents(), s.DroppedLinks())
	}
	return nil
}

func attributes(kvs []attribute.KeyValue) (text string) {
	for _, kv := range kvs {
		text += fmt.Sprintf(" %s=%s", kv.Key, kv.Value.Emit())
	}
	return text
}

func numbered(from, n int) (kvs []attribute.KeyValue) {
	for i := range n {
		kvs = append(kvs, attribute.Int(fmt.Sprint("n", from+i), i))
	}
	return kvs
}

func link(id byte) trace.Link {
	sc := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{id}, SpanID: trace.SpanID{id}})
	return trace.Link{SpanContext: sc, Attributes: numbered(0, int(id))}
}

func main() {
	if len(os.Args) > 1 {
		otel.SetTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSyncer(printer{})))
	}
	tracer := otel.Tracer("program")
	began := time.Unix(1_700_000_000, 0)
	for kind := trace.SpanKindInternal; kind <= trace.SpanKindConsumer; kind++ {
		for _, n := range [][2]int{{0, 0}, {0, 3}, {3, 0}, {4, 5}, {9, 9}, {20, 0}, {0, 20}, {30, 9}, {40, 20}} {
			_, s := tracer.Start(context.Background(), fmt.Sprint("span ", kind, n), trace.WithSpanKind(kind), trace.WithTimestamp(began),
				trace.WithAttributes(numbered(0, n[0])...), trace.WithAttributes(attribute.String("text", "a text that is longer than allowed")), trace.WithLinks(link(1)))
			s.SetAttributes(numbered(n[0]/2, n[1])...) // some of them once more
			s.SetAttributes(attribute.Int("", 1), attribute.Int("last", n[1]))
			s.AddLink(link(2))
			s.AddLink(link(3))
			s.SetStatus(codes.Error, "it failed")
			for i := range n[1] {
				s.AddEvent(fmt.Sprint("event ", i), trace.WithAttributes(numbered(0, i)...), trace.WithTimestamp(began))
			}
			s.RecordError(errors.New("a failure"), trace.WithTimestamp(began))
			s.End(trace.WithTimestamp(began.Add(time.Second)))
			s.SetName("after the end")
			s.SetAttributes(numbered(0, 50)...)
			s.AddEvent("after the end")
			s.SetStatus(codes.Ok, "")
			s.End()
		}
	}
}

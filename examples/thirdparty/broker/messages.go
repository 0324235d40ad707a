package main

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// carrier is the header of a message. It is no propagation.HeaderCarrier because
// NATS compares names as they are written, so they have to stay lower-case for
// the clients of other languages.
type carrier nats.Header

func (c carrier) Get(name string) string      { return nats.Header(c).Get(name) }
func (c carrier) Values(name string) []string { return nats.Header(c).Values(name) }
func (c carrier) Set(name, value string)      { nats.Header(c).Set(name, value) }
func (c carrier) Keys() []string              { return slices.Collect(maps.Keys(c)) }

func publish(ctx context.Context, js jetstream.JetStream, count int) error {
	for n := range count {
		if err := publishOne(ctx, js, fmt.Sprintf("order %d", n)); err != nil {
			return err
		}
	}
	return nil
}

func publishOne(ctx context.Context, js jetstream.JetStream, order string) error {
	ctx, span := tracer.Start(ctx, "send "+subject, trace.WithSpanKind(trace.SpanKindProducer), trace.WithAttributes(
		semconv.MessagingOperationTypeSend, semconv.MessagingDestinationName(subject)))
	defer span.End()
	msg := &nats.Msg{Subject: subject, Data: []byte(order), Header: nats.Header{}}
	otel.GetTextMapPropagator().Inject(ctx, carrier(msg.Header))
	if _, err := js.PublishMsg(ctx, msg); err != nil {
		span.RecordError(err)
		span.SetStatus(codes.Error, err.Error())
		return err
	}
	slog.InfoContext(ctx, "published", slog.String("order", order))
	return nil
}

// consume handles count orders and leaves.
func consume(ctx context.Context, js jetstream.JetStream, count, batch int) error {
	consumer, err := js.CreateOrUpdateConsumer(ctx, subject, jetstream.ConsumerConfig{
		Durable: "billing", AckPolicy: jetstream.AckExplicitPolicy,
	})
	if err != nil {
		return err
	}
	for count > 0 && ctx.Err() == nil {
		fetched, err := consumer.Fetch(min(batch, count), jetstream.FetchMaxWait(time.Second))
		if err != nil {
			return err
		}
		var msgs []jetstream.Msg
		for msg := range fetched.Messages() {
			msgs = append(msgs, msg)
		}
		if err := fetched.Error(); err != nil {
			return err
		}
		if len(msgs) == 0 {
			continue // none came in time
		}
		if err := process(ctx, msgs); err != nil {
			return err
		}
		count -= len(msgs)
	}
	return nil
}

// process handles a batch in one span. A span has one parent, and each message
// has another producer: so none of them is the parent, and all are links.
func process(ctx context.Context, msgs []jetstream.Msg) error {
	links := make([]trace.Link, len(msgs))
	for i, msg := range msgs {
		producer := otel.GetTextMapPropagator().Extract(context.Background(), carrier(msg.Headers()))
		links[i] = trace.LinkFromContext(producer)
	}
	ctx, span := tracer.Start(ctx, "process "+subject, trace.WithSpanKind(trace.SpanKindConsumer),
		trace.WithLinks(links...), trace.WithAttributes(semconv.MessagingOperationTypeProcess,
			semconv.MessagingDestinationName(subject), semconv.MessagingBatchMessageCount(len(msgs))))
	defer span.End()
	for _, msg := range msgs {
		slog.InfoContext(ctx, "billed", slog.String("order", string(msg.Data())))
		// The server's confirmation is waited for: what is not acknowledged is
		// delivered, and traced, again.
		if err := msg.DoubleAck(ctx); err != nil {
			span.RecordError(err)
			span.SetStatus(codes.Error, err.Error())
			return err
		}
	}
	return nil
}

package main

import (
	"fmt"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/clewtrace/clew/examples/internal/exampletest"
	"github.com/clewtrace/clew/internal/otlpreceiver"
)

func TestMain(m *testing.M) { exampletest.Main(m, main) }

func TestBroker(t *testing.T) {
	c := exampletest.NewCollector(t)
	program := exampletest.Path(t)
	broker := c.Start(t, program, "broker", "-addr", "127.0.0.1:0", "-dir", t.TempDir(), "serve")
	url := broker.URL(t)
	c.Start(t, program, "shop", "-url", url, "-count", "3", "publish").Wait(t, 0)
	c.Start(t, program, "app", "-url", url, "-count", "2", "publish").Wait(t, 0)
	last := c.FindAll("app", "send orders")[1]
	traceparent := fmt.Sprintf("00-%x-%x-03", last.GetTraceId(), last.GetSpanId())
	if got := headerOf(t, url, 5); got != traceparent {
		t.Errorf("the message's traceparent is %q, want %q", got, traceparent)
	}
	c.Start(t, program, "billing", "-url", url, "-count", "5", "-batch", "3", "consume").Wait(t, 0)
	broker.Stop(t)

	c.Expect(t, `
		app send orders PRODUCER
		app send orders PRODUCER
		billing process orders CONSUMER links: app send orders PRODUCER, app send orders PRODUCER
		billing process orders CONSUMER links: shop send orders PRODUCER, shop send orders PRODUCER, shop send orders PRODUCER
		shop send orders PRODUCER
		shop send orders PRODUCER
		shop send orders PRODUCER
	`)
	linked := make(map[string]bool)
	for _, batch := range c.FindAll("billing", "process orders") {
		for _, link := range batch.GetLinks() {
			linked[string(link.GetSpanId())] = true
		}
		if n := otlpreceiver.Attribute(batch.GetAttributes(), "messaging.batch.message_count").GetIntValue(); int(n) != len(batch.GetLinks()) {
			t.Errorf("a batch of %d messages has %d links", n, len(batch.GetLinks()))
		}
	}
	if len(linked) != 5 {
		t.Errorf("%d messages are linked, want 5", len(linked))
	}
}

// headerOf returns the stored message's traceparent, by the name that the
// Recommendation gives it.
func headerOf(t *testing.T, url string, sequence uint64) (traceparent string) {
	t.Helper()
	err := withStream(t.Context(), url, func(js jetstream.JetStream) error {
		stream, err := js.Stream(t.Context(), subject)
		if err != nil {
			return err
		}
		msg, err := stream.GetMsg(t.Context(), sequence)
		if err == nil {
			traceparent = msg.Header.Get("traceparent")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return traceparent
}

package delivery

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/semconv/v1.43.0/otelconv"
)

const scopeName = "github.com/clewtrace/clew/delivery"

// componentType is the value of otel.component.type. Where none of the types in the
// semantic conventions fits, they ask for the fully qualified name of the type.
var componentType = semconv.OTelComponentTypeKey.String(scopeName + ".Transport")

// instruments are the metrics of a Transport about itself: those of the semantic
// conventions for SDK metrics, and clew.delivery.* for the rest. All except the
// durations are read from the counts when metrics are collected, and cost nothing
// otherwise.
type instruments struct {
	operation    otelconv.SDKExporterOperationDuration
	attempts     metric.Float64Histogram
	registration metric.Registration
}

// selfMetrics are the instruments after [Transport.Observe], and nothing before.
type selfMetrics struct {
	once sync.Once
	set  atomic.Pointer[instruments]
}

// Observe makes the Transport record metrics about itself from now on. A Transport is
// made before the meter provider whose metrics it delivers, so this is not part of
// [Config]. Only the first call that is not nil has an effect.
func (t *Transport) Observe(mp metric.MeterProvider) {
	if mp == nil {
		return
	}
	t.started().self.once.Do(func() {
		s, err := newInstruments(t, mp)
		if err != nil {
			t.report.warn("metrics", fmt.Errorf("delivery: metrics about delivery are incomplete: %w", err))
		}
		t.self.set.Store(s)
	})
}

func newInstruments(t *Transport, mp metric.MeterProvider) (*instruments, error) {
	m := mp.Meter(scopeName, metric.WithSchemaURL(semconv.SchemaURL))
	var errs []error
	check := func(err error) { errs = append(errs, err) }
	s := new(instruments)
	var err error

	s.operation, err = otelconv.NewSDKExporterOperationDuration(m)
	check(err)
	s.attempts, err = m.Float64Histogram("clew.delivery.attempt.duration", metric.WithUnit("s"),
		metric.WithDescription("Duration of one request to the server."))
	check(err)
	retries, err := m.Int64ObservableCounter("clew.delivery.retries", metric.WithUnit("{request}"),
		metric.WithDescription("Attempts that failed and are repeated."))
	check(err)
	size, err := m.Int64ObservableUpDownCounter("clew.delivery.queue.size", metric.WithUnit("By"),
		metric.WithDescription("Memory held by what is collected, waits or is being sent."))
	check(err)
	age, err := m.Float64ObservableGauge("clew.delivery.queue.age", metric.WithUnit("s"),
		metric.WithDescription("Age of the oldest item that is not delivered."))
	check(err)

	spansOut, err := otelconv.NewSDKExporterSpanExportedObservable(m)
	check(err)
	pointsOut, err := otelconv.NewSDKExporterMetricDataPointExportedObservable(m)
	check(err)
	logsOut, err := otelconv.NewSDKExporterLogExportedObservable(m)
	check(err)
	spansIn, err := otelconv.NewSDKExporterSpanInflightObservable(m)
	check(err)
	pointsIn, err := otelconv.NewSDKExporterMetricDataPointInflightObservable(m)
	check(err)
	logsIn, err := otelconv.NewSDKExporterLogInflightObservable(m)
	check(err)
	exported := [numSignals]metric.Int64Observable{spansOut.Inst(), pointsOut.Inst(), logsOut.Inst()}
	inflight := [numSignals]metric.Int64Observable{spansIn.Inst(), pointsIn.Inst(), logsIn.Inst()}

	s.registration, err = m.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		for _, signal := range signals {
			st := t.Stats(signal)
			component := metric.WithAttributes(componentType)
			o.ObserveInt64(inflight[signal], st.Queued, component)
			o.ObserveInt64(exported[signal], st.Delivered, component)
			for reason, n := range st.Dropped {
				o.ObserveInt64(exported[signal], n, metric.WithAttributes(componentType, semconv.ErrorTypeKey.String(reason)))
			}
			of := metric.WithAttributes(componentType, attribute.String("clew.signal", signal.String()))
			o.ObserveInt64(retries, st.Retried, of)
			o.ObserveInt64(size, st.QueuedBytes, of)
			o.ObserveFloat64(age, st.OldestAge.Seconds(), of)
		}
		return nil
	}, retries, size, age, exported[0], exported[1], exported[2], inflight[0], inflight[1], inflight[2])
	check(err)
	return s, errors.Join(errs...)
}

// attempt records one request.
func (s *selfMetrics) attempt(signal Signal, took time.Duration, reason string) {
	if in := s.set.Load(); in != nil && in.attempts != nil {
		in.attempts.Record(noSpan, took.Seconds(), metric.WithAttributes(attributes(signal, reason)...))
	}
}

// done records the time from accepting a request to its end, pauses included.
func (s *selfMetrics) done(signal Signal, took time.Duration, reason string) {
	if in := s.set.Load(); in != nil {
		in.operation.Record(noSpan, took.Seconds(), attributes(signal, reason)...)
	}
}

// noSpan is a context without a span, because attempts belong to no trace.
var noSpan = context.Background()

func attributes(signal Signal, reason string) []attribute.KeyValue {
	attrs := []attribute.KeyValue{componentType, attribute.String("clew.signal", signal.String())}
	if reason != "" {
		attrs = append(attrs, semconv.ErrorTypeKey.String(reason))
	}
	return attrs
}

// shutdown ends the metrics. Observe has no effect any more.
func (s *selfMetrics) shutdown() error {
	s.once.Do(func() {})
	if in := s.set.Load(); in != nil && in.registration != nil {
		return in.registration.Unregister()
	}
	return nil
}

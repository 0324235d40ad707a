package otelsetup_test

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel"
	otelattribute "go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/clewtrace/clew/delivery"
	"github.com/clewtrace/clew/otelsetup"
	"github.com/clewtrace/clew/otelsetup/extend"
	"github.com/clewtrace/clew/sampler/tail"
)

var errFactory = errors.New("the factory failed")

// What third parties register. Names are not case-sensitive.
func init() {
	extend.Samplers.Register("Ours", func(_ context.Context, env extend.Env) (sdktrace.Sampler, error) {
		ratio, err := strconv.ParseFloat(cmp.Or(env.Text("OUR_RATIO"), "1"), 64)
		return sdktrace.TraceIDRatioBased(ratio), err
	})
	extend.Samplers.Register("failing", func(context.Context, extend.Env) (sdktrace.Sampler, error) { return nil, errFactory })
	extend.Propagators.Register("ours", propagation.TraceContext{})
	extend.SpanExporters.Register("ours", func(context.Context, extend.Env) (sdktrace.SpanExporter, error) { return memory, nil })
	extend.SpanExporters.Register("failing", func(context.Context, extend.Env) (sdktrace.SpanExporter, error) { return nil, errFactory })
	extend.MetricReaders.Register("ours", func(_ context.Context, env extend.Env) (sdkmetric.Reader, error) {
		reader = sdkmetric.NewManualReader()
		env.OnShutdown(func(context.Context) error { reader = nil; return nil })
		return reader, nil
	})
	extend.LogExporters.Register("ours", func(context.Context, extend.Env) (sdklog.Exporter, error) { return records, nil })
}

var (
	memory  = tracetest.NewInMemoryExporter()
	reader  *sdkmetric.ManualReader
	records = &logMemory{}
)

type logMemory struct{ bodies []string }

func (m *logMemory) Export(_ context.Context, records []sdklog.Record) error {
	for _, r := range records {
		m.bodies = append(m.bodies, r.Body().AsString())
	}
	return nil
}
func (*logMemory) Shutdown(context.Context) error   { return nil }
func (*logMemory) ForceFlush(context.Context) error { return nil }

func TestRegisteredNames(t *testing.T) {
	records.bodies = nil
	t.Setenv("OTEL_TRACES_SAMPLER", "parentbased_ours")
	t.Setenv("OTEL_TRACES_EXPORTER", "ours,otlp")
	t.Setenv("OTEL_METRICS_EXPORTER", "OURS")
	t.Setenv("OTEL_LOGS_EXPORTER", "ours")
	t.Setenv("OTEL_PROPAGATORS", "ours")
	store, telemetry, flush := start(t)
	ctx, span := otel.Tracer("test").Start(t.Context(), "work")
	header := http.Header{}
	otel.GetTextMapPropagator().Inject(ctx, headerCarrier(header))
	if header.Get("traceparent") == "" {
		t.Error("the propagator is not used")
	}
	slog.Info("hello")
	counter, err := otel.Meter("test").Int64Counter("orders")
	if err != nil {
		t.Fatal(err)
	}
	counter.Add(ctx, 1)
	var collected metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &collected); err != nil || len(collected.ScopeMetrics) == 0 {
		t.Errorf("the reader collects %v, %v", collected.ScopeMetrics, err)
	}
	span.End()
	if err := telemetry.ForceFlush(t.Context()); err != nil {
		t.Error(err)
	}
	if len(memory.GetSpans()) != 1 || len(store.Spans()) != 1 || !slices.Equal(records.bodies, []string{"hello"}) {
		t.Errorf("%d spans in memory, %d sent, log records %q", len(memory.GetSpans()), len(store.Spans()), records.bodies)
	}
	flush()
	if reader != nil {
		t.Error("what was registered with OnShutdown has not been called")
	}
}

func TestFailingFactories(t *testing.T) {
	for variable, want := range map[string]string{
		"OTEL_TRACES_SAMPLER":  `OTEL_TRACES_SAMPLER="failing": failing: the factory failed; using parentbased_always_on`,
		"OTEL_TRACES_EXPORTER": "OTEL_TRACES_EXPORTER: failing: the factory failed",
	} {
		t.Run(variable, func(t *testing.T) {
			t.Setenv(variable, "failing")
			telemetry, err := otelsetup.Start(t.Context(), otelsetup.WithLogHandler(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			if got := problems(telemetry); got != want {
				t.Errorf("problems %s, want %s", got, want)
			}
			telemetry.Shutdown(expired()) //nolint:errcheck // nothing listens there
		})
	}
}

func TestFailedCustomizerIsLeftOut(t *testing.T) {
	t.Setenv("OTEL_METRICS_EXPORTER", "none")
	t.Setenv("OTEL_LOGS_EXPORTER", "none")
	exported := tracetest.NewInMemoryExporter()
	telemetry, err := otelsetup.Start(t.Context(), otelsetup.WithLogHandler(slog.DiscardHandler),
		otelsetup.Customize(extend.Customizers{
			SpanProcessor: func(next sdktrace.SpanProcessor) (sdktrace.SpanProcessor, error) {
				return tail.NewProcessor(next, tail.Config{MaxTraces: -1})
			},
			SpanExporter: func(sdktrace.SpanExporter) sdktrace.SpanExporter { return exported },
		}))
	const want = "tail: Config.MaxTraces is -1: want 1 or more, or 0 for the default"
	if err != nil {
		t.Fatal(err)
	}
	if got := problems(telemetry); got != want {
		t.Errorf("problems %s, want %s", got, want)
	}
	defer telemetry.Shutdown(context.Background()) //nolint:errcheck // nothing is pending
	_, span := otel.Tracer("test").Start(parent(t, "01"), "work")
	span.End()
	if err := telemetry.ForceFlush(t.Context()); err != nil || len(exported.GetSpans()) != 1 {
		t.Errorf("exported %d spans, %v, want 1", len(exported.GetSpans()), err)
	}
}

func TestCustomize(t *testing.T) {
	var called []string
	store, _, flush := start(t, otelsetup.Customize(extend.Customizers{
		Sampler: func(sdktrace.Sampler) sdktrace.Sampler {
			called = append(called, "sampler")
			return sdktrace.AlwaysSample()
		},
		Propagator: func(p propagation.TextMapPropagator) propagation.TextMapPropagator {
			called = append(called, "propagator")
			return p
		},
		Resource: func(r *resource.Resource) *resource.Resource {
			called = append(called, "resource")
			merged, err := resource.Merge(r, resource.NewSchemaless(otelattribute.String("service.name", "customized")))
			if err != nil {
				t.Error(err)
			}
			return merged
		},
		SpanProcessor: func(p sdktrace.SpanProcessor) (sdktrace.SpanProcessor, error) {
			called = append(called, "span processor")
			return p, nil
		},
		SpanExporter: func(e sdktrace.SpanExporter) sdktrace.SpanExporter {
			called = append(called, "span exporter")
			return e
		},
		MetricExporter: func(e sdkmetric.Exporter) sdkmetric.Exporter { called = append(called, "metric exporter"); return e },
		LogExporter:    func(e sdklog.Exporter) sdklog.Exporter { called = append(called, "log exporter"); return e },
		OTLPTransport: func(signal string, next http.RoundTripper) http.RoundTripper {
			called = append(called, "transport for "+signal)
			return next
		},
	}))
	_, span := otel.Tracer("test").Start(parent(t, "00"), "work")
	span.End()
	flush()
	want := []string{
		"propagator", "resource", "transport for metrics", "metric exporter",
		"sampler", "transport for traces", "span exporter", "span processor", "transport for logs", "log exporter",
	}
	if !slices.Equal(called, want) {
		t.Errorf("called %q\nwant   %q", called, want)
	}
	if spans := store.Spans(); len(spans) != 1 || spans[0].Service() != "customized" {
		t.Errorf("spans %v, want one of the service customized: the sampler was replaced", spans)
	}
}

type detector func(context.Context) (*resource.Resource, error)

func (d detector) Detect(ctx context.Context) (*resource.Resource, error) { return d(ctx) }

// TestDetectors registers them for good, so it is the last test of this file.
func TestDetectors(t *testing.T) {
	found := resource.NewSchemaless(otelattribute.String("cloud.region", "moon"), otelattribute.String("team", "lost"))
	extend.Detectors.Register("quick", detector(func(context.Context) (*resource.Resource, error) { return found, nil }))
	extend.Detectors.Register("broken", detector(func(context.Context) (*resource.Resource, error) { return nil, errFactory }))
	extend.Detectors.Register("a stuck one", detector(func(ctx context.Context) (*resource.Resource, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}))
	defer func() {
		for _, name := range []string{"quick", "broken", "a stuck one"} {
			extend.Detectors.Register(name, detector(func(context.Context) (*resource.Resource, error) { return resource.Empty(), nil }))
		}
	}()
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "team=env")
	for _, name := range []string{"TRACES", "METRICS", "LOGS"} {
		t.Setenv("OTEL_"+name+"_EXPORTER", "none")
	}
	t.Setenv("OTEL_TRACES_EXPORTER", "ours")
	memory.Reset()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		telemetry, err := otelsetup.Start(t.Context(), otelsetup.WithLogHandler(slog.DiscardHandler), otelsetup.WithoutDefaultTransport())
		if took := time.Since(begin); took != time.Second {
			t.Errorf("Start took %v with a detector that is stuck, want 1s", took)
		}
		for _, want := range []string{"resource detector broken: the factory failed", "resource detector a stuck one: "} {
			if err != nil || !strings.Contains(problems(telemetry), want) {
				t.Errorf("Start returned %v, problems %s, want %q", err, problems(telemetry), want)
			}
		}
		_, span := otel.Tracer("test").Start(t.Context(), "work")
		span.End()
		if err := telemetry.ForceFlush(t.Context()); err != nil {
			t.Error(err)
		}
		for _, s := range memory.GetSpans() {
			set := s.Resource.Set()
			region, _ := set.Value("cloud.region")
			if team, _ := set.Value("team"); region.AsString() != "moon" || team.AsString() != "env" {
				t.Errorf("the resource has region %q and team %q", region.AsString(), team.AsString())
			}
		}
		if len(memory.GetSpans()) != 1 {
			t.Errorf("%d spans, want 1", len(memory.GetSpans()))
		}
		if err := telemetry.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// TestNothingIsNoOption gives nil wherever something can be given.
func TestNothingIsNoOption(t *testing.T) {
	extend.SpanExporters.Register("nothing", nil)
	t.Setenv("OTEL_TRACES_EXPORTER", "nothing")
	t.Setenv("CLEW_DELIVERY_JOURNAL", "true")
	telemetry, err := otelsetup.Start(t.Context(), nil, otelsetup.WithLogHandler(nil), otelsetup.WithSpanProcessor(nil), otelsetup.Customize(extend.Customizers{
		Sampler:       func(sdktrace.Sampler) sdktrace.Sampler { return nil },
		SpanProcessor: func(sdktrace.SpanProcessor) (sdktrace.SpanProcessor, error) { return nil, nil },
		Delivery:      func(c delivery.Config) delivery.Config { return c },
	}))
	if err != nil {
		t.Fatal(err)
	}
	defer telemetry.Shutdown(expired()) //nolint:errcheck // nothing listens there
	_, span := otel.Tracer("test").Start(t.Context(), "work")
	span.End()
	for _, want := range []string{
		"OTEL_TRACES_EXPORTER: nothing: nothing is registered under this name",
		`CLEW_DELIVERY_JOURNAL="true": must come with a directory: CLEW_DELIVERY_SPOOL_DIR is not set; using false`,
	} {
		if !strings.Contains(problems(telemetry), want) {
			t.Errorf("problems %s, want %s", problems(telemetry), want)
		}
	}
}

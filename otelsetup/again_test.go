package otelsetup_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/metric"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"

	"github.com/clewtrace/clew/clewhttp"
	"github.com/clewtrace/clew/internal/otlpreceiver"
	"github.com/clewtrace/clew/otelsetup"
)

// early is an instrument that a package makes before the first Start.
var early, errEarly = otel.Meter("early").Int64Counter("early")

// makers make an instrument of each kind, and return what records 5 with it. An
// observable one records it by itself.
var makers = map[string]func(m metric.Meter, name string) (record func(context.Context), err error){
	"Int64Counter": func(m metric.Meter, name string) (func(context.Context), error) {
		i, err := m.Int64Counter(name)
		return func(ctx context.Context) { i.Add(ctx, 5) }, err
	},
	"Int64UpDownCounter": func(m metric.Meter, name string) (func(context.Context), error) {
		i, err := m.Int64UpDownCounter(name)
		return func(ctx context.Context) { i.Add(ctx, 5) }, err
	},
	"Int64Histogram": func(m metric.Meter, name string) (func(context.Context), error) {
		i, err := m.Int64Histogram(name, metric.WithExplicitBucketBoundaries(4, 6))
		return func(ctx context.Context) { i.Record(ctx, 5) }, err
	},
	"Int64Gauge": func(m metric.Meter, name string) (func(context.Context), error) {
		i, err := m.Int64Gauge(name)
		return func(ctx context.Context) { i.Record(ctx, 5) }, err
	},
	"Float64Counter": func(m metric.Meter, name string) (func(context.Context), error) {
		i, err := m.Float64Counter(name)
		return func(ctx context.Context) { i.Add(ctx, 5) }, err
	},
	"Float64UpDownCounter": func(m metric.Meter, name string) (func(context.Context), error) {
		i, err := m.Float64UpDownCounter(name)
		return func(ctx context.Context) { i.Add(ctx, 5) }, err
	},
	"Float64Histogram": func(m metric.Meter, name string) (func(context.Context), error) {
		i, err := m.Float64Histogram(name, metric.WithExplicitBucketBoundaries(4, 6))
		return func(ctx context.Context) { i.Record(ctx, 5) }, err
	},
	"Float64Gauge": func(m metric.Meter, name string) (func(context.Context), error) {
		i, err := m.Float64Gauge(name)
		return func(ctx context.Context) { i.Record(ctx, 5) }, err
	},
	"Int64ObservableCounter": func(m metric.Meter, name string) (func(context.Context), error) {
		_, err := m.Int64ObservableCounter(name, observeInt)
		return nil, err
	},
	"Int64ObservableUpDownCounter": func(m metric.Meter, name string) (func(context.Context), error) {
		_, err := m.Int64ObservableUpDownCounter(name, observeInt)
		return nil, err
	},
	"Int64ObservableGauge": func(m metric.Meter, name string) (func(context.Context), error) {
		_, err := m.Int64ObservableGauge(name, observeInt)
		return nil, err
	},
	"Float64ObservableCounter": func(m metric.Meter, name string) (func(context.Context), error) {
		_, err := m.Float64ObservableCounter(name, observeFloat)
		return nil, err
	},
	"Float64ObservableUpDownCounter": func(m metric.Meter, name string) (func(context.Context), error) {
		_, err := m.Float64ObservableUpDownCounter(name, observeFloat)
		return nil, err
	},
	"Float64ObservableGauge": func(m metric.Meter, name string) (func(context.Context), error) {
		_, err := m.Float64ObservableGauge(name, observeFloat)
		return nil, err
	},
}

var (
	observeInt   = metric.WithInt64Callback(func(_ context.Context, o metric.Int64Observer) error { o.Observe(5); return nil })
	observeFloat = metric.WithFloat64Callback(func(_ context.Context, o metric.Float64Observer) error { o.Observe(5); return nil })
)

// sums adds up the points that arrived, by the name of the metric.
func sums(store *otlpreceiver.Store) map[string]float64 {
	sum := map[string]float64{}
	for _, m := range store.Metrics() {
		for _, p := range slices.Concat(m.GetSum().GetDataPoints(), m.GetGauge().GetDataPoints()) {
			if v, ok := p.GetValue().(*metricspb.NumberDataPoint_AsInt); ok {
				sum[m.GetName()] += float64(v.AsInt)
			} else {
				sum[m.GetName()] += p.GetAsDouble()
			}
		}
		for _, p := range m.GetHistogram().GetDataPoints() {
			if counts := p.GetBucketCounts(); len(counts) == 3 && counts[1] == p.GetCount() { // the boundaries were passed on
				sum[m.GetName()] += p.GetSum()
			}
		}
	}
	return sum
}

// TestInstrumentsWorkAgain records with instruments that packages made during
// the first Start: what each start exports was recorded during that one.
func TestInstrumentsWorkAgain(t *testing.T) {
	if errEarly != nil {
		t.Fatal(errEarly)
	}
	var recorders []func(context.Context)
	for n := range 3 {
		store, telemetry, flush := start(t)
		for kind, make := range makers {
			if n > 0 {
				break
			}
			for from, m := range map[string]metric.Meter{"global": otel.Meter("again", metric.WithInstrumentationVersion("1.2")), "own": telemetry.MeterProvider().Meter("again")} {
				record, err := make(m, from+"."+kind)
				if err != nil {
					t.Fatal(err)
				}
				if record != nil {
					recorders = append(recorders, record)
				}
			}
		}
		early.Add(t.Context(), 5)
		for _, record := range recorders {
			record(t.Context())
		}
		flush()
		for _, record := range recorders {
			record(t.Context()) // nobody listens
		}
		got := sums(store)
		for kind := range makers {
			for _, name := range []string{"global." + kind, "own." + kind} {
				if got[name] != 5 {
					t.Errorf("start %d: %s is %v, want 5", n, name, got[name])
				}
			}
		}
		if got["early"] != 5 {
			t.Errorf("start %d: early is %v, want 5", n, got["early"])
		}
		for _, m := range store.Metrics() {
			if strings.HasPrefix(m.GetName(), "global.") && (m.Scope.GetName() != "again" || m.Scope.GetVersion() != "1.2") {
				t.Errorf("start %d: %s has the scope %v", n, m.GetName(), m.Scope)
			}
		}
	}
}

// TestCallbacksAreRegisteredAgain counts with which starts a callback was called
// that is unregistered before one of them, during one, or after.
func TestCallbacksAreRegisteredAgain(t *testing.T) {
	for _, test := range []struct {
		rule       string
		unregister string
		want       []float64 // what each start exports
	}{
		{"never", "", []float64{1, 2, 3}},
		{"during the first", "during 0", []float64{0, 0, 0}},
		{"after the first", "after 0", []float64{1, 0, 0}},
		{"during the second", "during 1", []float64{1, 0, 0}},
		{"after the last", "after 2", []float64{1, 2, 3}},
	} {
		t.Run(test.rule, func(t *testing.T) {
			meter := otel.Meter("callbacks")
			name := "calls." + strings.ReplaceAll(test.rule, " ", ".")
			whole, err := meter.Int64ObservableGauge(name)
			if err != nil {
				t.Fatal(err)
			}
			part, err := meter.Float64ObservableGauge(name + ".part")
			if err != nil {
				t.Fatal(err)
			}
			calls := 0
			registration, err := meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
				calls++
				o.ObserveInt64(whole, int64(calls))
				o.ObserveFloat64(part, float64(calls))
				return nil
			}, whole, part)
			if err != nil {
				t.Fatal(err)
			}
			at := func(moment string) {
				if moment == test.unregister {
					for range 2 { // the second time does nothing
						if err := registration.Unregister(); err != nil {
							t.Error(err)
						}
					}
				}
			}
			for n, want := range test.want {
				store, _, flush := start(t)
				at("during " + string(rune('0'+n)))
				flush()
				at("after " + string(rune('0'+n)))
				if got := sums(store); got[name] != want || got[name+".part"] != want {
					t.Errorf("start %d: %v and %v, want %v", n, got[name], got[name+".part"], want)
				}
			}
			at("never")
			if test.unregister == "" {
				registration.Unregister() //nolint:errcheck // so that other tests are not disturbed
			}
		})
	}
}

// TestFirstUseInACallback records with a counter for the first time while the
// SDK collects, when it makes no new instruments.
func TestFirstUseInACallback(t *testing.T) {
	meter := otel.Meter("first.use")
	counter, err := meter.Int64Counter("first.use")
	if err != nil {
		t.Fatal(err)
	}
	gauge, err := meter.Int64ObservableGauge("first.use.gauge")
	if err != nil {
		t.Fatal(err)
	}
	registration, err := meter.RegisterCallback(func(ctx context.Context, _ metric.Observer) error {
		counter.Add(ctx, 1)
		return nil
	}, gauge)
	if err != nil {
		t.Fatal(err)
	}
	defer registration.Unregister() //nolint:errcheck // a test
	store, _, flush := start(t)
	flush()
	if got := sums(store)["first.use"]; got != 1 {
		t.Errorf("the counter is %v, want 1", got)
	}
}

// TestLoggersWorkAgain logs with loggers that packages made during the first Start.
func TestLoggersWorkAgain(t *testing.T) {
	var own, global log.Logger
	var printed *slog.Logger
	emit := func(l log.Logger, text string) {
		var r log.Record
		r.SetBody(attribute.StringValue(text))
		l.Emit(t.Context(), r)
	}
	for n := range 3 {
		store, telemetry, flush := start(t)
		if n == 0 {
			own = telemetry.LoggerProvider().Logger("again", log.WithInstrumentationVersion("1.2"))
			global = otel.GetLoggerProvider().Logger("again", log.WithInstrumentationVersion("1.2"))
			printed = slog.Default().With("n", 1)
		}
		emit(own, "own")
		emit(global, "global")
		printed.Info("printed")
		if !own.Enabled(t.Context(), log.EnabledParameters{}) {
			t.Error("the logger is not enabled while telemetry runs")
		}
		flush()
		emit(own, "between")
		printed.Info("between")
		if own.Enabled(t.Context(), log.EnabledParameters{}) {
			t.Error("the logger is enabled after Shutdown")
		}
		var got []string
		for _, l := range store.Logs() {
			got = append(got, l.GetBody().GetStringValue())
			if l.Scope.GetName() == "again" && l.Scope.GetVersion() != "1.2" {
				t.Errorf("start %d: scope %v", n, l.Scope)
			}
		}
		slices.Sort(got)
		if want := []string{"global", "own", "printed"}; !slices.Equal(got, want) {
			t.Errorf("start %d: %q, want %q", n, got, want)
		}
	}
}

// TestOwnMetricsComeAgain looks for the metrics of this project, and of the
// runtime, in the second start: once each.
func TestOwnMetricsComeAgain(t *testing.T) {
	var handler http.Handler
	for n := range 2 {
		store, _, flush := start(t)
		if n == 0 {
			handler = clewhttp.Handler(http.NotFoundHandler())
		}
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody))
		flush()
		count := map[string]int{}
		for _, m := range store.Metrics() {
			count[m.GetName()]++
		}
		for _, name := range []string{"go.goroutine.count", "http.server.request.duration"} {
			if count[name] != 1 {
				t.Errorf("start %d: %s was exported %d times, want once", n, name, count[name])
			}
		}
	}
}

// TestStartsBesideUse starts and shuts down while others make instruments, record,
// register callbacks and unregister them.
func TestStartsBesideUse(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) //nolint:errcheck // a test
	}))
	defer server.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	t.Setenv("OTEL_METRIC_EXPORT_INTERVAL", "1")
	var users sync.WaitGroup
	done := make(chan struct{})
	for n := range 2 {
		users.Go(func() {
			meter := otel.Meter("beside")
			logger := otel.GetLoggerProvider().Logger("beside")
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				default:
				}
				counter, err := meter.Int64Counter(fmt.Sprintf("beside.%d.%d", n, i%10))
				if err != nil {
					t.Error(err)
				}
				gauge, err := meter.Float64ObservableGauge(fmt.Sprintf("beside.gauge.%d", n))
				if err != nil {
					t.Error(err)
				}
				registration, err := meter.RegisterCallback(func(ctx context.Context, o metric.Observer) error {
					counter.Add(ctx, 1)
					o.ObserveFloat64(gauge, 1)
					return nil
				}, gauge)
				if err != nil {
					t.Error(err)
				}
				counter.Add(t.Context(), 1)
				logger.Emit(t.Context(), log.Record{})
				if err := registration.Unregister(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 8 {
		telemetry, err := otelsetup.Start(t.Context(), otelsetup.WithLogHandler(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if err := telemetry.ForceFlush(t.Context()); err != nil {
			t.Error(err)
		}
		telemetry.Shutdown(context.Background()) //nolint:errcheck // more may come in than it can count
	}
	close(done)
	users.Wait()
}

// TestHundredStartsKeepNothing compares the heap after a few starts with that
// after a hundred more. Instruments that nobody has any more go, and callbacks that
// are unregistered.
func TestHundredStartsKeepNothing(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) //nolint:errcheck // a test
	}))
	defer server.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "user-agent=test")
	kept, err := otel.Meter("hundred").Int64Counter("kept")
	if err != nil {
		t.Fatal(err)
	}
	round := func() {
		telemetry, err := otelsetup.Start(t.Context(), otelsetup.WithLogHandler(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		meter := otel.Meter("hundred")
		for _, name := range []string{"a", "b", "c", "d"} {
			counter, err := meter.Int64Counter(name)
			if err != nil {
				t.Fatal(err)
			}
			counter.Add(t.Context(), 1)
		}
		gauge, err := meter.Int64ObservableGauge("gauge")
		if err != nil {
			t.Fatal(err)
		}
		ballast := make([]byte, 1<<16)
		registration, err := meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
			o.ObserveInt64(gauge, int64(len(ballast)))
			return nil
		}, gauge)
		if err != nil {
			t.Fatal(err)
		}
		kept.Add(t.Context(), 1)
		slog.Info("hello")
		if err := registration.Unregister(); err != nil {
			t.Error(err)
		}
		if err := telemetry.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	}
	heap := func() uint64 {
		var m runtime.MemStats
		for range 3 {
			runtime.GC()
		}
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	for range 10 {
		round()
	}
	before := heap()
	for range 100 {
		round()
	}
	if after := heap(); after > before+1<<20 {
		t.Errorf("the heap grew from %d to %d bytes", before, after)
	}
}

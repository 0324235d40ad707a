package otelsetup_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/delivery"
	"github.com/clewtrace/clew/internal/otlpreceiver"
	"github.com/clewtrace/clew/otelsetup"
	"github.com/clewtrace/clew/tracecontext"
)

// start starts telemetry that is sent to the store that it returns. The end of
// the test shuts it down; flush does so before.
func start(t *testing.T, opts ...otelsetup.Option) (store *otlpreceiver.Store, telemetry *otelsetup.Telemetry, flush func()) {
	t.Helper()
	store = &otlpreceiver.Store{}
	server := httptest.NewServer(store.Handler())
	t.Cleanup(server.Close)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	telemetry, err := otelsetup.Start(t.Context(), append([]otelsetup.Option{otelsetup.WithLogHandler(slog.DiscardHandler)}, opts...)...)
	if err != nil || problems(telemetry) != "" {
		t.Fatalf("%v; problems: %s", err, problems(telemetry))
	}
	flush = func() {
		t.Helper()
		if err := telemetry.Shutdown(context.Background()); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	}
	t.Cleanup(flush)
	return store, telemetry, flush
}

// problems are those of the report, a line each.
func problems(telemetry *otelsetup.Telemetry) string {
	var lines []string
	for _, p := range telemetry.Report().Problems {
		lines = append(lines, p.String())
	}
	return strings.Join(lines, "\n")
}

func TestStartSendsThreeSignals(t *testing.T) {
	t.Setenv("OTEL_SERVICE_NAME", "shop")
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test,service.name=ignored")
	store, _, flush := start(t)
	ctx, span := otel.Tracer("test", trace.WithInstrumentationVersion("1.2.3")).Start(t.Context(), "work")
	slog.InfoContext(ctx, "hello", "n", 1)
	counter, err := otel.Meter("test").Int64Counter("orders")
	if err != nil {
		t.Fatal(err)
	}
	counter.Add(ctx, 3)
	span.End()
	flush()

	spans, logs := store.Spans(), store.Logs()
	if len(spans) != 1 || len(logs) != 1 {
		t.Fatalf("%d spans and %d log records, want one of each", len(spans), len(logs))
	}
	if s := spans[0]; s.GetName() != "work" || s.Scope.GetName() != "test" || s.Scope.GetVersion() != "1.2.3" || s.Service() != "shop" {
		t.Errorf("span %v of scope %v and service %q", s.Span, s.Scope, s.Service())
	}
	if l := logs[0]; l.Service() != "shop" || !bytes.Equal(l.GetSpanId(), spans[0].GetSpanId()) {
		t.Errorf("log record %v of service %q", l.LogRecord, l.Service())
	}
	for _, key := range []string{
		"deployment.environment.name", "service.instance.id", "telemetry.sdk.name", "host.name", "process.pid", "process.runtime.name",
	} {
		if otlpreceiver.Attribute(spans[0].Resource.GetAttributes(), key) == nil {
			t.Errorf("the resource has no %s", key)
		}
	}
	var names []string
	for _, m := range store.Metrics() {
		names = append(names, m.GetName())
	}
	for _, name := range []string{"orders", "go.goroutine.count"} {
		if !slices.Contains(names, name) {
			t.Errorf("no metric %s among %q", name, names)
		}
	}
}

// Started again, the sampler must not stay with the metrics of the first time.
func TestAdaptiveExportsItsMetrics(t *testing.T) {
	t.Setenv("OTEL_TRACES_SAMPLER", "parentbased_adaptive")
	t.Setenv("OTEL_TRACES_SAMPLER_ARG", "10")
	for time := range 2 {
		store, _, flush := start(t)
		_, span := otel.Tracer("test").Start(t.Context(), "work")
		span.End()
		flush()
		var names []string
		for _, m := range store.Metrics() {
			if strings.HasPrefix(m.GetName(), "clew.sampler.") {
				names = append(names, m.GetName())
			}
		}
		slices.Sort(names)
		want := []string{
			"clew.sampler.decisions", "clew.sampler.load", "clew.sampler.operations",
			"clew.sampler.probability", "clew.sampler.target",
		}
		if !slices.Equal(slices.Compact(names), want) {
			t.Errorf("start %d: exported %q, want %q", time+1, names, want)
		}
	}
}

// parent is a remote parent with the given flags.
func parent(t *testing.T, flags string) context.Context {
	t.Helper()
	carrier := http.Header{"Traceparent": {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-" + flags}}
	return otel.GetTextMapPropagator().Extract(t.Context(), headerCarrier(carrier))
}

func TestRandomFlag(t *testing.T) {
	_, telemetry, _ := start(t)
	tracer := otel.Tracer("test")
	link := trace.WithLinks(trace.Link{})
	for _, test := range []struct {
		name  string
		ctx   context.Context
		opts  []trace.SpanStartOption
		flags trace.TraceFlags
		root  bool
	}{
		{"is set on a root", t.Context(), nil, 3, true},
		{"is set on a root with options", t.Context(), []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindServer), link}, 3, true},
		{"is set on an explicit root", parent(t, "01"), []trace.SpanStartOption{trace.WithNewRoot(), link}, 3, true},
		{"is set on an explicit root without a parent", t.Context(), []trace.SpanStartOption{trace.WithNewRoot()}, 3, true},
		{"is not added to a received trace", parent(t, "01"), nil, 1, false},
		{"is kept on a received trace", parent(t, "03"), nil, 3, false},
		{"is kept on a trace that is not sampled", parent(t, "02"), nil, 2, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, tracer := range []trace.Tracer{tracer, telemetry.TracerProvider().Tracer("test")} {
				ctx, span := tracer.Start(test.ctx, "span", test.opts...)
				defer span.End()
				if got := span.SpanContext().TraceFlags(); got != test.flags {
					t.Errorf("flags %v, want %v", got, test.flags)
				}
				if root := span.SpanContext().TraceID() != trace.SpanContextFromContext(test.ctx).TraceID(); root != test.root {
					t.Errorf("a new trace: %v, want %v", root, test.root)
				}
				_, child := tracer.Start(ctx, "child")
				defer child.End()
				if got := child.SpanContext().TraceFlags(); got != test.flags {
					t.Errorf("the child has flags %v, want %v", got, test.flags)
				}
			}
		})
	}
}

func TestLogRecords(t *testing.T) {
	var printed bytes.Buffer
	handler := slog.NewTextHandler(&printed, &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})
	store, _, flush := start(t, otelsetup.WithLogHandler(handler))
	ctx := parent(t, "01")
	const ids = " trace_id=0af7651916cd43dd8448eb211c80319c span_id=b7ad6b7169203331"

	for _, test := range []struct {
		name string
		log  func()
		want string
	}{
		{"inside a span", func() { slog.InfoContext(ctx, "m", "a", 1) }, "level=INFO msg=m a=1" + ids},
		{"outside of a span", func() { slog.Warn("m", "a", 1) }, "level=WARN msg=m a=1"},
		{"with attributes", func() { slog.With("a", 1).InfoContext(ctx, "m", "b", 2) }, "level=INFO msg=m a=1 b=2" + ids},
		{
			"the ids stand outside of groups",
			func() { slog.With("a", 1).WithGroup("g").With("b", 2).WithGroup("h").InfoContext(ctx, "m", "c", 3) },
			"level=INFO msg=m" + ids + " a=1 g.b=2 g.h.c=3",
		},
		{"package log", func() { log.Printf("m %d", 1) }, `level=INFO msg="m 1"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			printed.Reset()
			test.log()
			got := strings.TrimSpace(printed.String())
			if sortFields(got) != sortFields(test.want) {
				t.Errorf("printed  %s\nwant     %s", got, test.want)
			}
		})
	}
	flush()
	for i, l := range store.Logs() {
		if inside := i == 0 || i == 2 || i == 3; inside != (len(l.GetSpanId()) == 8) {
			t.Errorf("record %d was exported with span id %x", i, l.GetSpanId())
		}
	}
	if got := len(store.Logs()); got != 5 {
		t.Errorf("%d records exported, want 5", got)
	}
}

// sortFields makes the order of ids and attributes not matter.
func sortFields(line string) string {
	fields := strings.Fields(line)
	slices.Sort(fields)
	return strings.Join(fields, " ")
}

func TestLogsExporterChooses(t *testing.T) {
	for _, test := range []struct {
		value              string
		printed, delivered bool
	}{
		{"", true, true},
		{"otlp,console", true, true},
		{"otlp", false, true},
		{"console", true, false},
		{"none", true, false},
	} {
		t.Run("OTEL_LOGS_EXPORTER="+test.value, func(t *testing.T) {
			t.Setenv("OTEL_LOGS_EXPORTER", test.value)
			var printed bytes.Buffer
			store, _, flush := start(t, otelsetup.WithLogHandler(slog.NewTextHandler(&printed, nil)))
			slog.Info("hello")
			flush()
			if got := printed.Len() > 0; got != test.printed {
				t.Errorf("printed: %v, want %v", got, test.printed)
			}
			if got := len(store.Logs()) > 0; got != test.delivered {
				t.Errorf("exported: %v, want %v", got, test.delivered)
			}
		})
	}
}

func TestDisabled(t *testing.T) {
	t.Setenv("OTEL_SDK_DISABLED", "TRUE")
	store, _, flush := start(t)
	ctx := parent(t, "01")
	_, span := otel.Tracer("test").Start(ctx, "work")
	span.End()
	header := http.Header{}
	otel.GetTextMapPropagator().Inject(ctx, headerCarrier(header))
	if header.Get("Traceparent") == "" {
		t.Error("the trace context is not passed on")
	}
	flush()
	if n := len(store.Spans()) + len(store.Logs()) + len(store.Metrics()); n > 0 {
		t.Errorf("%d items exported", n)
	}
}

func TestClientCertificatesNeedAnImport(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "cert.pem")
	t.Setenv("OTEL_EXPORTER_OTLP_CLIENT_KEY", "key.pem")
	telemetry, err := otelsetup.Start(t.Context(), otelsetup.WithLogHandler(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer telemetry.Shutdown(t.Context()) //nolint:errcheck // there is nothing to deliver
	const want = `OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE="cert.pem": client certificates need the import of github.com/clewtrace/clew/otelsetup/clientcert; using none`
	if got := problems(telemetry); got != want {
		t.Errorf("problems %s, want %s", got, want)
	}
}

func TestBadValues(t *testing.T) {
	for _, test := range []struct{ variable, value, want string }{
		{"OTEL_CONFIG_FILE", "otel.yaml", `OTEL_CONFIG_FILE="otel.yaml": a configuration file needs the import of github.com/clewtrace/clew/otelsetup/configfile; using the other variables`},
		{"OTEL_SDK_DISABLED", "1", `OTEL_SDK_DISABLED="1": must be true or false; using false`},
		{"OTEL_TRACES_SAMPLER", "sometimes", `OTEL_TRACES_SAMPLER="sometimes": must be adaptive, always_off, always_on, failing, ours, probability, traceidratio, parentbased_adaptive, parentbased_always_off, parentbased_always_on, parentbased_failing, parentbased_ours, parentbased_probability or parentbased_traceidratio; using parentbased_always_on`},
		{"OTEL_TRACES_SAMPLER_ARG", "1.5", `OTEL_TRACES_SAMPLER_ARG="1.5": ratio must be between 0 and 1; using 1`},
		{"OTEL_TRACES_SAMPLER_ARG", "NaN", `OTEL_TRACES_SAMPLER_ARG="NaN": ratio must be between 0 and 1; using 1`},
		{"OTEL_BSP_MAX_QUEUE_SIZE", "-1", `OTEL_BSP_MAX_QUEUE_SIZE="-1": must be a whole number from 1 to 1048576; using no limit`},
		{"OTEL_BLRP_MAX_QUEUE_SIZE", "2147483647", `OTEL_BLRP_MAX_QUEUE_SIZE="2147483647": must be a whole number from 1 to 1048576; using no limit`},
		{"OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "0", `OTEL_BSP_MAX_EXPORT_BATCH_SIZE="0": must be a whole number from 1 to 2147483647; using 2048`},
		{"OTEL_BSP_SCHEDULE_DELAY", "1s", `OTEL_BSP_SCHEDULE_DELAY="1s": must be a whole number of milliseconds from 0 to 2147483647; using 1000`},
		{"OTEL_BLRP_SCHEDULE_DELAY", "-5", `OTEL_BLRP_SCHEDULE_DELAY="-5": must be a whole number of milliseconds from 0 to 2147483647; using 1000`},
		{"OTEL_METRIC_EXPORT_INTERVAL", "0", `OTEL_METRIC_EXPORT_INTERVAL="0": must be a whole number of milliseconds from 1 to 2147483647; using 60000`},
		{"CLEW_DELIVERY_QUEUE_SIZE", "64MB", `CLEW_DELIVERY_QUEUE_SIZE="64MB": must be a whole number of bytes, at least 65536; using 67108864`},
		{"CLEW_DELIVERY_SPOOL_SIZE", "1", `CLEW_DELIVERY_SPOOL_SIZE="1": must be a whole number of bytes, at least 8388608; using 268435456`},
		{"CLEW_DELIVERY_SPOOL_SYNC", "always", `CLEW_DELIVERY_SPOOL_SYNC="always": must be true or false; using false`},
		{"CLEW_DELIVERY_SPOOL_SIZE", "8388608", `CLEW_DELIVERY_SPOOL_SIZE="8388608": must come with a directory: CLEW_DELIVERY_SPOOL_DIR is not set; using 268435456`},
		{"CLEW_DELIVERY_SPOOL_SYNC", "true", `CLEW_DELIVERY_SPOOL_SYNC="true": must come with a directory: CLEW_DELIVERY_SPOOL_DIR is not set; using false`},
		{"CLEW_DELIVERY_JOURNAL", "true", `CLEW_DELIVERY_JOURNAL="true": must come with a directory: CLEW_DELIVERY_SPOOL_DIR is not set; using false`},
		{"CLEW_DELIVERY_SPOOL_DIR", "/dev/null/spool", `CLEW_DELIVERY_SPOOL_DIR="/dev/null/spool": mkdir /dev/null: not a directory; using memory only`},
		{"OTEL_TRACES_EXPORTER", "otlp,zipkin", `OTEL_TRACES_EXPORTER="otlp,zipkin": unknown "zipkin" (zipkin needs the import of github.com/clewtrace/clew/contrib/zipkin), must be a list of otlp, console, failing, ours or none; using otlp`},
		{"OTEL_METRICS_EXPORTER", "none,console", `OTEL_METRICS_EXPORTER="none,console": none excludes every other entry; using console`},
		{"OTEL_PROPAGATORS", "b4,b3", `OTEL_PROPAGATORS="b4,b3": unknown "b4", must be a list of b3, b3multi, baggage, clew, jaeger, ottrace, ours, tracecontext, xray or none; using b3`},
		{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "localhost:4318", `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="localhost:4318": must be a URL such as http://localhost:4318; using http://localhost:4318/v1/traces`},
		{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "carrier pigeon", `OTEL_EXPORTER_OTLP_TRACES_PROTOCOL="carrier pigeon": must be http/json or http/protobuf; using http/protobuf`},
	} {
		t.Run(test.variable+"="+test.value, func(t *testing.T) {
			if strings.HasSuffix(test.variable, "_ARG") {
				t.Setenv("OTEL_TRACES_SAMPLER", "traceidratio")
			}
			t.Setenv(test.variable, test.value)
			telemetry, err := otelsetup.Start(t.Context(), otelsetup.WithLogHandler(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			defer telemetry.Shutdown(expired()) //nolint:errcheck // nothing listens there
			found := telemetry.Report().Problems
			if len(found) != 1 || found[0].Name != test.variable || found[0].Value != test.value {
				t.Fatalf("got problems %v, want one about the variable", found)
			}
			if found[0].String() != test.want {
				t.Errorf("got  %s\nwant %s", found[0], test.want)
			}
		})
	}
}

// expired is a context whose deadline has passed.
func expired() context.Context {
	ctx, cancel := context.WithDeadline(context.Background(), time.Unix(0, 0))
	cancel()
	return ctx
}

func TestEndpoints(t *testing.T) {
	for _, test := range []struct {
		name, general, own string // paths on the receiver
		want               string
	}{
		{"the general endpoint gets the signal's path", "/", "", "/v1/traces"},
		{"the general endpoint may have a path", "/otlp/", "", "/otlp/v1/traces"},
		{"the signal's endpoint is taken as it is", "/unused", "/custom", "/custom"},
	} {
		t.Run(test.name, func(t *testing.T) {
			paths := make(chan string, 10)
			server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { paths <- r.URL.Path }))
			defer server.Close()
			t.Setenv("OTEL_METRICS_EXPORTER", "none")
			t.Setenv("OTEL_LOGS_EXPORTER", "none")
			t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL+test.general)
			if test.own != "" {
				t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", server.URL+test.own)
			}
			telemetry, err := otelsetup.Start(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			_, span := otel.Tracer("test").Start(t.Context(), "work")
			span.End()
			if err := telemetry.Shutdown(context.Background()); err != nil {
				t.Fatal(err)
			}
			if got := <-paths; got != test.want {
				t.Errorf("posted to %s, want %s", got, test.want)
			}
		})
	}
}

func TestStartTwice(t *testing.T) {
	_, _, flush := start(t)
	if telemetry, err := otelsetup.Start(t.Context()); telemetry != nil || err == nil {
		t.Errorf("a second Start returned %v, %v", telemetry, err)
	}
	flush()
	before := otel.GetTextMapPropagator()
	start(t)
	if otel.GetTextMapPropagator() == before {
		t.Error("Start after Shutdown has no effect")
	}
}

// packageTracer is made the usual way, before any Start.
var packageTracer = otel.Tracer("package")

func TestTracerOfAPackage(t *testing.T) {
	for range 3 {
		store, _, flush := start(t)
		_, span := packageTracer.Start(t.Context(), "work")
		span.End()
		flush()
		if got := len(store.Spans()); got != 1 {
			t.Errorf("%d spans, want 1", got)
		}
		if _, span := packageTracer.Start(t.Context(), "after Shutdown"); span.IsRecording() {
			t.Error("a span records after Shutdown")
		}
	}
}

func TestShutdownRestoresGlobals(t *testing.T) {
	tracers, meters, loggers := otel.GetTracerProvider(), otel.GetMeterProvider(), otel.GetLoggerProvider()
	propagator, logger, writer := otel.GetTextMapPropagator(), slog.Default(), log.Writer()
	_, _, flush := start(t)
	flush()
	if otel.GetTracerProvider() != tracers || otel.GetMeterProvider() != meters || otel.GetLoggerProvider() != loggers {
		t.Error("a provider is not restored")
	}
	if fmt.Sprint(otel.GetTextMapPropagator()) != fmt.Sprint(propagator) {
		t.Error("the propagator is not restored")
	}
	if slog.Default() != logger || log.Writer() != writer {
		t.Error("the default logger is not restored")
	}
}

func TestShutdownTellsWhatWentWrong(t *testing.T) {
	refused, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refused.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+refused.Addr().String())
	telemetry, err := otelsetup.Start(t.Context(), otelsetup.WithLogHandler(slog.NewTextHandler(os.Stderr, nil)))
	if err != nil {
		t.Fatal(err)
	}
	_, span := otel.Tracer("test").Start(t.Context(), "work")
	span.End()
	slog.Info("hello")
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	first := telemetry.Shutdown(ctx)
	if first == nil {
		t.Fatal("Shutdown returned nil, and nothing was delivered")
	}
	for _, signal := range []string{"traces", "metrics", "logs"} {
		if !strings.Contains(first.Error(), signal) {
			t.Errorf("%q does not name %s", first, signal)
		}
	}
	if second := telemetry.Shutdown(context.Background()); second != first { //nolint:errorlint // the very same
		t.Errorf("the second Shutdown returned %v", second)
	}
}

// TestShutdownKeepsToItsDeadline sends to a collector that accepts and never
// answers. The deadline has passed, so that Shutdown has no time to wait.
func TestShutdownKeepsToItsDeadline(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer server.Close()
	defer close(release)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	telemetry, err := otelsetup.Start(t.Context(), otelsetup.WithLogHandler(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	_, span := otel.Tracer("test").Start(t.Context(), "work")
	span.End()
	err = telemetry.Shutdown(expired())
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Shutdown returned %v, want that the deadline passed", err)
	}
	if lost, ok := errors.AsType[*delivery.UndeliveredError](err); !ok || lost.Items != 1 {
		t.Errorf("Shutdown returned %v, want that a span was not delivered", err)
	}
}

func TestIDsAreValid(t *testing.T) {
	start(t)
	header := http.Header{}
	ctx, span := otel.Tracer("test").Start(t.Context(), "work")
	defer span.End()
	otel.GetTextMapPropagator().Inject(ctx, headerCarrier(header))
	tp, err := tracecontext.ParseTraceparent(header.Get("Traceparent"))
	if err != nil || !tp.IsSampled() || !tp.IsRandom() {
		t.Errorf("sent %v, %v", tp, err)
	}
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/clewtrace/clew/clewhttp"
	"github.com/clewtrace/clew/delivery"
	"github.com/clewtrace/clew/otelsetup"
	_ "github.com/clewtrace/clew/otelsetup/otlpgrpc"
)

// serverReport is what the server says about itself when it ends.
type serverReport struct {
	Ended    int64 // spans, or log records
	Counted  int64 // of those, said not to be delivered
	Error    string
	Shutdown time.Duration
	CPU      time.Duration // user and system, from the first request to the end of Shutdown
	RestKB   int64         // resident before the first request
	PeakKB   int64
}

// endedCounter counts the spans that the pipeline is given.
type endedCounter struct{ n atomic.Int64 }

func (*endedCounter) OnStart(context.Context, sdktrace.ReadWriteSpan) {}
func (c *endedCounter) OnEnd(sdktrace.ReadOnlySpan)                   { c.n.Add(1) }
func (*endedCounter) Shutdown(context.Context) error                  { return nil }
func (*endedCounter) ForceFlush(context.Context) error                { return nil }

// serverConfig is what a server is told.
type serverConfig struct {
	// kind of the pipeline: bare, stock, blocking (stock that waits for room
	// instead of dropping), clew, spool (clew with a spool), journal (a spool
	// that spans reach as they end), grpc (otlptracegrpc and the SDK's batch
	// processor) or clew grpc.
	kind     string
	sink     string
	spool    string
	ratio    float64 // of the traces that are sampled
	batch    int     // clew's OTEL_BSP_MAX_EXPORT_BATCH_SIZE; zero: the default
	gzip     bool    // requests are compressed
	metrics  bool    // metrics are exported, too
	logs     bool    // each request makes a log record and no span; only stock, clew, grpc and clew grpc
	deadline time.Duration
	profile  string // file for a CPU profile; empty: none
}

// pipeline is what makes a server traced. Its shutdown says how many spans, or
// log records, were said not to be delivered.
type pipeline struct {
	wrap     func(http.Handler) http.Handler
	shutdown func(context.Context) (int64, error)
}

// runServer serves "hello". It prints its address, ends when its standard input
// does, and then prints a report.
func runServer(cfg serverConfig) error {
	ctx := context.Background()
	var ended endedCounter
	p, err := cfg.pipeline(ctx, &ended)
	if err != nil {
		return err
	}
	handler := p.wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "hello\n")
	}))
	if cfg.profile != "" {
		stop, err := profileTo(cfg.profile)
		if err != nil {
			return err
		}
		defer stop()
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler} //nolint:gosec // loopback, for as long as a row takes
	go func() { _ = server.Serve(listener) }()
	report := serverReport{RestKB: memory("VmRSS:")}
	before := cpu()
	fmt.Println(listener.Addr())
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	_ = server.Close()

	start := time.Now()
	stopCtx, cancel := context.WithTimeout(ctx, cfg.deadline)
	defer cancel()
	report.Counted, err = p.shutdown(stopCtx)
	if err != nil {
		report.Error = err.Error()
	}
	report.Shutdown = time.Since(start)
	report.CPU = cpu() - before
	report.Ended = ended.n.Load()
	report.PeakKB = memory("VmHWM:")
	return json.NewEncoder(os.Stdout).Encode(report)
}

func (c serverConfig) pipeline(ctx context.Context, ended *endedCounter) (pipeline, error) {
	if c.logs {
		return c.logPipeline(ctx, ended)
	}
	switch c.kind {
	case "bare":
		return pipeline{
			wrap:     func(h http.Handler) http.Handler { return h },
			shutdown: func(context.Context) (int64, error) { return 0, nil },
		}, nil
	case "clew", "spool", "journal", "clew grpc":
		return c.clew(ctx, ended)
	default:
		return c.stock(ctx, ended)
	}
}

// clew is what the documentation says: variables, Start and clewhttp.
func (c serverConfig) clew(ctx context.Context, ended sdktrace.SpanProcessor) (pipeline, error) {
	env := map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT": "http://" + c.sink,
		"OTEL_TRACES_SAMPLER":         "parentbased_traceidratio",
		"OTEL_TRACES_SAMPLER_ARG":     fmt.Sprint(c.ratio),
		"OTEL_LOGS_EXPORTER":          "none",
		"OTEL_LOG_LEVEL":              "none",
	}
	if !c.metrics {
		env["OTEL_METRICS_EXPORTER"] = "none"
	}
	if c.gzip {
		env["OTEL_EXPORTER_OTLP_COMPRESSION"] = "gzip"
	}
	if c.batch > 0 {
		env["OTEL_BSP_MAX_EXPORT_BATCH_SIZE"] = strconv.Itoa(c.batch)
	}
	if c.kind == "clew grpc" {
		env["OTEL_EXPORTER_OTLP_PROTOCOL"] = "grpc"
	}
	if c.kind == "spool" || c.kind == "journal" {
		env[delivery.EnvSpoolDir] = c.spool
	}
	if c.kind == "journal" {
		env[delivery.EnvJournal] = "true"
	}
	for name, value := range env {
		if err := os.Setenv(name, value); err != nil {
			return pipeline{}, err
		}
	}
	telemetry, err := otelsetup.Start(ctx, otelsetup.WithSpanProcessor(ended))
	if err != nil {
		return pipeline{}, err
	}
	return pipeline{
		wrap:     func(h http.Handler) http.Handler { return clewhttp.Handler(h) },
		shutdown: counting(telemetry.Shutdown),
	}, nil
}

// counting returns a shutdown that says how many items the error is about.
func counting(shutdown func(context.Context) error) func(context.Context) (int64, error) {
	return func(ctx context.Context) (int64, error) {
		err := shutdown(ctx)
		if lost, ok := errors.AsType[*delivery.UndeliveredError](err); ok {
			return lost.Items, err
		}
		return 0, err
	}
}

// stock is what the documentation of OpenTelemetry Go says.
func (c serverConfig) stock(ctx context.Context, ended sdktrace.SpanProcessor) (pipeline, error) {
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(error) {}))
	processor, err := c.stockProcessor(ctx)
	if err != nil {
		return pipeline{}, err
	}
	tp := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(c.ratio))),
		sdktrace.WithSpanProcessor(ended), sdktrace.WithSpanProcessor(processor))
	otel.SetTracerProvider(tp)
	otel.SetTextMapPropagator(propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{}))
	shutdown := tp.Shutdown
	if c.metrics {
		exporter, err := otlpmetrichttp.New(ctx, otlpmetrichttp.WithInsecure(), otlpmetrichttp.WithEndpoint(c.sink))
		if err != nil {
			return pipeline{}, err
		}
		mp := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewPeriodicReader(exporter)))
		otel.SetMeterProvider(mp)
		shutdown = func(ctx context.Context) error { return errors.Join(tp.Shutdown(ctx), mp.Shutdown(ctx)) }
	}
	return pipeline{
		wrap:     func(h http.Handler) http.Handler { return otelhttp.NewHandler(h, "hello") },
		shutdown: func(ctx context.Context) (int64, error) { return 0, shutdown(ctx) },
	}, nil
}

func (c serverConfig) stockProcessor(ctx context.Context) (sdktrace.SpanProcessor, error) {
	if c.kind == "grpc" {
		return grpcProcessor(ctx, c)
	}
	compression := otlptracehttp.NoCompression
	if c.gzip {
		compression = otlptracehttp.GzipCompression
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithInsecure(), otlptracehttp.WithEndpoint(c.sink), otlptracehttp.WithCompression(compression))
	if err != nil {
		return nil, err
	}
	var opts []sdktrace.BatchSpanProcessorOption
	if c.kind == "blocking" {
		opts = append(opts, sdktrace.WithBlocking())
	}
	return sdktrace.NewBatchSpanProcessor(exporter, opts...), nil
}

func cpu() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// memory reads a line of /proc/self/status, in KiB.
func memory(key string) int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), key)
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	kb, _ := strconv.ParseInt(fields[0], 10, 64)
	return kb
}

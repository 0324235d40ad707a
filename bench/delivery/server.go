package main

import (
	"context"
	"encoding/json"
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
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/clewtrace/clew/delivery"
	"github.com/clewtrace/clew/propagator"
	"github.com/clewtrace/clew/sampler"
)

// serverReport is what the server says about itself when it ends.
type serverReport struct {
	Ended    int64 // spans
	Counted  int64 // of those, said to be dropped
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
	// processor with defaults) or grpc+ (with the settings that the
	// documentation gives).
	kind     string
	sink     string
	spool    string
	ratio    float64 // of the traces that are sampled
	batch    int     // clew's Batch.MaxItems; zero: the default
	gzip     bool    // requests are compressed
	deadline time.Duration
	profile  string // file for a CPU profile; empty: none
}

// runServer serves "hello". It prints its address, ends when its standard input
// does, and then prints a report.
func runServer(cfg serverConfig) error {
	ctx := context.Background()
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(error) {}))
	var handler http.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "hello\n")
	})
	var ended endedCounter
	shutdown := func(context.Context) (int64, error) { return 0, nil }
	if cfg.kind != "bare" {
		tp, stop, err := pipeline(ctx, cfg, &ended)
		if err != nil {
			return err
		}
		shutdown = stop
		handler = otelhttp.NewHandler(handler, "hello", otelhttp.WithTracerProvider(tp), otelhttp.WithPropagators(cfg.propagators()))
	}
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
	report.Counted, err = shutdown(stopCtx)
	if err != nil {
		report.Error = err.Error()
	}
	report.Shutdown = time.Since(start)
	report.CPU = cpu() - before
	report.Ended = ended.n.Load()
	report.PeakKB = memory("VmHWM:")
	return json.NewEncoder(os.Stdout).Encode(report)
}

// propagators and sampler are what the documentation of either side has.
func (c serverConfig) propagators() propagation.TextMapPropagator {
	if c.clew() {
		return propagation.NewCompositeTextMapPropagator(propagator.New(), propagation.Baggage{})
	}
	return propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})
}

func (c serverConfig) sampler() sdktrace.Sampler {
	if c.clew() {
		return sampler.New(sampler.ParentThreshold(sampler.Probability(c.ratio)))
	}
	return sdktrace.ParentBased(sdktrace.TraceIDRatioBased(c.ratio))
}

func (c serverConfig) clew() bool {
	return c.kind == "clew" || c.kind == "spool" || c.kind == "journal"
}

// pipeline also returns what shuts it down and counts what was said to be lost.
func pipeline(ctx context.Context, cfg serverConfig, ended sdktrace.SpanProcessor) (*sdktrace.TracerProvider, func(context.Context) (int64, error), error) {
	var processor sdktrace.SpanProcessor
	var t *delivery.Transport
	var err error
	switch {
	case cfg.clew():
		processor, t, err = clewProcessor(cfg)
	case cfg.kind == "grpc" || cfg.kind == "grpc+":
		processor, err = grpcProcessor(ctx, cfg)
	default:
		var exporter sdktrace.SpanExporter
		compression := otlptracehttp.NoCompression
		if cfg.gzip {
			compression = otlptracehttp.GzipCompression
		}
		exporter, err = otlptracehttp.New(ctx, otlptracehttp.WithInsecure(), otlptracehttp.WithEndpoint(cfg.sink), otlptracehttp.WithCompression(compression))
		var opts []sdktrace.BatchSpanProcessorOption
		if cfg.kind == "blocking" {
			opts = append(opts, sdktrace.WithBlocking())
		}
		processor = sdktrace.NewBatchSpanProcessor(exporter, opts...)
	}
	if err != nil {
		return nil, nil, err
	}
	tp := sdktrace.NewTracerProvider(sdktrace.WithSampler(cfg.sampler()), sdktrace.WithSpanProcessor(ended), sdktrace.WithSpanProcessor(processor))
	return tp, func(ctx context.Context) (int64, error) {
		err := tp.Shutdown(ctx)
		if t == nil {
			return 0, err
		}
		if stopErr := t.Shutdown(ctx); stopErr != nil {
			err = stopErr
		}
		return t.Stats(delivery.Traces).DroppedTotal(), err
	}, nil
}

func clewProcessor(cfg serverConfig) (sdktrace.SpanProcessor, *delivery.Transport, error) {
	var c delivery.Config
	if cfg.kind != "clew" {
		c.SpoolDir = cfg.spool
	}
	if cfg.kind == "journal" {
		c.Journal = true
	}
	t, err := delivery.New(c)
	if err != nil {
		return nil, nil, err
	}
	route := delivery.Route{URL: "http://" + cfg.sink + "/v1/traces", Gzip: cfg.gzip}
	b := delivery.Batch{MaxItems: cfg.batch}
	if cfg.kind == "spool" {
		b.MaxItems = 512 // what is not in the spool yet can be lost
	}
	return t.SpanProcessor(route, b), t, nil
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

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
	"runtime/pprof"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/clewtrace/clew/delivery"
)

// serverReport is what the server says about itself when it ends.
type serverReport struct {
	Ended    int64 // spans
	Counted  int64 // of those, said to be dropped
	Error    string
	Shutdown time.Duration
	CPU      time.Duration // user and system, while serving
	RestKB   int64         // resident before the first request
	PeakKB   int64
}

// profiled writes a CPU profile of f, if a file is named.
func profiled(file string, f func() error) error {
	if file == "" {
		return f()
	}
	w, err := os.Create(file) //nolint:gosec // the command's own argument
	if err != nil {
		return err
	}
	if err := pprof.StartCPUProfile(w); err != nil {
		return err
	}
	err = f()
	pprof.StopCPUProfile()
	return errors.Join(err, w.Close())
}

// endedCounter counts the spans that the pipeline is given.
type endedCounter struct{ n atomic.Int64 }

func (*endedCounter) OnStart(context.Context, sdktrace.ReadWriteSpan) {}
func (c *endedCounter) OnEnd(sdktrace.ReadOnlySpan)                   { c.n.Add(1) }
func (*endedCounter) Shutdown(context.Context) error                  { return nil }
func (*endedCounter) ForceFlush(context.Context) error                { return nil }

// runServer serves "hello" with the pipeline called kind: bare, stock, clew, spool
// (clew with a spool) or journal (a spool that spans reach as they end). It prints its address, ends when its standard input does, and then prints a
// report.
func runServer(kind, sink, spool string, ratio float64, deadline time.Duration) error {
	ctx := context.Background()
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(error) {}))
	var handler http.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		hello(w)
	})
	var ended endedCounter
	shutdown := func(context.Context) (int64, error) { return 0, nil }
	if kind != "bare" {
		tp, stop, err := pipeline(ctx, kind, sink, spool, ratio, &ended)
		if err != nil {
			return err
		}
		shutdown = stop
		handler = otelhttp.NewHandler(handler, "hello", otelhttp.WithTracerProvider(tp))
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
	report.CPU = cpu() - before

	start := time.Now()
	stopCtx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	report.Counted, err = shutdown(stopCtx)
	if err != nil {
		report.Error = err.Error()
	}
	report.Shutdown = time.Since(start)
	report.Ended = ended.n.Load()
	report.PeakKB = memory("VmHWM:")
	return json.NewEncoder(os.Stdout).Encode(report)
}

func pipeline(ctx context.Context, kind, sink, spool string, ratio float64, ended sdktrace.SpanProcessor) (*sdktrace.TracerProvider, func(context.Context) (int64, error), error) {
	sampler := sdktrace.ParentBased(sdktrace.TraceIDRatioBased(ratio))
	if strings.HasPrefix(kind, "grpc") {
		exporter, batch, err := overGRPC(ctx, kind, sink)
		if err != nil {
			return nil, nil, err
		}
		tp := sdktrace.NewTracerProvider(sdktrace.WithSampler(sampler), sdktrace.WithSpanProcessor(ended), sdktrace.WithBatcher(exporter, batch...))
		return tp, func(ctx context.Context) (int64, error) { return 0, tp.Shutdown(ctx) }, nil
	}
	opts := []otlptracehttp.Option{otlptracehttp.WithInsecure(), otlptracehttp.WithEndpoint(sink)}
	var batch []sdktrace.BatchSpanProcessorOption
	var t *delivery.Transport
	if kind != "stock" {
		var cfg delivery.Config
		if kind != "clew" {
			cfg.SpoolDir = spool
		}
		if kind == "journal" {
			cfg.Linger = time.Second
		}
		var err error
		if t, err = delivery.New(cfg); err != nil {
			return nil, nil, err
		}
		var b delivery.Batch
		if kind == "spool" {
			b.MaxExportBatchSize = 512 // what is not in the spool yet can be lost
		}
		if batch, err = b.SpanOptions(); err != nil {
			return nil, nil, err
		}
		opts = append(opts, otlptracehttp.WithHTTPClient(t.Client(delivery.Traces)))
	}
	exporter, err := otlptracehttp.New(ctx, opts...)
	if err != nil {
		return nil, nil, err
	}
	processor := sdktrace.NewBatchSpanProcessor
	if kind == "journal" {
		processor = func(e sdktrace.SpanExporter, _ ...sdktrace.BatchSpanProcessorOption) sdktrace.SpanProcessor {
			return sdktrace.NewSimpleSpanProcessor(e)
		}
	}
	tp := sdktrace.NewTracerProvider(sdktrace.WithSampler(sampler), sdktrace.WithSpanProcessor(ended), sdktrace.WithSpanProcessor(processor(exporter, batch...)))
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

// overGRPC makes the exporter over gRPC: with defaults, or with a queue and
// retries that outlast an outage of a minute at 1,000 spans per second.
func overGRPC(ctx context.Context, kind, sink string) (sdktrace.SpanExporter, []sdktrace.BatchSpanProcessorOption, error) {
	opts := []otlptracegrpc.Option{otlptracegrpc.WithInsecure(), otlptracegrpc.WithEndpoint(sink)}
	if kind == "grpc" {
		exporter, err := otlptracegrpc.New(ctx, opts...)
		return exporter, nil, err
	}
	const patience = 2 * time.Minute
	exporter, err := otlptracegrpc.New(ctx, append(opts, otlptracegrpc.WithTimeout(patience),
		otlptracegrpc.WithRetry(otlptracegrpc.RetryConfig{Enabled: true, InitialInterval: 100 * time.Millisecond, MaxInterval: 5 * time.Second, MaxElapsedTime: patience}))...)
	return exporter, []sdktrace.BatchSpanProcessorOption{
		sdktrace.WithMaxQueueSize(65536), sdktrace.WithMaxExportBatchSize(2048), sdktrace.WithExportTimeout(patience),
	}, err
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

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"runtime"
	"time"

	"go.opentelemetry.io/contrib/bridges/otelslog"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/otelsetup"
)

// recorderReport is what one item cost a program that records them at a steady
// rate and does nothing else, until all were sent.
type recorderReport struct {
	Items  int64
	CPU    time.Duration
	Allocs uint64
}

// items that a recorder records, at itemRate per second: few enough for the
// stock batch processors to lose none.
const (
	itemRate  = 10_000
	itemBurst = 100 // at a time
)

// runRecorder records items for as long as its standard input is open. The kind
// is a pipeline and what it records: "stock spans", "clew log", and so on.
func runRecorder(cfg serverConfig) error {
	record, shutdown, err := recorder(cfg)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(ended)
	}()
	var report recorderReport
	var before, after runtime.MemStats
	tick := time.NewTicker(itemBurst * time.Second / itemRate)
	defer tick.Stop()
	runtime.ReadMemStats(&before)
	start := cpu()
	for open := true; open; {
		select {
		case <-ended:
			open = false
		case <-tick.C:
			for range itemBurst {
				record()
				report.Items++
			}
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), cfg.deadline)
	defer cancel()
	err = shutdown(ctx)
	report.CPU = cpu() - start
	runtime.ReadMemStats(&after)
	report.Allocs = after.Mallocs - before.Mallocs
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(report)
}

func recorder(cfg serverConfig) (record func(), shutdown func(context.Context) error, err error) {
	ctx := context.Background()
	var pipeline, what string
	if _, err := fmt.Sscan(cfg.kind, &pipeline, &what); err != nil {
		return nil, nil, err
	}
	var logger *slog.Logger
	shutdown = func(context.Context) error { return nil }
	switch {
	case what == "log" || pipeline == "clew":
		logger, shutdown, err = logging(ctx, pipeline, cfg.sink)
		if err != nil {
			return nil, nil, err
		}
	case pipeline == "stock":
		p, err := serverConfig{kind: "stock", sink: cfg.sink, ratio: 1}.stock(ctx, &endedCounter{})
		if err != nil {
			return nil, nil, err
		}
		shutdown = func(ctx context.Context) error { _, err := p.shutdown(ctx); return err }
	}
	if what == "log" {
		return func() {
			logger.LogAttrs(ctx, slog.LevelInfo, "order placed", slog.String("customer", "4711"), slog.Int("items", 3), slog.Duration("took", 1500*time.Microsecond))
		}, shutdown, nil
	}
	return spans(otel.Tracer("bench")), shutdown, nil
}

// logging returns a logger that prints to nowhere, and exports with the pipeline:
// stock, grpc, clew, clew grpc, or none.
func logging(ctx context.Context, pipeline, sink string) (*slog.Logger, func(context.Context) error, error) {
	printed := slog.NewTextHandler(io.Discard, nil) //nolint:sloglint // formats each record, which the other does not
	var exporter sdklog.Exporter
	var err error
	switch pipeline {
	case "clew", "clew grpc":
		env := map[string]string{
			"OTEL_EXPORTER_OTLP_ENDPOINT": "http://" + sink, "OTEL_METRICS_EXPORTER": "none", "OTEL_LOG_LEVEL": "none",
		}
		if pipeline == "clew grpc" {
			env["OTEL_EXPORTER_OTLP_PROTOCOL"] = "grpc"
		}
		for name, value := range env {
			if err := os.Setenv(name, value); err != nil {
				return nil, nil, err
			}
		}
		telemetry, err := otelsetup.Start(ctx, otelsetup.WithLogHandler(printed))
		if err != nil {
			return nil, nil, err
		}
		return slog.Default(), telemetry.Shutdown, nil
	case "stock":
		exporter, err = otlploghttp.New(ctx, otlploghttp.WithInsecure(), otlploghttp.WithEndpoint(sink))
	case "grpc":
		exporter, err = otlploggrpc.New(ctx, otlploggrpc.WithInsecure(), otlploggrpc.WithEndpoint(sink))
	default:
		return slog.New(printed), func(context.Context) error { return nil }, nil
	}
	if err != nil {
		return nil, nil, err
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(error) {}))
	provider := sdklog.NewLoggerProvider(sdklog.WithProcessor(sdklog.NewBatchProcessor(exporter)))
	exported := otelslog.NewHandler("bench", otelslog.WithLoggerProvider(provider))
	return slog.New(slog.NewMultiHandler(printed, exported)), provider.Shutdown, nil
}

// logPipeline makes each request log its number, by which the sink counts.
func (c serverConfig) logPipeline(ctx context.Context, ended *endedCounter) (pipeline, error) {
	logger, shutdown, err := logging(ctx, c.kind, c.sink)
	if err != nil {
		return pipeline{}, err
	}
	return pipeline{
		wrap: func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				logger.LogAttrs(r.Context(), slog.LevelInfo, fmt.Sprintf("%08d", ended.n.Add(1)))
				h.ServeHTTP(w, r)
			})
		},
		shutdown: counting(shutdown),
	}, nil
}

// spans returns what records one span with 12 attributes.
func spans(tracer trace.Tracer) func() {
	ctx := context.Background()
	attrs := make([]attribute.KeyValue, 12)
	for i := range attrs {
		if attrs[i] = attribute.Int(fmt.Sprint("bench.number.", i), i); i%2 == 0 {
			attrs[i] = attribute.String(fmt.Sprint("bench.text.", i), "a text of ordinary length")
		}
	}
	opts := []trace.SpanStartOption{trace.WithAttributes(attrs...)}
	return func() {
		_, span := tracer.Start(ctx, "work", opts...)
		span.End()
	}
}

// records measures what one log line, and one span with 12 attributes, cost a
// program from the call to the socket.
func records(t *text, rounds int, scale float64) error {
	t.say("\nOne item, from the call to the socket, beside a program that records none: a log line with three attributes, which all of them print to nowhere too, and a span with twelve; %d per second.\n\n", itemRate)
	t.say("| item | CPU, stock | CPU, clew | of stock | allocations, stock | allocations, clew |\n|---|--:|--:|--:|--:|--:|\n")
	for _, what := range []string{"log", "span"} {
		var stockCPU, clewCPU, ratio, stockAllocs, clewAllocs []float64
		for range rounds {
			var got [3]recorderReport
			for i, pipeline := range []string{"none", "stock", "clew"} {
				var err error
				if got[i], err = measureRecorder(pipeline+" "+what, time.Duration(float64(4*time.Second)*scale)); err != nil {
					return fmt.Errorf("%s %s: %w", pipeline, what, err)
				}
			}
			per := func(i int) float64 { return 1e6 * got[i].CPU.Seconds() / float64(got[i].Items) }
			allocs := func(i int) float64 { return float64(got[i].Allocs) / float64(got[i].Items) }
			stockCPU, clewCPU = append(stockCPU, per(1)-per(0)), append(clewCPU, per(2)-per(0))
			ratio = append(ratio, (per(2)-per(0))/(per(1)-per(0)))
			stockAllocs, clewAllocs = append(stockAllocs, allocs(1)), append(clewAllocs, allocs(2))
		}
		t.say("| %s | %.2f us | %.2f us | %.2f | %.1f | %.1f |\n", what, middle(stockCPU), middle(clewCPU), middle(ratio), middle(stockAllocs), middle(clewAllocs))
	}
	return nil
}

func measureRecorder(kind string, d time.Duration) (report recorderReport, err error) {
	sinkProc, err := start("-role", "sink")
	if err != nil {
		return report, err
	}
	defer sinkProc.endInto(&err)
	addr, _, control, err := sinkProc.addresses()
	if err != nil {
		return report, err
	}
	p, err := start("-role", "recorder", "-kind", kind, "-sink", addr)
	if err != nil {
		return report, err
	}
	defer p.endInto(&err)
	time.Sleep(d)
	last, err := p.finish()
	if err != nil {
		return report, err
	}
	if err := json.Unmarshal([]byte(last), &report); err != nil {
		return report, fmt.Errorf("report %q: %w", last, err)
	}
	var stats sinkStats
	if err := getJSON("http://"+control+"/", &stats); err != nil {
		return report, err
	}
	if took := int64(stats.Unique + stats.Records); kind[:4] != "none" && took < report.Items*99/100 {
		return report, fmt.Errorf("%d of %d items arrived", took, report.Items)
	}
	return report, nil
}

package otelsetup_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/clewhttp"
	"github.com/clewtrace/clew/otelsetup"
	"github.com/clewtrace/clew/otelsetup/extend"
	"github.com/clewtrace/clew/propagator/trust"
	"github.com/clewtrace/clew/sampler/tail"
)

// withoutExport keeps the examples from sending anything.
func withoutExport() {
	for _, signal := range []string{"TRACES", "METRICS", "LOGS"} {
		os.Setenv("OTEL_"+signal+"_EXPORTER", "none")
	}
}

func withExport() {
	for _, signal := range []string{"TRACES", "METRICS", "LOGS"} {
		os.Unsetenv("OTEL_" + signal + "_EXPORTER")
	}
}

func ExampleStart() {
	withoutExport()
	defer withExport()
	defer os.Unsetenv("OTEL_TRACES_SAMPLER_ARG")
	defer os.Unsetenv("OTEL_TRACES_SAMPLER")
	os.Setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
	os.Setenv("OTEL_TRACES_SAMPLER_ARG", "1.5")

	telemetry, err := otelsetup.Start(context.Background())
	if err != nil {
		fmt.Println(err) // another one is running
		return
	}
	for _, problem := range telemetry.Report().Problems {
		fmt.Println(problem)
	}
	fmt.Println(telemetry.Shutdown(context.Background()))
	// Output:
	// OTEL_TRACES_SAMPLER_ARG="1.5": ratio must be between 0 and 1; using 1
	// <nil>
}

// The failed and the slow are kept, and what OTEL_TRACES_SAMPLER keeps.
func ExampleCustomize() {
	withoutExport()
	defer withExport()
	defer os.Unsetenv("OTEL_TRACES_SAMPLER")
	os.Setenv("OTEL_TRACES_SAMPLER", "always_off")
	os.Setenv("OTEL_TRACES_EXPORTER", "otlp")
	exported := tracetest.NewInMemoryExporter()

	telemetry, err := otelsetup.Start(context.Background(),
		otelsetup.Customize(extend.Customizers{
			Sampler: tail.Record,
			SpanProcessor: func(next sdktrace.SpanProcessor) (sdktrace.SpanProcessor, error) {
				return tail.NewProcessor(next, tail.Config{})
			},
			SpanExporter: func(sdktrace.SpanExporter) sdktrace.SpanExporter { return exported },
		}))
	if err != nil {
		fmt.Println(err)
	}
	defer telemetry.Shutdown(context.Background()) //nolint:errcheck // an example

	tracer := otel.Tracer("shop")
	for _, order := range []string{"book", "bicycle"} {
		_, span := tracer.Start(context.Background(), "order "+order)
		if order == "bicycle" {
			span.SetStatus(codes.Error, "out of stock")
		}
		span.End()
	}
	if err := telemetry.ForceFlush(context.Background()); err != nil {
		fmt.Println(err)
	}
	for _, span := range exported.GetSpans() {
		fmt.Println(span.Name, "is exported, because of:", span.Status.Description)
	}
	// Output:
	// order bicycle is exported, because of: out of stock
}

func ExampleHandler() {
	withoutExport()
	defer withExport()
	telemetry, err := otelsetup.Start(context.Background())
	if err != nil {
		fmt.Println(err)
	}
	defer telemetry.Shutdown(context.Background()) //nolint:errcheck // an example

	mux := http.NewServeMux()
	mux.HandleFunc("GET /orders/{id}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, trace.SpanContextFromContext(r.Context()).TraceID())
	})
	// Callers outside of these networks do not choose trace ids.
	trusted := trust.Networks(netip.MustParsePrefix("127.0.0.0/8"))
	server := httptest.NewServer(clewhttp.Handler(mux, clewhttp.WithTrust(trusted)))
	defer server.Close()

	req, _ := http.NewRequestWithContext(context.Background(), http.MethodGet, server.URL+"/orders/1", http.NoBody)
	req.Header.Set("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	resp, err := server.Client().Do(req)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	fmt.Println("the handler is in trace", string(body))
	// Output:
	// the handler is in trace 0af7651916cd43dd8448eb211c80319c
}

func ExampleTransport() {
	withoutExport()
	defer withExport()
	telemetry, err := otelsetup.Start(context.Background())
	if err != nil {
		fmt.Println(err)
	}
	defer telemetry.Shutdown(context.Background()) //nolint:errcheck // an example

	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Header.Get("traceparent") != "")
	}))
	defer server.Close()
	hosts, err := trust.ParseHosts("*.internal.example")
	if err != nil {
		fmt.Println(err)
	}
	for name, client := range map[string]*http.Client{
		"everybody": {Transport: clewhttp.Transport(&http.Transport{DisableKeepAlives: true})},
		"own hosts": {Transport: clewhttp.Transport(&http.Transport{DisableKeepAlives: true}, clewhttp.WithHosts(hosts))},
	} {
		req, _ := http.NewRequestWithContext(context.Background(), http.MethodGet, server.URL, http.NoBody)
		resp, err := client.Do(req)
		if err != nil {
			fmt.Println(err)
			return
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		fmt.Printf("sent to %s: %s\n", name, body)
	}
	// Unordered output:
	// sent to everybody: true
	// sent to own hosts: false
}

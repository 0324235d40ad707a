package otelsetup_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"

	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/otelsetup"
	"github.com/clewtrace/clew/propagator"
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
	fmt.Println(err)
	fmt.Println(telemetry.Shutdown(context.Background()))
	// Output:
	// OTEL_TRACES_SAMPLER_ARG="1.5": ratio must be between 0 and 1; using 1
	// <nil>
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
	trusted := propagator.FromNetworks(netip.MustParsePrefix("127.0.0.0/8"))
	server := httptest.NewServer(otelsetup.Handler(mux, otelsetup.WithTrust(trusted)))
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
	hosts, err := propagator.ParseHosts("*.internal.example")
	if err != nil {
		fmt.Println(err)
	}
	for name, client := range map[string]*http.Client{
		"everybody": {Transport: otelsetup.Transport(&http.Transport{DisableKeepAlives: true})},
		"own hosts": {Transport: otelsetup.Transport(&http.Transport{DisableKeepAlives: true}, otelsetup.WithHosts(hosts))},
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

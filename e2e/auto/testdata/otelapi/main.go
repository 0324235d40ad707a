// Command otelapi makes spans by OpenTelemetry's API, and instruments its HTTP by
// otelhttp, but installs no SDK.
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

func get(ctx context.Context, client *http.Client, url string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		panic(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		panic(err)
	}
	resp.Body.Close()
}

// post sends a trailer that the header does not announce.
func post(address string) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		panic(err)
	}
	fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\nX-End: yes\r\n\r\n")
	io.Copy(io.Discard, conn)
	conn.Close()
}

func main() {
	tracer := otel.Tracer("program")
	up := httptest.NewServer(http.NotFoundHandler())
	instrumented := &http.Client{Transport: otelhttp.NewTransport(http.DefaultTransport)}
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		trace.SpanFromContext(r.Context()).SetAttributes(attribute.String("program.attribute", "on the server's span"))
		ctx, span := tracer.Start(r.Context(), "inner", trace.WithAttributes(attribute.Int("n", 1), attribute.Int("m", 2)))
		span.SetAttributes(attribute.Int("n", 3))
		get(ctx, http.DefaultClient, up.URL)
		span.End()
		_, span = tracer.Start(context.Background(), "without a context")
		span.End()
	}))
	twice := httptest.NewServer(otelhttp.NewHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		get(r.Context(), instrumented, up.URL)
	}), "named by the program"))
	get(context.Background(), http.DefaultClient, plain.URL)
	get(context.Background(), http.DefaultClient, twice.URL)
	trailers := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		fmt.Println(r.Trailer, err)
	}))
	post(trailers.Listener.Addr().String())
}

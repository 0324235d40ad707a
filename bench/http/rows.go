package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/clewhttp"
	"github.com/clewtrace/clew/propagator"
)

func rows() []row {
	atMost := func(n float64) func(float64) float64 { return func(float64) float64 { return n } }
	half := func(stock float64) float64 { return stock / 2 }
	unlimited := func(float64) float64 { return 1 << 20 }
	recorded, never := sdk(sdktrace.AlwaysSample()), sdk(sdktrace.NeverSample())
	bare := serving(application())
	return []row{
		{name: "server, bare (both)", stock: bare, clew: bare},
		{"server, recorded", serving(recorded.stockHandler()), serving(recorded.clewHandler()), 0.60, atMost(20)},
		{"server, not sampled", serving(never.stockHandler()), serving(never.clewHandler()), 0.50, atMost(13)},
		{"client, recorded", sending(recorded.stockTransport()), sending(recorded.clewTransport()), 0.60, half},
		{"client, not sampled", sending(never.stockTransport()), sending(never.clewTransport()), 0.60, half},
		{"`Extract`, no trace headers, 8 other fields", extracting(propagation.TraceContext{}), extracting(propagator.New()), 0.30, atMost(0)},
		{"`Inject`, 8 other fields", injecting(propagation.TraceContext{}), injecting(propagator.New()), 0.60, unlimited},
	}
}

// setUp is an SDK that exports nothing.
type setUp struct {
	tracers *sdktrace.TracerProvider
	meters  *sdkmetric.MeterProvider
}

func sdk(s sdktrace.Sampler) setUp {
	return setUp{
		sdktrace.NewTracerProvider(sdktrace.WithSampler(s), sdktrace.WithSpanProcessor(nothing{})),
		sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader())),
	}
}

type nothing struct{}

func (nothing) OnStart(context.Context, sdktrace.ReadWriteSpan) {}
func (nothing) OnEnd(sdktrace.ReadOnlySpan)                     {}
func (nothing) Shutdown(context.Context) error                  { return nil }
func (nothing) ForceFlush(context.Context) error                { return nil }

func (s setUp) stock() []otelhttp.Option {
	return []otelhttp.Option{otelhttp.WithTracerProvider(s.tracers), otelhttp.WithMeterProvider(s.meters), otelhttp.WithPropagators(propagation.TraceContext{})}
}

func (s setUp) stockHandler() http.Handler {
	return otelhttp.NewHandler(application(), "", s.stock()...)
}

func (s setUp) stockTransport() http.RoundTripper {
	return otelhttp.NewTransport(answer{}, s.stock()...)
}

func (s setUp) clewHandler() http.Handler {
	return clewhttp.Handler(application(), clewhttp.WithTracerProvider(s.tracers), clewhttp.WithMeterProvider(s.meters), clewhttp.WithPropagator(propagator.New()))
}

func (s setUp) clewTransport() http.RoundTripper {
	return clewhttp.Transport(answer{}, clewhttp.WithTracerProvider(s.tracers), clewhttp.WithMeterProvider(s.meters), clewhttp.WithPropagator(propagator.New()))
}

func application() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /orders/{id}", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") })
	return mux
}

// serving serves a request with a route, a user agent and a parent.
func serving(h http.Handler) func() {
	ctx := context.WithValue(context.Background(), http.ServerContextKey, &http.Server{})
	r := (&http.Request{
		Method: http.MethodGet, URL: &url.URL{Path: "/orders/42"}, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{
			"Accept": {"*/*"}, "User-Agent": {"bench/1.0"}, "Accept-Encoding": {"gzip"},
			"Traceparent": {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03"},
		},
		Host: "orders.internal:8000", RemoteAddr: "10.1.2.3:43122", RequestURI: "/orders/42", Body: http.NoBody,
	}).WithContext(ctx)
	w := &writer{header: http.Header{}}
	return func() { h.ServeHTTP(w, r) }
}

// sending sends a request with a parent, and reads the answer.
func sending(rt http.RoundTripper) func() {
	sc := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled})
	ctx := trace.ContextWithSpanContext(context.Background(), sc)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://orders.internal:8000/orders/42", http.NoBody)
	if err != nil {
		panic(err)
	}
	r.Header = http.Header{"Accept": {"*/*"}, "User-Agent": {"bench/1.0"}, "Authorization": {"Bearer x"}}
	return func() {
		resp, err := rt.RoundTrip(r)
		if err != nil {
			panic(err)
		}
		resp.Body.Close()
	}
}

// otherFields are those of a request that carries no trace.
func otherFields() http.Header {
	return http.Header{
		"Accept": {"*/*"}, "User-Agent": {"bench/1.0"}, "Accept-Encoding": {"gzip"}, "Accept-Language": {"en"},
		"Authorization": {"Bearer x"}, "Cache-Control": {"no-cache"}, "Cookie": {"a=b"}, "X-Request-Id": {"1"},
	}
}

func extracting(p propagation.TextMapPropagator) func() {
	ctx := context.WithValue(context.Background(), http.ServerContextKey, &http.Server{})
	h := propagation.HeaderCarrier(otherFields())
	return func() { p.Extract(ctx, h) }
}

func injecting(p propagation.TextMapPropagator) func() {
	sc := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled})
	ctx := trace.ContextWithSpanContext(context.Background(), sc)
	h := propagation.HeaderCarrier(otherFields())
	return func() { p.Inject(ctx, h) }
}

// answer is a transport that answers at once.
type answer struct{}

func (answer) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Body: body{}, Request: r}, nil
}

type body struct{}

func (body) Read([]byte) (int, error) { return 0, io.EOF }
func (body) Close() error             { return nil }

// writer has the methods of that of net/http for HTTP/1.1.
type writer struct{ header http.Header }

func (w *writer) Header() http.Header                          { return w.header }
func (w *writer) Write(b []byte) (int, error)                  { return len(b), nil }
func (w *writer) WriteString(s string) (int, error)            { return len(s), nil }
func (w *writer) WriteHeader(int)                              {}
func (w *writer) Flush()                                       {}
func (w *writer) FlushError() error                            { return nil }
func (w *writer) SetReadDeadline(time.Time) error              { return nil }
func (w *writer) SetWriteDeadline(time.Time) error             { return nil }
func (w *writer) EnableFullDuplex() error                      { return nil }
func (w *writer) CloseNotify() <-chan bool                     { return nil }
func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) { return nil, nil, http.ErrNotSupported }
func (w *writer) ReadFrom(r io.Reader) (int64, error)          { return io.Copy(io.Discard, r) }

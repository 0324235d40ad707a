package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/clewtrace/clew/sampler"
	"github.com/clewtrace/clew/sampler/tail"
)

// A service answers requests in this process, with five spans each, one in a
// hundred with an error. It exports over OTLP/HTTP to a collector that reads
// and forgets.
type service struct {
	name     string
	provider *sdktrace.TracerProvider
	server   *httptest.Server
}

// newService returns one without tracing if head is nil, and without a tail if
// policies is nil.
func newService(name, collector string, head sdktrace.Sampler, policies []tail.Policy) (*service, error) {
	s := &service{name: name}
	if head == nil {
		s.provider = sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample()))
	} else {
		exporter, err := otlptracehttp.New(context.Background(), otlptracehttp.WithEndpointURL(collector+"/v1/traces"))
		if err != nil {
			return nil, err
		}
		processor := sdktrace.NewBatchSpanProcessor(exporter, sdktrace.WithMaxQueueSize(1<<15), sdktrace.WithBatchTimeout(200*time.Millisecond))
		if policies != nil {
			if processor, err = tail.NewProcessor(processor, tail.Config{Policies: policies}); err != nil {
				return nil, err
			}
			head = tail.Record(head)
		}
		s.provider = sdktrace.NewTracerProvider(sdktrace.WithSampler(head), sdktrace.WithSpanProcessor(processor))
	}
	tracer := s.provider.Tracer("bench")
	var served int
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		served++ // one client
		for i := range 4 {
			_, span := tracer.Start(r.Context(), "query")
			span.SetAttributes(attributes...)
			if i == 3 && served%100 == 0 {
				span.SetStatus(codes.Error, "deadlock")
			}
			span.End()
		}
		w.WriteHeader(http.StatusNoContent)
	})
	s.server = httptest.NewServer(otelhttp.NewHandler(handler, "GET /orders/{id}", otelhttp.WithTracerProvider(s.provider)))
	return s, nil
}

// serve returns the processor time of n requests, client and export included.
func (s *service) serve(n int) (time.Duration, error) {
	client := s.server.Client()
	before := processorTime()
	for range n {
		req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, s.server.URL, http.NoBody)
		if err != nil {
			return 0, err
		}
		res, err := client.Do(req)
		if err != nil {
			return 0, err
		}
		res.Body.Close()
	}
	err := s.provider.ForceFlush(context.Background())
	return processorTime() - before, err
}

func reportService(w io.Writer, rounds, requests int) error {
	var received int64
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body) // what failed to arrive does not count
		received += n                       // one exporter at a time
	}))
	defer collector.Close()
	one := sampler.New(sampler.ParentThreshold(sampler.Probability(0.01)))
	policies := []tail.Policy{{Span: tail.Condition{Error: true}}, {Root: tail.Condition{SlowerThan: time.Second}}}
	var services []*service
	for _, v := range []struct {
		name     string
		head     sdktrace.Sampler
		policies []tail.Policy
	}{
		{"no spans", nil, nil},
		{"head: 1%", one, nil},
		{"tail: head 1%, errors, slow", one, policies},
		{"everything exported", sdktrace.AlwaysSample(), nil},
	} {
		s, err := newService(v.name, collector.URL, v.head, v.policies)
		if err != nil {
			return err
		}
		defer s.server.Close()
		defer func() { _ = s.provider.Shutdown(context.Background()) }()
		services = append(services, s)
	}
	times := make([][]time.Duration, len(services))
	bytes := make([]int64, len(services))
	for range rounds {
		for i, s := range services {
			received = 0
			took, err := s.serve(requests)
			if err != nil {
				return err
			}
			times[i] = append(times[i], took/time.Duration(requests))
			bytes[i] += received
		}
	}
	fmt.Fprintf(w, "\n## A service\n\nA request makes five spans; 1%% of requests fail. Processor time of the whole process: HTTP server, client and export. "+
		"%d requests per round.\n\n| variant | µs per request | ratio to everything exported | bytes exported per request |\n|---|---|---|---|\n", requests)
	for i, s := range services {
		fmt.Fprintf(w, "| %s | %.1f | %.2f | %.1f |\n", s.name, float64(median(times[i]).Nanoseconds())/1000,
			median(ratios(times[i], times[len(services)-1])), float64(bytes[i])/float64(rounds*requests))
	}
	return nil
}

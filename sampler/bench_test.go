package sampler_test

import (
	"context"
	"math/rand/v2"
	"strconv"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/sampler"
)

func benchParams(parentState string, sampled, isRoot bool) []sdktrace.SamplingParameters {
	rnd := rand.New(rand.NewPCG(1, 1))
	ps := make([]sdktrace.SamplingParameters, 1024)
	for i := range ps {
		r := rnd.Uint64()
		ctx := context.Background()
		if !isRoot {
			ts, _ := trace.ParseTraceState(parentState)
			var f trace.TraceFlags
			if sampled {
				f = 1
				r |= 0xff << 48
			}
			ctx = trace.ContextWithRemoteSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{TraceID: traceID(r), SpanID: trace.SpanID{1}, TraceFlags: f, TraceState: ts}))
		}
		ps[i] = sdktrace.SamplingParameters{ParentContext: ctx, TraceID: traceID(r), Name: "GET /users/{id}", Kind: trace.SpanKindServer,
			Attributes: []attribute.KeyValue{attribute.String("http.request.method", "GET"), attribute.String("url.path", "/users/17"), attribute.String("http.route", "/users/{id}")}}
	}
	return ps
}

func BenchmarkShouldSample(b *testing.B) {
	rules := []sampler.Rule{}
	for i := range 9 {
		if i%2 == 0 {
			rules = append(rules, sampler.Rule{Match: sampler.Match{Name: "GET /other/" + strconv.Itoa(i)}})
		} else {
			rules = append(rules, sampler.Rule{Match: sampler.Match{Attributes: map[attribute.Key]string{"url.path": "/other/" + strconv.Itoa(i) + "*"}}})
		}
	}
	rules = append(rules, sampler.Rule{Sampler: sampler.Probability(.1)})
	ad, _ := sampler.NewAdaptive(sampler.AdaptiveConfig{TracesPerSecond: 10})
	stock := sdktrace.ParentBased(sdktrace.TraceIDRatioBased(.1))
	prob := sampler.New(sampler.ParentThreshold(sampler.Probability(.1)))
	for _, c := range []struct {
		name string
		s    sdktrace.Sampler
		ps   []sdktrace.SamplingParameters
	}{
		{"stock root", stock, benchParams("", false, true)},
		{"prob root", prob, benchParams("", false, true)},
		{"stock child", stock, benchParams("ot=th:e666", true, false)},
		{"prob child", prob, benchParams("ot=th:e666", true, false)},
		{"stock child 00", stock, benchParams("", false, false)},
		{"prob child 00", prob, benchParams("", false, false)},
		{"rules", sampler.New(sampler.ParentThreshold(sampler.Rules(rules...))), benchParams("", false, true)},
		{"adaptive", sampler.New(sampler.ParentThreshold(ad)), benchParams("", false, true)},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				c.s.ShouldSample(c.ps[i&1023])
			}
		})
		b.Run(c.name+" par", func(b *testing.B) {
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					c.s.ShouldSample(c.ps[i&1023])
				}
			})
		})
	}
}

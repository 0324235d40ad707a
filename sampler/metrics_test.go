package sampler_test

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/clewtrace/clew/sampler"
)

// A registry is a meter provider that counts the callbacks registered with it.
type registry struct {
	noop.MeterProvider
	live *atomic.Int64
}

func (r registry) Meter(string, ...metric.MeterOption) metric.Meter {
	return registryMeter{live: r.live}
}

type registryMeter struct {
	noop.Meter
	live *atomic.Int64
}

func (m registryMeter) RegisterCallback(metric.Callback, ...metric.Observable) (metric.Registration, error) {
	m.live.Add(1)
	return &registration{live: m.live}, nil
}

type registration struct {
	noop.Registration
	live *atomic.Int64
}

func (r *registration) Unregister() error {
	r.live.Add(-1)
	return nil
}

// An odd registry cannot be compared, as a key of a map must be.
type oddRegistry struct {
	registry
	_ []int
}

// eventually collects garbage until the condition holds: cleanups run some time
// after their object is gone.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("not within a minute: %s", what)
		}
		runtime.GC()
	}
}

func TestSamplersLeaveNoRegistrationBehind(t *testing.T) {
	for name, provider := range map[string]func(*atomic.Int64) metric.MeterProvider{
		"a provider":                         func(n *atomic.Int64) metric.MeterProvider { return registry{live: n} },
		"a provider that cannot be compared": func(n *atomic.Int64) metric.MeterProvider { return oddRegistry{registry: registry{live: n}} },
	} {
		t.Run(name, func(t *testing.T) {
			var live atomic.Int64
			p := provider(&live)
			for range 1000 {
				sampler.New(sampler.AlwaysOn(), sampler.WithMeterProvider(p)).ShouldSample(sdktrace.SamplingParameters{})
			}
			last := sampler.New(sampler.AlwaysOn(), sampler.WithMeterProvider(p))
			eventually(t, "one registration for the sampler that is left", func() bool { return live.Load() == 1 })
			runtime.KeepAlive(last)
			eventually(t, "no registration without a sampler", func() bool { return live.Load() == 0 })
		})
	}
}

func TestDecisionsOfAForgottenSamplerStillCount(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	stays := sampler.New(sampler.AlwaysOn(), sampler.WithMeterProvider(provider))
	var gone atomic.Bool
	func() {
		policy := &struct{ sampler.Composable }{sampler.AlwaysOn()}
		runtime.AddCleanup(policy, func(int) { gone.Store(true) }, 0)
		sampler.New(policy, sampler.WithMeterProvider(provider)).ShouldSample(sdktrace.SamplingParameters{})
	}()
	eventually(t, "the sampler is garbage", gone.Load)
	stays.ShouldSample(sdktrace.SamplingParameters{})
	if n := collect(t, reader)["clew.sampler.decisions kept {span}"]; n != 2 {
		t.Errorf("%v kept, want those of both samplers, 2", n)
	}
}

package sampler_test

import (
	"context"
	"math"
	"math/rand/v2"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/clewtrace/clew/sampler"
)

func TestNewAdaptiveNamesTheFieldThatIsWrong(t *testing.T) {
	for field, cfg := range map[string]sampler.AdaptiveConfig{
		"TracesPerSecond = 0:":   {},
		"TracesPerSecond = NaN:": {TracesPerSecond: math.NaN()},
		"TracesPerSecond = +Inf": {TracesPerSecond: math.Inf(1)},
		"Replicas = -1:":         {TracesPerSecond: 1, Replicas: -1},
		"MaxOperations = -1:":    {TracesPerSecond: 1, MaxOperations: -1},
		"MinProbability = 2:":    {TracesPerSecond: 1, MinProbability: 2},
		"MinProbability = 0.5:":  {TracesPerSecond: 1, MinProbability: 0.5, MaxProbability: 0.1},
		"MaxProbability = -0.1:": {TracesPerSecond: 1, MaxProbability: -0.1},
	} {
		if _, err := sampler.NewAdaptive(cfg); err == nil || !strings.Contains(err.Error(), "AdaptiveConfig."+field) {
			t.Errorf("%s: got %v", field, err)
		}
	}
}

// keepRate sends perSecond spans for some seconds and returns how many were
// kept per second.
func keepRate(s sdktrace.Sampler, rnd *rand.Rand, perSecond, seconds int) float64 {
	kept := 0
	for range seconds * perSecond {
		time.Sleep(time.Second / time.Duration(perSecond))
		if s.ShouldSample(root(rnd, "GET /")).Decision == sdktrace.RecordAndSample {
			kept++
		}
	}
	return float64(kept) / float64(seconds)
}

func expectRate(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 0.05*want {
		t.Errorf("%s: kept %.2f/s, want %v/s within 5%%", what, got, want)
	}
}

func TestTargetIsDividedByReplicas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rnd := rand.New(rand.NewPCG(1, 1))
		expectRate(t, "two of them", keepRate(ours(adaptive(t, sampler.AdaptiveConfig{TracesPerSecond: 20, Replicas: 2})), rnd, 1000, 60), 10)

		replicas := 1
		s := ours(adaptive(t, sampler.AdaptiveConfig{TracesPerSecond: 20, ReplicasFunc: func() int { return replicas }}))
		expectRate(t, "alone", keepRate(s, rnd, 1000, 60), 20)
		replicas = 4
		keepRate(s, rnd, 1000, 5)
		expectRate(t, "one of four", keepRate(s, rnd, 1000, 60), 5)
	})
}

func TestLastShareStaysWhenReplicasAreUnknown(t *testing.T) {
	for name, fail := range map[string]func() int{
		"zero":     func() int { return 0 },
		"negative": func() int { return -1 },
		"panic":    func() int { panic("no connection") },
	} {
		t.Run(name, func(t *testing.T) {
			errs := handledErrors(t)
			synctest.Test(t, func(t *testing.T) {
				rnd := rand.New(rand.NewPCG(1, 1))
				replicas := fail
				s := ours(adaptive(t, sampler.AdaptiveConfig{TracesPerSecond: 20, Replicas: 2, ReplicasFunc: func() int { return replicas() }}))
				expectRate(t, "before the first answer, Replicas", keepRate(s, rnd, 1000, 60), 10)
				replicas = func() int { return 4 }
				keepRate(s, rnd, 1000, 5)
				replicas = fail
				expectRate(t, "after an answer, the last one", keepRate(s, rnd, 1000, 60), 5)
			})
			if want := map[string]int{"panic": 1}[name]; len(*errs) != want {
				t.Errorf("got %d errors, want %d: %v", len(*errs), want, *errs)
			}
		})
	}
}

func TestTargetFollowsLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rnd := rand.New(rand.NewPCG(1, 1))
		load := 0.5
		s := ours(adaptive(t, sampler.AdaptiveConfig{TracesPerSecond: 20, Load: []sampler.LoadSignal{
			func() float64 { return 0 }, func() float64 { return load },
		}}))
		expectRate(t, "half loaded", keepRate(s, rnd, 1000, 60), 20)
		load = 0.85
		keepRate(s, rnd, 1000, 20)
		expectRate(t, "between 0.7 and 1", keepRate(s, rnd, 1000, 60), 10)
		load = 5
		keepRate(s, rnd, 1000, 20)
		if rate := keepRate(s, rnd, 1000, 60); rate < 0.1 || rate > 0.3 {
			t.Errorf("overloaded: kept %.2f/s, want 1%% of 20/s", rate)
		}
		load = math.NaN() // counts as no news
		keepRate(s, rnd, 1000, 5)
		load = 0
		keepRate(s, rnd, 1000, 20)
		expectRate(t, "recovered", keepRate(s, rnd, 1000, 60), 20)
	})
}

func TestProbabilityHasBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rnd := rand.New(rand.NewPCG(1, 1))
		expectRate(t, "floor", keepRate(ours(adaptive(t, sampler.AdaptiveConfig{TracesPerSecond: 1, MinProbability: 0.5})), rnd, 1000, 60), 500)
		expectRate(t, "ceiling", keepRate(ours(adaptive(t, sampler.AdaptiveConfig{TracesPerSecond: 1000, MaxProbability: 0.25})), rnd, 1000, 60), 250)
	})
}

func TestTargetsOfAllSizes(t *testing.T) {
	for _, target := range []float64{0.1, 1, 100, 1000} {
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(1, 1))
			s := ours(adaptive(t, sampler.AdaptiveConfig{TracesPerSecond: target}))
			keepRate(s, rnd, 5000, 10)
			got := keepRate(s, rnd, 5000, 60)
			if math.Abs(got-target) > max(0.02*target, 10.0/60) {
				t.Errorf("kept %v/s, want %v/s", got, target)
			}
		})
	}
}

func TestRateLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rnd := rand.New(rand.NewPCG(1, 1))
		s := ours(sampler.RateLimit(10))
		expectRate(t, "below the limit", keepRate(s, rnd, 5, 60), 5)
		keepRate(s, rnd, 1000, 1)
		expectRate(t, "above", keepRate(s, rnd, 1000, 60), 10)
	})
	for rate, want := range map[float64]string{0: "AlwaysOff", -1: "AlwaysOff", math.NaN(): "AlwaysOff", math.Inf(1): "AlwaysOn"} {
		if got := sampler.RateLimit(rate).Description(); got != want {
			t.Errorf("RateLimit(%v) is %s, want %s", rate, got, want)
		}
	}
}

func TestKeyNamesOperations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := adaptive(t, sampler.AdaptiveConfig{TracesPerSecond: 10, Key: func(p sampler.Parameters) string { return p.Name[:1] }})
		s := ours(a)
		rnd := rand.New(rand.NewPCG(1, 1))
		// Ten thousand names of one key are one operation: a new name is
		// nothing special.
		kept := 0
		for i := range 10_000 {
			time.Sleep(time.Millisecond)
			if s.ShouldSample(root(rnd, "k"+strconv.Itoa(i))).Decision == sdktrace.RecordAndSample {
				kept++
			}
		}
		if kept > 120 {
			t.Errorf("kept %d of 10,000 in 10 s", kept)
		}
		// A span of another key is rare and therefore kept.
		if s.ShouldSample(root(rnd, "x")).Decision != sdktrace.RecordAndSample {
			t.Error("the first span of a new key was dropped")
		}
	})
}

func TestForgottenOperationsMakeRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := ours(adaptive(t, sampler.AdaptiveConfig{TracesPerSecond: 10, MaxOperations: 10}))
		rnd := rand.New(rand.NewPCG(1, 1))
		for i := range 10 {
			s.ShouldSample(root(rnd, "old "+strconv.Itoa(i)))
		}
		time.Sleep(time.Hour)
		s.ShouldSample(root(rnd, "any"))
		keepRate(s, rnd, 1000, 70) // "GET /" is one of at most two now
		if s.ShouldSample(root(rnd, "new")).Decision != sdktrace.RecordAndSample {
			t.Error("a new operation beside a busy one was dropped: it found no room")
		}
	})
}

// The bounds hold with room to spare.
func TestMemory(t *testing.T) {
	for limit, atMost := range map[int]uint64{1000: 1 << 20, 10_000: 2 << 20} {
		var before, after runtime.MemStats
		names := make([]string, 10_000)
		for i := range names {
			names[i] = "GET /some/route/of/the/usual/length/" + strconv.Itoa(i)
		}
		rnd := rand.New(rand.NewPCG(1, 1))
		runtime.GC()
		runtime.ReadMemStats(&before)
		s := ours(adaptive(t, sampler.AdaptiveConfig{TracesPerSecond: 10, MaxOperations: limit}))
		for _, name := range names {
			s.ShouldSample(root(rnd, name))
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		if used := after.HeapAlloc - before.HeapAlloc; after.HeapAlloc > before.HeapAlloc && used > atMost {
			t.Errorf("%d of 10,000 operations take %d KiB, want at most %d", limit, used>>10, atMost>>10)
		}
		runtime.KeepAlive(s)
		runtime.KeepAlive(names)
	}
}

func TestMetrics(t *testing.T) {
	reader := metric.NewManualReader()
	provider := metric.NewMeterProvider(metric.WithReader(reader))
	a, err := sampler.NewAdaptive(sampler.AdaptiveConfig{TracesPerSecond: 10, Replicas: 4, MeterProvider: provider, Load: []sampler.LoadSignal{
		func() float64 { return 0.5 },
	}})
	if err != nil {
		t.Fatal(err)
	}
	s := sampler.New(sampler.Rules(
		sampler.Rule{Match: sampler.Match{Name: "drop"}},
		sampler.Rule{Sampler: a},
	), sampler.WithMeterProvider(provider))
	for _, name := range []string{"drop", "drop", "GET /"} {
		s.ShouldSample(sdktrace.SamplingParameters{Name: name})
	}
	got := collect(t, reader)
	for name, want := range map[string]float64{
		"clew.sampler.decisions kept {span}":    1,
		"clew.sampler.decisions dropped {span}": 2,
		"clew.sampler.target {trace}/s":         2.5,
		"clew.sampler.load 1":                   0.15, // the first reading, smoothed
		"clew.sampler.operations {operation}":   1,
	} {
		if value, ok := got[name]; !ok || math.Abs(value-want) > 1e-9 {
			t.Errorf("%s is %v, want %v", name, value, want)
		}
	}
	if p := got["clew.sampler.probability GET / 1"]; !(p > 0 && p <= 1) {
		t.Errorf("clew.sampler.probability is %v", p)
	}
	if len(got) != 6 {
		t.Errorf("got %v", got)
	}
	sampler.New(sampler.AlwaysOff(), sampler.WithMeterProvider(provider)).ShouldSample(sdktrace.SamplingParameters{})
	if n := collect(t, reader)["clew.sampler.decisions dropped {span}"]; n != 3 {
		t.Errorf("another sampler's decision makes it %v dropped, want 3", n)
	}
	if err := a.Shutdown(); err != nil {
		t.Error(err)
	}
	if got := collect(t, reader); len(got) != 2 {
		t.Errorf("after Shutdown: %v", got)
	}
}

func collect(t *testing.T, reader metric.Reader) map[string]float64 {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &all); err != nil {
		t.Fatal(err)
	}
	values := make(map[string]float64)
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					v, _ := p.Attributes.Value("clew.sampler.decision")
					values[m.Name+" "+v.AsString()+" "+m.Unit] = float64(p.Value)
				}
			case metricdata.Gauge[int64]:
				values[m.Name+" "+m.Unit] = float64(data.DataPoints[0].Value)
			case metricdata.Gauge[float64]:
				for _, p := range data.DataPoints {
					name := m.Name
					if v, ok := p.Attributes.Value("clew.sampler.operation"); ok {
						name += " " + v.AsString()
					}
					values[name+" "+m.Unit] = p.Value
				}
			}
		}
	}
	return values
}

package otelsetup

import (
	"context"
	"errors"
	"math"
	"runtime/metrics"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// runtimeMetrics are the metrics that have one value: OpenTelemetry Semantic
// Conventions, "Semantic conventions for Go runtime metrics".
var runtimeMetrics = [...]struct {
	name, unit, description string
	source                  string // in package runtime/metrics
	monotonic               bool
}{
	{"go.memory.limit", "By", "Go runtime memory limit configured by the user, if a limit exists.", "/gc/gomemlimit:bytes", false},
	{"go.memory.allocated", "By", "Memory allocated to the heap by the application.", "/gc/heap/allocs:bytes", true},
	{"go.memory.allocations", "{allocation}", "Count of allocations to the heap by the application.", "/gc/heap/allocs:objects", true},
	{"go.memory.gc.goal", "By", "Heap size target for the end of the GC cycle.", "/gc/heap/goal:bytes", false},
	{"go.goroutine.count", "{goroutine}", "Count of live goroutines.", "/sched/goroutines:goroutines", false},
	{"go.processor.limit", "{thread}", "The number of OS threads that can execute user-level Go code simultaneously.", "/sched/gomaxprocs:threads", false},
	{"go.config.gogc", "%", "Heap size target percentage configured by the user, otherwise 100.", "/gc/gogc:percent", false},
}

// What go.memory.used is made of.
const (
	stacksSource   = "/memory/classes/heap/stacks:bytes"
	totalSource    = "/memory/classes/total:bytes"
	releasedSource = "/memory/classes/heap/released:bytes"
)

// observeRuntime records the metrics of the Go runtime whenever p collects. What
// go.opentelemetry.io/contrib/instrumentation/runtime records is the same, as a test
// says; with that, a server would have 10.53 MB, which is more than bench/setup allows.
func observeRuntime(p metric.MeterProvider) error {
	meter := p.Meter(instrumentationName)
	samples := []metrics.Sample{{Name: stacksSource}, {Name: totalSource}, {Name: releasedSource}}
	used, err := meter.Int64ObservableUpDownCounter("go.memory.used", metric.WithUnit("By"), metric.WithDescription("Memory used by the Go runtime."))
	instruments, errs := []metric.Observable{used}, []error{err}
	for _, m := range runtimeMetrics {
		samples = append(samples, metrics.Sample{Name: m.source})
		var i metric.Observable
		if m.monotonic {
			i, err = meter.Int64ObservableCounter(m.name, metric.WithUnit(m.unit), metric.WithDescription(m.description))
		} else {
			i, err = meter.Int64ObservableUpDownCounter(m.name, metric.WithUnit(m.unit), metric.WithDescription(m.description))
		}
		instruments, errs = append(instruments, i), append(errs, err)
	}
	stack := metric.WithAttributeSet(attribute.NewSet(attribute.String("go.memory.type", "stack")))
	other := metric.WithAttributeSet(attribute.NewSet(attribute.String("go.memory.type", "other")))
	var mu sync.Mutex // readers may collect at the same time
	_, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		mu.Lock()
		defer mu.Unlock()
		metrics.Read(samples)
		stacks := value(samples[0])
		o.ObserveInt64(used, stacks, stack)
		o.ObserveInt64(used, value(samples[1])-value(samples[2])-stacks, other)
		for i, sample := range samples[3:] {
			if v := value(sample); v != math.MaxInt64 { // no limit
				o.ObserveInt64(instruments[i+1].(metric.Int64Observable), v) //nolint:errcheck,forcetypeassert // made above
			}
		}
		return nil
	}, instruments...)
	return errors.Join(append(errs, err)...)
}

// value is at most the largest int64, and 0 for a metric that the runtime does
// not have.
func value(s metrics.Sample) int64 {
	if s.Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return int64(min(s.Value.Uint64(), math.MaxInt64)) //nolint:gosec // it is bounded
}

package otelsetup

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"weak"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/embedded"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
)

// meters is the provider that Start makes global, the same one each time, for
// the reason that [tracers] has.
var meters = &meterProvider{}

// meterProvider passes measurements on to the SDK that is running.
//
// Everything that was made from it is made in each SDK when that starts, not when
// it is first used: an SDK that collects holds a lock while callbacks run, and a
// callback that uses a counter for the first time would wait for it forever.
type meterProvider struct {
	embedded.MeterProvider
	sdk atomic.Pointer[sdkmetric.MeterProvider] // nil: none is, and nothing is recorded

	mu        sync.Mutex
	followers []func() follower // nil if it is gone
	full      int               // the number at which those that are gone are left out
}

// follower is an instrument or a registration, which follow makes in the SDK that
// is running.
type follower interface{ follow() error }

// use lets an SDK have the measurements from now on. Nil is none.
func (p *meterProvider) use(sdk *sdkmetric.MeterProvider) {
	p.sdk.Store(sdk)
	p.mu.Lock()
	p.forget()
	all := slices.Clone(p.followers)
	p.mu.Unlock()
	for _, get := range all {
		if f := get(); f != nil {
			if err := f.follow(); err != nil {
				otel.Handle(err)
			}
		}
	}
}

// minFull is the least number at which followers are looked through.
const minFull = 64

func (p *meterProvider) add(get func() follower) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.followers) >= max(p.full, minFull) {
		p.forget()
	}
	p.followers = append(p.followers, get)
}

// forget leaves out what is gone. It needs p.mu.
func (p *meterProvider) forget() {
	p.followers = slices.DeleteFunc(p.followers, func(get func() follower) bool { return get() == nil })
	p.full = 2 * len(p.followers)
}

// Meter implements [metric.MeterProvider].
func (p *meterProvider) Meter(name string, opts ...metric.MeterOption) metric.Meter {
	return &meter{provider: p, name: name, opts: slices.Clone(opts)}
}

// ForceFlush collects and exports.
func (p *meterProvider) ForceFlush(ctx context.Context) error {
	if sdk := p.sdk.Load(); sdk != nil {
		return sdk.ForceFlush(ctx)
	}
	return nil
}

// meter is a meter of whichever SDK is running.
type meter struct {
	embedded.Meter
	provider *meterProvider
	name     string
	opts     []metric.MeterOption
}

// of returns the meter of an SDK, which has one for each scope.
func (m *meter) of(sdk *sdkmetric.MeterProvider) metric.Meter { return sdk.Meter(m.name, m.opts...) }

// instrument is an instrument of whichever SDK is running.
type instrument[T any] struct {
	current atomic.Pointer[T] // nil: no SDK is running

	meter  *meter
	create func(metric.Meter) (T, error)
	mu     sync.Mutex
	sdk    *sdkmetric.MeterProvider // that current is of
}

// begin makes the instrument in the SDK that is running, and in every later one.
// One that nothing refers to any more is forgotten, unless it is kept because it
// has callbacks.
func (i *instrument[T]) begin(m *meter, kept bool, create func(metric.Meter) (T, error)) error {
	i.meter, i.create = m, create
	if kept {
		m.provider.add(func() follower { return i })
	} else {
		w := weak.Make(i)
		m.provider.add(func() follower {
			if i := w.Value(); i != nil {
				return i
			}
			return nil
		})
	}
	return i.follow()
}

func (i *instrument[T]) follow() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	sdk := i.meter.provider.sdk.Load()
	if sdk == i.sdk {
		return nil
	}
	i.sdk = sdk
	if sdk == nil {
		i.current.Store(nil)
		return nil
	}
	made, err := i.create(i.meter.of(sdk))
	if any(made) == nil {
		i.current.Store(nil)
	} else {
		i.current.Store(&made)
	}
	return err
}

// running returns the instrument of the SDK that is running, and nil if none is.
func (i *instrument[T]) running() (made T) {
	if current := i.current.Load(); current != nil {
		made = *current
	}
	return made
}

// observed is [instrument.running] for those that only know that it is one.
func (i *instrument[T]) observed() any { return i.running() }

// observable is an instrument of this package that callbacks report on.
type observable interface {
	follower
	observed() any
}

// RegisterCallback implements [metric.Meter].
func (m *meter) RegisterCallback(f metric.Callback, instruments ...metric.Observable) (metric.Registration, error) {
	r := &registration{meter: m, callback: f, instruments: slices.Clone(instruments)}
	m.provider.add(r.open)
	return r, r.follow()
}

// registration is a callback that is registered with whichever SDK is running.
type registration struct {
	embedded.Registration
	meter *meter

	closed      atomic.Bool // unregistered
	mu          sync.Mutex
	callback    metric.Callback
	instruments []metric.Observable
	current     metric.Registration      // with sdk; may be nil
	sdk         *sdkmetric.MeterProvider // nil: none is running
}

// open returns r unless it was unregistered.
func (r *registration) open() follower {
	if r.closed.Load() {
		return nil
	}
	return r
}

func (r *registration) follow() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	provider := r.meter.provider
	sdk := provider.sdk.Load()
	if r.closed.Load() || sdk == r.sdk {
		return nil
	}
	r.sdk, r.current = sdk, nil // an SDK that has ended calls nothing
	if sdk == nil {
		return nil
	}
	instruments := make([]metric.Observable, len(r.instruments))
	for i, o := range r.instruments {
		if ours, ok := o.(observable); ok {
			if err := ours.follow(); err != nil {
				otel.Handle(err)
			}
		}
		instruments[i] = observedAs(o)
	}
	callback := r.callback
	var err error
	r.current, err = r.meter.of(sdk).RegisterCallback(func(ctx context.Context, o metric.Observer) error {
		if provider.sdk.Load() != sdk {
			return nil // it was left behind at its end
		}
		return callback(ctx, &observer{to: o})
	}, instruments...)
	return err
}

// Unregister implements [metric.Registration].
func (r *registration) Unregister() error {
	r.closed.Store(true)
	r.mu.Lock()
	current := r.current
	r.callback, r.instruments, r.current = nil, nil, nil
	r.mu.Unlock()
	if current == nil {
		return nil
	}
	return current.Unregister()
}

// observer passes on what a callback reports.
type observer struct {
	embedded.Observer
	to metric.Observer
}

// ObserveInt64 implements [metric.Observer].
func (o *observer) ObserveInt64(of metric.Int64Observable, v int64, opts ...metric.ObserveOption) {
	o.to.ObserveInt64(observedAs(of), v, opts...)
}

// ObserveFloat64 implements [metric.Observer].
func (o *observer) ObserveFloat64(of metric.Float64Observable, v float64, opts ...metric.ObserveOption) {
	o.to.ObserveFloat64(observedAs(of), v, opts...)
}

// observedAs returns what the SDK that is running has for an instrument of this
// package. It says itself what is wrong with any other.
func observedAs[T metric.Observable](of T) T {
	if ours, ok := any(of).(observable); ok {
		if made, ok := ours.observed().(T); ok {
			return made
		}
	}
	return of
}

package export

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"

	"github.com/clewtrace/clew/delivery"
	"github.com/clewtrace/clew/internal/redact"
	"github.com/clewtrace/clew/internal/settings"
)

// journalLinger is how long the requests of a journal wait to be sent together.
const journalLinger = time.Second

// outbox is what the exporters of OTLP over HTTP hand their requests to: one
// [delivery.Transport] for all signals. That can be made only when the exporters
// and the meter provider exist, so exporters get a client that waits for it.
type outbox struct {
	settings  delivery.Config
	journal   bool
	customize []func(delivery.Config) delivery.Config
	handovers []*handover

	ready     chan struct{} // closed when transport can be used
	transport *delivery.Transport
	resumed   map[string]int64 // by signal: what an earlier process left in the spool
	closing   atomic.Bool
}

// handover is where the requests of one exporter leave for the outbox.
type handover struct {
	outbox *outbox
	signal delivery.Signal
	route  delivery.Route
	url    *url.URL // of route
	own    *http.Transport
	next   http.RoundTripper // set when the outbox is ready
}

// RoundTrip implements [http.RoundTripper].
func (x *handover) RoundTrip(r *http.Request) (*http.Response, error) {
	select {
	case <-x.outbox.ready:
		out := *r
		out.URL = x.url // the exporters leave out a query, and what is escaped in a path
		return x.next.RoundTrip(&out)
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

var deliverySignals = map[string]delivery.Signal{
	settings.SignalTraces: delivery.Traces, settings.SignalMetrics: delivery.Metrics, settings.SignalLogs: delivery.Logs,
}

// newOutbox makes one that is to be opened.
func newOutbox(d settings.Delivery, customize []func(delivery.Config) delivery.Config) *outbox {
	o := &outbox{customize: customize, journal: d.Journal, ready: make(chan struct{})}
	o.settings = delivery.Config{QueueSize: d.QueueSize, SpoolDir: d.SpoolDir, SpoolSize: d.SpoolSize, SpoolSync: d.SpoolSync}
	if d.Journal {
		o.settings.Linger = journalLinger
	}
	return o
}

// journals reports whether spans and log records are exported as they come.
func (o *outbox) journals() bool { return o != nil && o.journal }

// client returns what an exporter sends its requests with.
func (o *outbox) client(signal string, to *url.URL, route delivery.Route, own *http.Transport) *http.Client {
	route.URL = to.String()
	x := &handover{outbox: o, signal: deliverySignals[signal], route: route, url: to, own: own}
	o.handovers = append(o.handovers, x)
	return &http.Client{Transport: x}
}

// open makes the exporters' requests go. What stands in the way of the spool, or
// of what the program customized, is a problem, and does without.
func (o *outbox) open(meters metric.MeterProvider) (problems []settings.Problem) {
	cfg := o.settings
	cfg.ErrorHandler = otel.ErrorHandlerFunc(o.handle)
	custom := cfg
	for _, f := range o.customize {
		custom = f(custom)
	}
	var err error
	if o.transport, err = delivery.New(custom); err != nil && o.customize != nil {
		problems = append(problems, settings.Problem{Name: "Customizers.Delivery", Reason: err.Error()})
		o.transport, err = delivery.New(cfg)
	}
	if err != nil && cfg.SpoolDir != "" {
		problems = append(problems, settings.Problem{
			Name: delivery.EnvSpoolDir, Value: redact.Text(cfg.SpoolDir),
			Reason: strings.TrimPrefix(err.Error(), "delivery: Config.SpoolDir: "), Using: "memory only",
		})
		cfg.SpoolDir = ""
		o.transport, err = delivery.New(cfg)
	}
	if o.transport == nil {
		return append(problems, settings.Problem{Name: "delivery", Reason: err.Error()})
	}
	o.transport.Observe(meters)
	o.resumed = map[string]int64{}
	for name, signal := range deliverySignals {
		o.resumed[name] = o.transport.Stats(signal).Queued
	}
	for _, x := range o.handovers {
		x.next = o.transport.ClientVia(x.signal, x.route).Transport
	}
	close(o.ready)
	return problems
}

// handle passes on what delivery has to say. While it is shut down, the result
// of Telemetry.Shutdown says what is left; only what was lost for good has a
// reason of its own.
func (o *outbox) handle(err error) {
	if o.closing.Load() {
		if _, lost := errors.AsType[*delivery.DroppedError](err); !lost {
			return
		}
	}
	otel.Handle(err)
}

// usable reports whether there is a transport.
func (o *outbox) usable() bool { return o != nil && o.transport != nil }

// dropped returns the items of all signals that were lost so far.
func (o *outbox) dropped() map[string]int64 {
	lost := map[string]int64{}
	if o.usable() {
		for name, signal := range deliverySignals {
			lost[name] = o.transport.Stats(signal).DroppedTotal()
		}
	}
	return lost
}

// flush waits until the collector has taken what the exporters handed over. What
// was dropped since before is an error too.
func (o *outbox) flush(ctx context.Context, before map[string]int64) error {
	if !o.usable() {
		return nil
	}
	errs := []error{o.transport.ForceFlush(ctx)}
	after := o.dropped()
	for _, signal := range slices.Sorted(maps.Keys(after)) {
		if n := after[signal] - before[signal]; n > 0 {
			errs = append(errs, fmt.Errorf("%s: %d %s dropped: %s", signal, n, Units[signal], o.reasons(signal)))
		}
	}
	return errors.Join(errs...)
}

// reasons says why items of a signal were dropped so far.
func (o *outbox) reasons(signal string) string {
	counts := o.transport.Stats(deliverySignals[signal]).Dropped
	var said []string
	for _, reason := range slices.Sorted(maps.Keys(counts)) {
		if reason != "shutdown" {
			said = append(said, fmt.Sprintf("%d %s", counts[reason], reason))
		}
	}
	return strings.Join(said, ", ")
}

// shutdown ends the transport, and returns why something is left, by signal.
func (o *outbox) shutdown(ctx context.Context) (left map[string][]error, err error) {
	if !o.usable() {
		return nil, nil
	}
	o.closing.Store(true)
	left = map[string][]error{}
	var errs []error
	for _, err := range flatten(o.transport.Shutdown(ctx)) {
		if u, ok := errors.AsType[*delivery.UndeliveredError](err); ok {
			left[u.Signal.String()] = append(left[u.Signal.String()], &leftError{u})
		} else {
			errs = append(errs, err)
		}
	}
	for _, x := range o.handovers {
		x.own.CloseIdleConnections()
	}
	return left, errors.Join(errs...)
}

// leftError says why something was left, and leaves out how much.
type leftError struct{ *delivery.UndeliveredError }

func (e *leftError) Error() string {
	var said []string
	if e.Err != nil {
		for _, err := range flatten(e.Err) {
			if !strings.HasPrefix(err.Error(), "dropped ") { // what the tally says too
				said = append(said, err.Error())
			}
		}
	}
	text := strings.Join(said, ": ")
	if e.Kept > 0 {
		text += "; kept in " + e.Dir + " for the next start"
	}
	return text
}

func (e *leftError) Unwrap() error { return e.UndeliveredError }

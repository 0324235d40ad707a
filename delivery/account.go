package delivery

import (
	"fmt"
	"maps"
	"net/url"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel"

	"github.com/clewtrace/clew/internal/plaintext"
)

// account counts the items of one signal, and attempts. Transport.mu guards it.
type account struct {
	accepted  int64
	queued    int64
	delivered int64
	retried   int64
	kept      int64
	lost      map[string]int64 // by reason
	why       map[string]loss  // by reason: the last one
	told      map[string]int64 // of lost, what a ForceFlush has returned
}

// loss is where something was to go that was dropped, and why.
type loss struct {
	url string // redacted
	err error
}

func (a *account) drop(reason string, items int64) {
	if a.lost == nil {
		a.lost = make(map[string]int64)
		a.why = make(map[string]loss)
	}
	a.lost[reason] += items
}

// dropFrom is drop for what was to go to a destination.
func (a *account) dropFrom(d *destination, reason string, items int64, err error) *DroppedError {
	a.drop(reason, items)
	to := ""
	if d.url != "" {
		to = shownURL(d.url)
	}
	a.why[reason] = loss{to, err}
	return &DroppedError{Signal: d.signal, Items: items, URL: to, Reason: reason, Err: err}
}

// Stats counts the items of one signal so far: spans, data points or log records. Every
// accepted item is in exactly one of Queued, Delivered, Dropped and Kept.
type Stats struct {
	Accepted    int64            // given to a processor, exporter or client, or left in the spool by an earlier process
	Queued      int64            // collected by a processor, waiting or being sent
	QueuedBytes int64            // memory that those take
	OldestAge   time.Duration    // time since the oldest of those was handed over, or began to be collected
	Delivered   int64            // taken by the server with a 2xx
	Dropped     map[string]int64 // by reason: queue_full, rejected, corrupt, shutdown, or the status that forbade a retry, such as 401 or UNAUTHENTICATED
	Kept        int64            // left in the spool by Shutdown
	Retried     int64            // failed attempts that will be or were repeated, in requests
}

// DroppedTotal returns the sum of Dropped.
func (s Stats) DroppedTotal() int64 {
	var n int64
	for _, d := range s.Dropped {
		n += d
	}
	return n
}

// Stats returns the counts of a signal.
func (t *Transport) Stats(s Signal) Stats {
	t.started()
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	a := t.accounts[s]
	st := Stats{
		Accepted:    a.accepted,
		Queued:      a.queued,
		QueuedBytes: t.budget.signal[s],
		Delivered:   a.delivered,
		Kept:        a.kept,
		Retried:     a.retried,
		Dropped:     make(map[string]int64, len(a.lost)),
	}
	maps.Copy(st.Dropped, a.lost)
	for _, b := range t.batches {
		if items, bytes, since := b.waiting(); b.dest.signal == s && items > 0 {
			st.Accepted += items
			st.Queued += items
			st.QueuedBytes += bytes
			st.OldestAge = max(st.OldestAge, now.Sub(since))
		}
	}
	t.eachPending(func(r *request) {
		if r.dest.signal == s {
			st.OldestAge = max(st.OldestAge, now.Sub(r.accepted))
		}
	})
	return st
}

// DroppedError says that telemetry was lost for good. The ErrorHandler gets one when a
// reason first occurs, and then at most one a minute with the sum.
type DroppedError struct {
	Signal Signal
	Items  int64  // spans, data points or log records
	URL    string // where the last of them were to go, without user information and query; empty if that is not known
	Reason string // as in Stats.Dropped
	Err    error
}

func (e *DroppedError) Error() string {
	return fmt.Sprintf("delivery: %d %s dropped: %s", e.Items, e.Signal.items(), at(e.URL, e.Err))
}

// at puts a URL in front of an error. Either may be missing.
func at(url string, err error) string {
	text := ""
	if err != nil {
		text = strings.ReplaceAll(err.Error(), "\n", ": ")
	}
	if url == "" || text == "" {
		return url + text
	}
	return url + ": " + text
}

// Unwrap returns Err.
func (e *DroppedError) Unwrap() error { return e.Err }

// RetryError says that a request was not delivered and is sent again. The ErrorHandler
// gets one when a reason first occurs, and then at most one a minute.
type RetryError struct {
	Signal Signal
	URL    string // without user information and query
	Reason string // the status, or the kind of error of the network, such as connection_refused
	Err    error
}

func (e *RetryError) Error() string {
	return fmt.Sprintf("delivery: %s cannot be delivered to %s, retrying: %v", e.Signal, e.URL, e.Err)
}

// Unwrap returns Err.
func (e *RetryError) Unwrap() error { return e.Err }

const reportEvery = time.Minute

// reporter calls the error handler, at most once a minute for each kind of event. It
// must not be used while Transport.mu is held: the handler may log through a log
// exporter that calls this Transport.
type reporter struct {
	handler otel.ErrorHandler

	mu         sync.Mutex
	lastReport map[string]time.Time // by key
	pending    map[string]*DroppedError
}

func newReporter(h otel.ErrorHandler) *reporter {
	return &reporter{handler: h, lastReport: make(map[string]time.Time), pending: make(map[string]*DroppedError)}
}

// due reports whether key may be reported now: it was not reported in the last minute.
func (r *reporter) due(key string) bool {
	now := time.Now()
	if last, ok := r.lastReport[key]; ok && now.Sub(last) < reportEvery {
		return false
	}
	r.lastReport[key] = now
	return true
}

func (r *reporter) warn(key string, err error) {
	r.mu.Lock()
	due := r.due(key)
	r.mu.Unlock()
	if due {
		r.handler.Handle(err)
	}
}

func (r *reporter) dropped(drops ...*DroppedError) {
	for _, d := range drops {
		key := d.Signal.String() + " " + d.Reason
		r.mu.Lock()
		if p := r.pending[key]; p != nil {
			d.Items += p.Items
		}
		r.pending[key] = d
		due := r.due(key)
		if due {
			delete(r.pending, key)
		}
		r.mu.Unlock()
		if due {
			r.handler.Handle(d)
		}
	}
}

// flush reports the losses that were counted but not yet reported.
func (r *reporter) flush() {
	r.mu.Lock()
	pending := r.pending
	r.pending = make(map[string]*DroppedError)
	r.mu.Unlock()
	for _, d := range pending {
		r.handler.Handle(d)
	}
}

// shownURL removes the parts of a URL that may hold secrets. The target of a [Sender] is
// not always a URL, and is shown as it is if nothing in it can be one.
func shownURL(raw string) string {
	if !strings.ContainsAny(raw, "@?#") {
		return plaintext.Line(raw, maxMessage)
	}
	u, err := url.Parse(raw)
	if err != nil || u.Opaque != "" {
		return "an unreadable URL"
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return u.String()
}

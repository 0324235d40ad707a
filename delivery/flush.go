package delivery

import (
	"context"
	"errors"
	"fmt"

	"github.com/clewtrace/clew/delivery/internal/spool"
)

// UndeliveredError says what ForceFlush or Shutdown could not deliver to one URL. If
// there are several URLs, the errors are joined.
type UndeliveredError struct {
	Signal Signal
	Items  int64  // spans, data points or log records
	URL    string // without user information and query; empty if none is known yet
	Kept   string // the spool directory that keeps all of it for the next process, or empty
	Err    error  // the last failure, joined with the error of the context
}

func (e *UndeliveredError) Error() string {
	text := fmt.Sprintf("delivery: %d %s not delivered to %s: %v", e.Items, e.Signal.items(), e.URL, e.Err)
	if e.Kept != "" {
		text += "; kept in " + e.Kept + " for the next start"
	}
	return text
}

// Unwrap returns Err.
func (e *UndeliveredError) Unwrap() error { return e.Err }

// ForceFlush tries to deliver everything that has been handed over so far. It does not
// wait for requests to linger, nor for pauses after failures, except those that a
// server asked for. It stops when the context ends, or after Config.Timeout if the
// context has no deadline. It then returns an [UndeliveredError] for each URL; the
// requests stay in the queue.
func (t *Transport) ForceFlush(ctx context.Context) error {
	ctx, cancel := t.bounded(ctx)
	defer cancel()
	return t.flush(ctx, false)
}

// Shutdown delivers what it can as ForceFlush does, ends every attempt and goroutine,
// and returns an [UndeliveredError] for each URL for which something is left. With a
// spool, it does not wait for a server that is known to be unreachable, because the
// spool keeps the requests for the next process. Without one, it gives up after
// Config.RefusedTimeout where nothing listens. Shut the providers down first, since
// Shutdown of an exporter does not call this one. Later calls return nil.
func (t *Transport) Shutdown(ctx context.Context) error {
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return nil
	}
	t.closed = true
	t.mu.Unlock()

	ctx, cancel := t.bounded(ctx)
	defer cancel()
	err := t.flush(ctx, true)

	t.cancel()
	<-t.ended
	t.sends.Wait()
	if t.own != nil {
		t.own.CloseIdleConnections()
	}
	t.mu.Lock()
	senders := t.senders
	t.mu.Unlock()
	for _, s := range senders {
		err = errors.Join(err, s.Close())
	}
	t.abandon()
	t.report.flush()
	if t.spool != nil {
		err = errors.Join(err, t.spool.Close())
	}
	return errors.Join(err, t.self.shutdown())
}

// abandon counts what is left as kept or dropped. The error of Shutdown names it.
func (t *Transport) abandon() {
	t.mu.Lock()
	defer t.mu.Unlock()
	inSpool := t.inSpool()
	for _, d := range t.dests {
		for r := d.waiting.front; r != nil; r = d.waiting.front {
			d.waiting.remove(r)
			if inSpool(r.ref) {
				t.accounts[d.signal].kept += r.items
				r.ref = spool.Ref{} // so that forget does not remove it from the spool
				t.forget(r)
				continue
			}
			_ = t.drop(r, reasonShutdown, nil)
		}
	}
}

func (t *Transport) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, t.cfg.Timeout)
}

// flush waits until everything that was accepted before it is delivered or dropped.
func (t *Transport) flush(ctx context.Context, final bool) error {
	t.mu.Lock()
	last := t.seq
	t.flushing++
	t.skipPauses()
	w := t.wait(last, final)
	t.mu.Unlock()
	t.wakeDispatcher()
	defer func() {
		t.mu.Lock()
		t.flushing--
		t.waiters = without(t.waiters, w)
		t.mu.Unlock()
	}()
	if t.await(ctx, w, final) {
		return nil
	}
	t.mu.Lock()
	left := t.undelivered(w)
	t.mu.Unlock()
	errs := make([]error, 0, len(left))
	for _, u := range left {
		u.Err = errors.Join(u.Err, ctx.Err())
		errs = append(errs, u)
	}
	return errors.Join(errs...)
}

var errNoDestination = errors.New("nothing of that signal was exported since the start")

// undelivered sums up the requests that a flush has waited for and that are left.
func (t *Transport) undelivered(w *waiter) (left []*UndeliveredError) {
	inSpool := t.inSpool()
	at := make(map[*destination]*UndeliveredError)
	t.eachPending(func(r *request) {
		d := r.dest
		if !w.counts(r) {
			return
		}
		u := at[d]
		if u == nil {
			u = &UndeliveredError{Signal: d.signal, Err: d.err, Kept: t.cfg.SpoolDir}
			if u.URL = redact(d.url); d.url == "" {
				u.Err = errNoDestination
			}
			at[d] = u
			left = append(left, u)
		}
		u.Items += r.items
		if !inSpool(r.ref) {
			u.Kept = ""
		}
	})
	return left
}

// eachPending calls fn with every request that waits or is being sent.
func (t *Transport) eachPending(fn func(*request)) {
	for _, d := range t.dests {
		for r := d.waiting.front; r != nil; r = r.next {
			fn(r)
		}
	}
	for r := range t.sending {
		fn(r)
	}
}

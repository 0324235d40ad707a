package delivery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/clewtrace/clew/delivery/internal/spool"
	"github.com/clewtrace/clew/internal/redact"
)

// UndeliveredError says how much of a signal was not delivered. From ForceFlush, that is
// what still waits and what was dropped since the ForceFlush before. From Shutdown, it is
// what was dropped since [New], and what is kept in the spool. If several signals have
// something to say, their errors are joined.
type UndeliveredError struct {
	Signal   Signal
	Items    int64  // spans, data points or log records
	Accepted int64  // all that were accepted since New, with what an earlier process left
	Kept     int64  // of Items, what is in the spool for the next process
	URL      string // where the first of what is left or was dropped was to go, without user information and query; empty if that is not known
	Dir      string // the directory of the spool, if Kept is not zero
	Err      error  // why, as far as it is known: the last failures, the error of the context, the reasons of drops; may be nil
}

// Error is one line, for example:
//
//	traces: 3 of 10 spans not delivered: http://localhost:4318/v1/traces: connection refused
func (e *UndeliveredError) Error() string {
	text := fmt.Sprintf("%s: %d of %d %s not delivered", e.Signal, e.Items, e.Accepted, e.Signal.items())
	if e.Err != nil {
		text += ": " + strings.ReplaceAll(e.Err.Error(), "\n", "; ")
	}
	switch {
	case e.Kept > 0 && e.Kept == e.Items:
		text += "; kept in " + redact.Text(e.Dir) + " for the next start"
	case e.Kept > 0:
		text += fmt.Sprintf("; %d of them kept in %s for the next start", e.Kept, redact.Text(e.Dir))
	}
	return text
}

// Unwrap returns Err.
func (e *UndeliveredError) Unwrap() error { return e.Err }

// ForceFlush tries to deliver everything that has been handed over so far, and what the
// processors have collected. It does not wait for requests to linger, nor for pauses
// after failures, except those that a server asked for. It stops when the context ends,
// or after Config.Timeout if the context has no deadline. It returns an
// [UndeliveredError] for each signal of which something is left, which stays in the
// queue, or was dropped since the last ForceFlush returned.
func (t *Transport) ForceFlush(ctx context.Context) error {
	ctx, cancel := t.started().bounded(ctx)
	defer cancel()
	for _, b := range t.processors() {
		b.flush()
	}
	left := t.flush(ctx, false)
	var errs []error
	for _, s := range signals {
		errs = append(errs, t.undeliveredOf(s, left, false))
	}
	return errors.Join(errs...)
}

// Shutdown delivers what it can as ForceFlush does, ends every attempt and goroutine,
// and returns an [UndeliveredError] for each signal of which not everything was
// delivered. With a spool, it does not wait for a server that is known to be
// unreachable, because the spool keeps the requests for the next process. Without one,
// it gives up after Config.RefusedTimeout where nothing listens. Shut the providers down
// first: what processors are given later is counted as dropped. Later calls return nil.
// The ErrorHandler must not call Shutdown, which waits for it.
func (t *Transport) Shutdown(ctx context.Context) error {
	t.started().mu.Lock()
	if t.stopping {
		t.mu.Unlock()
		return nil
	}
	t.stopping = true
	t.mu.Unlock()
	for _, b := range t.processors() {
		b.close()
	}
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()

	ctx, cancel := t.bounded(ctx)
	defer cancel()
	left := t.flush(ctx, true)

	t.cancel()
	<-t.ended
	t.sends.Wait()
	if t.own != nil {
		t.own.CloseIdleConnections()
	}
	t.mu.Lock()
	senders := t.senders
	t.mu.Unlock()
	var errs []error
	for _, s := range senders {
		errs = append(errs, s.Close())
	}
	t.abandon()
	t.report.flush()
	for _, s := range signals {
		errs = append(errs, t.undeliveredOf(s, left, true))
	}
	if t.spool != nil {
		errs = append(errs, t.spool.Close())
	}
	return errors.Join(append(errs, t.self.shutdown())...)
}

// processors returns the batches of all processors.
func (t *Transport) processors() []*batch {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.batches // only ever appended to
}

// undeliveredOf returns an [UndeliveredError] for what is left of a signal, what was
// dropped since it was last called, and what is kept, or nil if that is nothing. After the
// final flush, that is everything that was dropped, and what is left has been counted as
// dropped or kept.
func (t *Transport) undeliveredOf(s Signal, left []leftover, final bool) error {
	st := t.Stats(s)
	u := &UndeliveredError{Signal: s, Accepted: st.Accepted, Kept: st.Kept, Items: st.Kept, Dir: t.cfg.SpoolDir}
	var why []error
	for _, l := range left {
		if l.dest.signal != s {
			continue
		}
		u.URL = cmp.Or(u.URL, l.url)
		why = append(why, l)
		if !final {
			u.Items += l.items
			u.Kept += l.kept
		}
	}
	t.mu.Lock()
	last, before := maps.Clone(t.accounts[s].why), t.accounts[s].told
	t.accounts[s].told = st.Dropped
	t.mu.Unlock()
	if final {
		before = nil
	}
	for _, reason := range slices.Sorted(maps.Keys(st.Dropped)) {
		n := st.Dropped[reason] - before[reason]
		u.Items += n
		if n > 0 && reason != reasonShutdown {
			why = append(why, fmt.Errorf("dropped %d (%s): %s", n, reason, at(last[reason].url, last[reason].err)))
			u.URL = cmp.Or(u.URL, last[reason].url)
		}
	}
	if u.Items == 0 {
		return nil
	}
	if u.Kept == 0 {
		u.Dir = ""
	}
	u.Err = errors.Join(why...)
	return u
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

// leftover is what a flush could not deliver to one destination, and why.
type leftover struct {
	dest  *destination
	url   string // redacted
	items int64
	kept  int64 // of items, what is in the spool
	err   error // the last failure, joined with the error of the context
}

func (l leftover) Error() string { return at(l.url, l.err) }

func (l leftover) Unwrap() error { return l.err }

// flush waits until everything that was accepted before it is delivered or dropped. It
// returns what is left.
func (t *Transport) flush(ctx context.Context, final bool) []leftover {
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
	for i := range left {
		left[i].err = errors.Join(left[i].err, ctx.Err())
	}
	return left
}

var errNoDestination = errors.New("nothing of that signal was exported since the start")

// undelivered sums up the requests that a flush has waited for and that are left.
func (t *Transport) undelivered(w *waiter) (left []leftover) {
	inSpool := t.inSpool()
	at := make(map[*destination]int)
	t.eachPending(func(r *request) {
		if !w.counts(r) {
			return
		}
		d := r.dest
		i, found := at[d]
		if !found {
			i = len(left)
			at[d] = i
			left = append(left, leftAt(d))
		}
		left[i].items += r.items
		if inSpool(r.ref) {
			left[i].kept += r.items
		}
	})
	return left
}

func leftAt(d *destination) leftover {
	if d.url == "" {
		return leftover{dest: d, err: errNoDestination}
	}
	return leftover{dest: d, url: shownURL(d.url), err: d.err}
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

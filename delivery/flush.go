package delivery

import (
	"context"
	"errors"
	"fmt"
)

// UndeliveredError says what ForceFlush or Shutdown left undelivered at one
// URL. Where there are several, the errors are joined.
type UndeliveredError struct {
	Signal Signal
	Items  int64  // spans, data points or log records
	URL    string // without user information and query
	Err    error  // why: the last failure, and that the time was up
}

func (e *UndeliveredError) Error() string {
	return fmt.Sprintf("delivery: %d %s not delivered to %s: %v", e.Items, e.Signal.items(), e.URL, e.Err)
}

// Unwrap returns Err.
func (e *UndeliveredError) Unwrap() error { return e.Err }

// ForceFlush tries to deliver everything that has been handed over so far,
// without lingering and without the pauses that earlier failures imposed, save
// those a server asked for. If the context ends first, or Config.Timeout is
// over and it has no deadline, it returns an [UndeliveredError] for each URL;
// what it names stays in the queue.
func (t *Transport) ForceFlush(ctx context.Context) error {
	ctx, cancel := t.bounded(ctx)
	defer cancel()
	return t.flush(ctx)
}

// Shutdown delivers what it can as ForceFlush does, ends every attempt and
// goroutine, and returns an [UndeliveredError] for each URL at which something
// is left. Shut the providers down first: the exporters' own Shutdown does not
// reach this far. Later calls return nil.
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
	err := t.flush(ctx)

	t.cancel()
	<-t.ended
	t.sends.Wait()
	if t.own != nil {
		t.own.CloseIdleConnections()
	}
	t.abandon()
	t.report.flush()
	return errors.Join(err, t.self.shutdown())
}

// abandon books what is left as lost. Shutdown's error has named it.
func (t *Transport) abandon() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, d := range t.dests {
		for r := d.waiting.front; r != nil; r = d.waiting.front {
			d.waiting.remove(r)
			t.drop(r, reasonShutdown, nil)
		}
	}
}

func (t *Transport) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, t.cfg.Timeout)
}

// flush waits until everything accepted before it is gone.
func (t *Transport) flush(ctx context.Context) error {
	t.mu.Lock()
	last := t.seq
	t.flushing++
	for _, d := range t.dests {
		d.hurry()
	}
	t.mu.Unlock()
	t.nudge()
	defer func() {
		t.mu.Lock()
		t.flushing--
		t.mu.Unlock()
	}()

	for {
		t.mu.Lock()
		left := t.undelivered(last)
		changed := t.changed
		t.mu.Unlock()
		if len(left) == 0 {
			return nil
		}
		select {
		case <-changed:
			continue
		case <-ctx.Done():
		}
		errs := make([]error, 0, len(left))
		for _, u := range left {
			u.Err = errors.Join(u.Err, ctx.Err())
			errs = append(errs, u)
		}
		return errors.Join(errs...)
	}
}

// undelivered sums up what is left of the requests up to and including last.
func (t *Transport) undelivered(last uint64) []*UndeliveredError {
	var left []*UndeliveredError
	at := make(map[*destination]*UndeliveredError)
	t.eachPending(func(r *request) {
		if r.seq > last {
			return
		}
		u := at[r.dest]
		if u == nil {
			u = &UndeliveredError{Signal: r.dest.signal, URL: redact(r.dest.url), Err: r.dest.err}
			at[r.dest] = u
			left = append(left, u)
		}
		u.Items += r.items
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

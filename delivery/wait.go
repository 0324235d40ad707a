package delivery

import (
	"context"
	"time"
)

// waiter counts down the requests that a flush waits for, so that a flush costs each of
// them one subtraction. Transport.mu guards it.
type waiter struct {
	last  uint64                    // seq of the last request that counts
	dests map[*destination]struct{} // those whose requests count
	left  int
	done  chan struct{} // closed when none is left
}

// wait returns a waiter for the requests up to and including last. Those whose
// destination is not known count only for the final flush.
func (t *Transport) wait(last uint64, final bool) *waiter {
	w := &waiter{last: last, dests: make(map[*destination]struct{}), done: make(chan struct{})}
	for _, d := range t.dests {
		if d.url != "" || final {
			w.dests[d] = struct{}{}
		}
	}
	t.eachPending(func(r *request) {
		if w.counts(r) {
			w.left++
		}
	})
	if w.left == 0 {
		close(w.done)
		return w
	}
	t.waiters = append(t.waiters, w)
	return w
}

func (w *waiter) counts(r *request) bool {
	_, ok := w.dests[r.dest]
	return ok && r.seq <= w.last
}

// count tells the waiters that a request was added to the queue (1) or forgotten (-1).
func (t *Transport) count(r *request, n int) {
	for _, w := range t.waiters {
		if !w.counts(r) {
			continue
		}
		if w.left += n; w.left == 0 {
			close(w.done)
			t.waiters = without(t.waiters, w)
		}
	}
}

// without returns a copy of the list, because count may walk the list itself.
func without(waiters []*waiter, w *waiter) []*waiter {
	var others []*waiter
	for _, other := range waiters {
		if other != w {
			others = append(others, other)
		}
	}
	return others
}

// await waits until nothing is left for w, and reports whether that is so. It gives up
// when the context ends. The final flush also gives up when it is hopeless to go on.
func (t *Transport) await(ctx context.Context, w *waiter, final bool) bool {
	var patience <-chan time.Time // never ends but in the final flush
	if final {
		timer := time.NewTimer(t.cfg.RefusedTimeout)
		defer timer.Stop()
		patience = timer.C
	}
	impatient := false
	for {
		t.mu.Lock()
		done := w.left == 0
		hopeless := final && !done && t.hopeless(w, impatient)
		failed := t.failed
		t.mu.Unlock()
		if done || hopeless {
			return done
		}
		select {
		case <-w.done:
			return true
		case <-failed:
		case <-patience:
			// One more attempt at once: the server may have started since the last one.
			impatient = true
			t.mu.Lock()
			t.skipPauses()
			t.mu.Unlock()
			t.wakeDispatcher()
		case <-ctx.Done():
			return false
		}
	}
}

// hopeless reports whether it is useless to go on with the final flush. Of every request
// that is left, one of two things must be true. The spool keeps it for the next process,
// and its server is unreachable or not known. Or nothing listens at the address of its
// server, and the patience of the flush is over.
func (t *Transport) hopeless(w *waiter, impatient bool) bool {
	inSpool := t.inSpool()
	hopeless := true
	t.eachPending(func(r *request) {
		d := r.dest
		switch {
		case !hopeless || !w.counts(r):
		case impatient && d.refusals > 0:
		case (d.failures > 0 || d.url == "") && inSpool(r.ref):
		default:
			hopeless = false
		}
	})
	return hopeless
}

package delivery

import (
	"sync"
	"time"
)

// Batch says when a processor hands over what it has collected. The zero value is
// recommended. A field that is negative counts as zero, except Delay.
type Batch struct {
	// MaxItems is the number of spans or log records at which they are handed over.
	// Zero means 2,048. It is never more than MaxQueueItems.
	MaxItems int

	// MaxBytes is the encoded size at which they are handed over. It also bounds one
	// span or log record: the strings of a larger one are cut, the longest first, and it
	// gets the attribute clew.truncated. Zero means 1 MiB. The least is 1 KiB, and the
	// most a quarter of [Config].QueueSize.
	MaxBytes int

	// Delay is how long after the first item they are handed over. Zero means 1 s. A
	// negative value means at once, or as soon as no other request waits.
	Delay time.Duration

	// MaxQueueItems bounds the items that wait in the queue after they were handed
	// over: beyond it, the oldest request is dropped. Zero means that only the bytes of
	// the queue are bounded, [Config].QueueSize. It is what OTEL_BSP_MAX_QUEUE_SIZE and
	// OTEL_BLRP_MAX_QUEUE_SIZE say, if they are set. What an earlier process left in the
	// spool is not counted, and not dropped for it.
	MaxQueueItems int
}

// What a zero means in [Batch].
const (
	DefaultMaxItems = 2048
	DefaultMaxBytes = 1 << 20
	DefaultDelay    = time.Second
)

const minMaxBytes = 1 << 10

func (b Batch) withDefaults(queueSize int64) Batch {
	if b.MaxItems <= 0 {
		b.MaxItems = DefaultMaxItems
	}
	b.MaxQueueItems = max(b.MaxQueueItems, 0)
	if b.MaxQueueItems > 0 {
		b.MaxItems = min(b.MaxItems, b.MaxQueueItems)
	}
	if b.MaxBytes <= 0 {
		b.MaxBytes = DefaultMaxBytes
	}
	b.MaxBytes = min(max(b.MaxBytes, minMaxBytes), int(queueSize/4))
	if b.Delay == 0 {
		b.Delay = DefaultDelay
	}
	return b
}

// maxFull is how many full collections may wait for the dispatcher. If there are more,
// goroutines that end spans hand them over before they add to another one: they wait
// for that no longer than a copy takes, or the compression if there is a backlog.
const maxFull = 2

// batch collects the encoded items of one processor and hands them over to the queue.
type batch struct {
	Batch
	t     *Transport
	dest  *destination
	known scopes

	// out is held while something is handed over, so that the order stays, and so that
	// a flush can wait for what is under way. It is locked before mu and Transport.mu.
	out sync.Mutex

	// mu is held only while one item is copied. It may be locked while Transport.mu is
	// held, but not the other way round.
	mu     sync.Mutex
	closed bool
	open   *collection   // nil if it is empty
	full   []*collection // what the dispatcher is to hand over
	spare  []*collection // empty, to be used again
	items  int64         // in open, in full and on the way to the queue
	bytes  int64         // of those
	since  time.Time     // of the oldest of those
}

func (t *Transport) newBatch(s Signal, r Route, cfg Batch) *batch {
	b := &batch{Batch: cfg.withDefaults(t.cfg.QueueSize), t: t, known: scopes{resource: t.cfg.Resource}}
	b.dest = t.register(s, r)
	t.mu.Lock()
	b.dest.maxItems = int64(b.MaxQueueItems)
	b.closed = t.stopping
	t.batches = append(t.batches, b)
	t.mu.Unlock()
	return b
}

// add takes an encoded item.
func (b *batch) add(sc *scope, item []byte) {
	if b.t.cfg.Journal {
		b.journal(sc, item)
		return
	}
	b.mu.Lock()
	for len(b.full) > maxFull {
		b.mu.Unlock()
		b.t.tell(b.handOver())
		b.mu.Lock()
	}
	if b.closed {
		b.mu.Unlock()
		b.t.late(b.dest.signal, 1)
		return
	}
	if b.open != nil && b.open.size+sc.size(item) > b.MaxBytes {
		b.seal()
	}
	wake := b.open == nil // to set its timer
	if b.open == nil {
		b.open = b.empty()
		if b.items == 0 {
			b.since = b.open.since
		}
	}
	b.bytes += int64(b.open.add(sc, item))
	b.items++
	if b.open.items() >= b.MaxItems || b.open.size >= b.MaxBytes {
		b.seal()
		wake = true
	}
	b.mu.Unlock()
	if wake {
		b.t.wakeDispatcher()
	}
}

// empty returns an empty collection. It is not from a sync.Pool: the collector empties
// that more often than a batch gets full.
func (b *batch) empty() *collection {
	c := new(collection)
	if last := len(b.spare) - 1; last >= 0 {
		c, b.spare = b.spare[last], b.spare[:last]
	}
	c.since = time.Now()
	return c
}

// seal makes what is open ready to be handed over.
func (b *batch) seal() {
	if b.open != nil {
		b.full = append(b.full, b.open)
		b.open = nil
	}
}

// due seals what has waited for Delay. It reports whether there is something to hand
// over, and otherwise when there will be. If it is to be handed over at once, it is not
// while other requests still wait, behind: that makes fewer and larger requests.
func (b *batch) due(now time.Time, behind bool) (ready bool, next time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open != nil {
		delay := b.Delay
		if delay < 0 && behind {
			delay = DefaultDelay
		}
		if next = b.open.since.Add(max(delay, 0)); !now.Before(next) {
			b.seal()
		}
	}
	if len(b.full) > 0 {
		return true, time.Time{}
	}
	return false, next
}

// handOver puts what is full into the queue. When it returns, everything that was full
// before is there. What there is to tell is told by the caller, who holds no lock: the
// error handler may log, or flush, through this very batch.
func (b *batch) handOver() news {
	b.out.Lock()
	defer b.out.Unlock()
	b.mu.Lock()
	full := b.full
	b.full = nil
	b.mu.Unlock()
	var all news
	for i, c := range full {
		r := newRequest(b.dest.via, c.body(), int64(c.items()))
		var next time.Time
		if i+1 < len(full) {
			next = full[i+1].since
		}
		_ = b.t.enqueue(b.dest, r, func() { b.moved(r.items, int64(c.size), next) }, &all) // counted if it came too late
		if keep := c.reset(); keep {
			b.mu.Lock()
			if len(b.spare) < maxFull {
				b.spare = append(b.spare, c)
			}
			b.mu.Unlock()
		}
	}
	return all
}

// moved takes items off the counts, because the queue counts them from now on.
func (b *batch) moved(items, bytes int64, next time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.items -= items
	b.bytes -= bytes
	switch {
	case !next.IsZero():
		b.since = next
	case len(b.full) > 0:
		b.since = b.full[0].since
	case b.open != nil:
		b.since = b.open.since
	}
}

// flush hands over everything that was added before.
func (b *batch) flush() {
	b.mu.Lock()
	b.seal()
	b.mu.Unlock()
	b.t.tell(b.handOver())
}

// close hands over everything. What is added later is counted as dropped.
func (b *batch) close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.flush()
}

// waiting returns the items that are not in the queue yet.
func (b *batch) waiting() (items, bytes int64, since time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.items, b.bytes, b.since
}

// journal makes a request of one item, which is in the spool when it returns.
func (b *batch) journal(sc *scope, item []byte) {
	b.mu.Lock()
	closed := b.closed
	b.mu.Unlock()
	if closed {
		b.t.late(b.dest.signal, 1)
		return
	}
	var c collection
	c.add(sc, item)
	var told news
	_ = b.t.enqueue(b.dest, newRequest(b.dest.via, c.body(), 1), func() {}, &told) // counted if it came too late
	b.t.tell(told)
}

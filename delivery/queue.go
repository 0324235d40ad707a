package delivery

import (
	"fmt"
	"time"

	"github.com/clewtrace/clew/delivery/internal/spool"
)

// request is one encoded export request, until the server has taken it.
type request struct {
	seq         uint64
	dest        *destination
	items       int64
	contentType string
	body        []byte // as stored: gzip if packed
	packed      bool   // body is gzip
	wireGzip    bool   // the exporter was configured to send gzip
	rawSize     int    // size of the body uncompressed
	accepted    time.Time

	attempts  int
	notBefore time.Time // the earliest time of the next attempt
	solo      bool      // never sent together with others
	recovered bool      // an earlier process left it in the spool

	ref spool.Ref // zero if it is in memory only

	prev, next *request // in dest.waiting
}

// overhead is the memory that a waiting request takes besides its body, so that very
// many small requests stay within the bound, too.
const overhead = 256

func (r *request) size() int64 { return int64(len(r.body)) + overhead }

// newRequest returns a request that this package has encoded.
func newRequest(via *route, body []byte, items int64) *request {
	return &request{
		body: body, rawSize: len(body), items: items, accepted: time.Now(),
		contentType: contentTypeProtobuf, wireGzip: via.gzip,
	}
}

// requestList is a list of requests in the order of their seq, which has those that were
// recovered first. The zero value is empty.
type requestList struct {
	front, back *request
	oldest      *request // the first that was not recovered; nil if there is none
	len         int
	raw         int   // sum of rawSize
	items       int64 // of those that were not recovered
}

// insert adds requests, which are in the order of seq, to the list in that order. New
// requests belong at the back. Those that return after a failed attempt are among the
// oldest, so their place is searched from the front: once for all of them, because a group
// may be of thousands of small requests.
func (l *requestList) insert(requests ...*request) {
	var after *request // the next one is inserted behind it, or at the front if it is nil
	for _, r := range requests {
		after = l.place(r, after)
		l.insertAfter(r, after)
		after = r
	}
}

// place returns the request behind which r belongs, or nil if that is the front. It
// searches behind from, or from the front if that is nil.
func (l *requestList) place(r, from *request) *request {
	if l.back != nil && l.back.seq < r.seq {
		return l.back
	}
	at := l.front
	if from != nil {
		at = from.next
	}
	for ; at != nil && at.seq < r.seq; at = at.next {
		from = at
	}
	return from
}

func (l *requestList) insertAfter(r, after *request) {
	l.len++
	l.raw += r.rawSize
	if !r.recovered {
		l.items += r.items
	}
	if !r.recovered && (after == nil || after.recovered) {
		l.oldest = r
	}
	r.prev = after
	if after == nil {
		r.next, l.front = l.front, r
	} else {
		r.next, after.next = after.next, r
	}
	if r.next == nil {
		l.back = r
	} else {
		r.next.prev = r
	}
}

func (l *requestList) remove(r *request) {
	l.len--
	l.raw -= r.rawSize
	if !r.recovered {
		l.items -= r.items
	}
	if l.oldest == r {
		l.oldest = r.next
	}
	if r.prev == nil {
		l.front = r.next
	} else {
		r.prev.next = r.next
	}
	if r.next == nil {
		l.back = r.prev
	} else {
		r.next.prev = r.prev
	}
	r.prev, r.next = nil, nil
}

// budget bounds the bytes of all requests, waiting or being sent, of all signals
// together, and of what the processors have not handed over. Requests of a signal are
// dropped only while it holds more than its floor, so that a flood of spans cannot
// displace metrics.
type budget struct {
	max, floor int64
	total      int64
	signal     [numSignals]int64
}

func (b *budget) add(s Signal, n int64) {
	b.total += n
	b.signal[s] += n
}

// full reports whether the queue and what the processors have not handed over, open,
// are more than the bound.
func (b *budget) full(open [numSignals]int64) bool {
	total := b.total
	for _, n := range open {
		total += n
	}
	return total > b.max
}

// oldest returns the request to drop next: the oldest waiting one of the signals above
// their floor. It returns nil if all of their requests are being sent.
func (b *budget) oldest(dests []*destination, open [numSignals]int64) *request {
	var victim *request
	for _, d := range dests {
		r := d.waiting.front
		if r != nil && b.signal[d.signal]+open[d.signal] > b.floor && (victim == nil || r.seq < victim.seq) {
			victim = r
		}
	}
	return victim
}

const (
	// While no more bytes than this wait for a destination, requests stay as they are: in
	// normal operation they are sent within milliseconds.
	packAbove = 1 << 20
	// Smaller bodies do not shrink enough to be worth the work.
	packMin = 1 << 10
)

// accept puts a request into the queue. After Shutdown, its items are counted as dropped,
// and the error is [ErrShutdown].
func (t *Transport) accept(d *destination, r *request) error {
	var told news
	err := t.enqueue(d, r, func() {}, &told)
	t.tell(told)
	return err
}

// news is what the error handler is to be told when no lock is held.
type news struct {
	dropped   []*DroppedError
	unspooled error // why a request is in memory only; nil if none is
}

func (n news) empty() bool { return n.dropped == nil && n.unspooled == nil }

func (t *Transport) tell(n news) {
	t.report.dropped(n.dropped...)
	if n.unspooled != nil {
		t.report.warn("spool", n.unspooled)
	}
}

// enqueue is accept, but adds what is to be told to told. It calls moved when the queue
// counts the items of the request, while t.mu is held.
func (t *Transport) enqueue(d *destination, r *request, moved func(), told *news) error {
	t.mu.Lock()
	backlog, closed := d.waiting.raw > packAbove, t.closed
	t.mu.Unlock()
	if backlog && !r.packed && r.rawSize >= packMin {
		if body, err := deflate(r.body); err == nil {
			r.body, r.packed = body, true
		}
	}

	if !closed {
		if err := t.store(d.signal, r); err != nil {
			told.unspooled = err
		}
	}

	t.mu.Lock()
	defer t.mu.Unlock()
	a := &t.accounts[d.signal]
	a.accepted += r.items
	moved()
	if t.closed && !r.ref.IsZero() { // Shutdown came between, and the next process sends it
		a.kept += r.items
		return nil
	}
	if t.closed {
		a.drop(reasonShutdown, r.items)
		return ErrShutdown
	}
	t.seq++
	r.seq = t.seq
	r.dest = d
	d.waiting.insert(r)
	t.budget.add(d.signal, r.size())
	a.queued += r.items
	told.dropped = append(told.dropped, t.makeRoom()...)
	// If requests linger, the dispatcher has nothing to do for most of them.
	if t.cfg.Linger == 0 || t.flushing > 0 || d.waiting.len == 1 || d.waiting.raw >= groupSize {
		t.wakeDispatcher()
	}
	return nil
}

// late counts items that came after Shutdown.
func (t *Transport) late(s Signal, items int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.accounts[s].accepted += items
	t.accounts[s].drop(reasonShutdown, items)
}

// makeRoom drops the oldest waiting requests until the rest is within the bounds: that
// of the queue, and those of the destinations.
func (t *Transport) makeRoom() []*DroppedError {
	var dropped []*DroppedError
	drop := func(r *request, why error) {
		r.dest.waiting.remove(r)
		dropped = append(dropped, t.drop(r, reasonQueueFull, why))
	}
	for _, d := range t.dests {
		for d.maxItems > 0 && d.waiting.items > d.maxItems {
			drop(d.waiting.oldest, fmt.Errorf("the queue of %d %s is full", d.maxItems, d.signal.items()))
		}
	}
	open := t.collected()
	for t.budget.full(open) {
		r := t.budget.oldest(t.dests, open)
		if r == nil {
			break // everything is being sent, and the number of senders is bounded
		}
		drop(r, fmt.Errorf("the queue of %d bytes is full", t.budget.max))
	}
	return dropped
}

// collected returns the bytes of each signal that processors have not handed over.
func (t *Transport) collected() (bytes [numSignals]int64) {
	for _, b := range t.batches {
		_, n, _ := b.waiting()
		bytes[b.dest.signal] += n
	}
	return bytes
}

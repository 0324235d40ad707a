package delivery

import (
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

	ref spool.Ref // zero if it is in memory only

	prev, next *request // in dest.waiting
}

// overhead is the memory that a waiting request takes besides its body, so that very
// many small requests stay within the bound, too.
const overhead = 256

func (r *request) size() int64 { return int64(len(r.body)) + overhead }

// requestList is a list of requests in the order of their seq. The zero value
// is empty.
type requestList struct {
	front, back *request
	len         int
	raw         int // sum of rawSize
	items       int64
}

// insert adds r in the order of seq. New requests belong at the back. Those that return
// after a failed attempt are among the oldest, so their place is searched from the
// front.
func (l *requestList) insert(r *request) {
	l.len++
	l.raw += r.rawSize
	l.items += r.items
	var after *request // r is inserted behind it, or at the front if it is nil
	if l.back != nil && l.back.seq < r.seq {
		after = l.back
	} else {
		for at := l.front; at != nil && at.seq < r.seq; at = at.next {
			after = at
		}
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
	l.items -= r.items
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
// together, and of what the processors have not handed over. Requests of a signal are dropped only while it holds more than its floor,
// so that a flood of spans cannot displace metrics.
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

package tail

import (
	"maps"
	"math"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// A quantile learns one quantile of the durations of each operation.
type quantile struct {
	q             float64
	enough        int // durations to know before anything is slow
	maxOperations int
	first         bool // the first learner, whose histograms are in endedSpan.durations
	// operations holds the histograms by span kind, of which there are fewer than eight,
	// and name. A map is never changed but replaced by a copy with the new operation:
	// this happens seldom, and every span is looked up without a lock.
	operations [8]atomic.Pointer[map[string]*histogram]
	known      atomic.Int32  // operations
	ignored    atomic.Uint64 // durations of operations beyond maxOperations

	adding sync.Mutex
}

func newQuantile(q float64, maxOperations int) *quantile {
	l := &quantile{q: q, enough: int(math.Ceil(3/(1-q) - 1e-6)), maxOperations: maxOperations}
	for kind := range l.operations {
		l.operations[kind].Store(&map[string]*histogram{})
	}
	return l
}

// find returns the histogram of the operation of the span, or nil if it has none.
func (l *quantile) find(s *endedSpan) *histogram {
	if l.first && s.durations != nil {
		return s.durations
	}
	return (*l.operations[s.SpanKind()&7].Load())[s.Name()]
}

func (l *quantile) exceededBy(s *endedSpan) bool {
	h := l.find(s)
	return h != nil && bucketOf(s.took) > int(h.slowAbove.Load())
}

func (l *quantile) observe(s *endedSpan) {
	h := l.find(s)
	if h == nil {
		if h = l.add(s.Name(), s.SpanKind()); h == nil {
			l.ignored.Add(1)
			return
		}
	}
	h.observe(s.took, l.q, l.enough)
}

func (l *quantile) add(name string, kind trace.SpanKind) *histogram {
	if int(l.known.Load()) >= l.maxOperations {
		return nil
	}
	l.adding.Lock()
	defer l.adding.Unlock()
	known := *l.operations[kind&7].Load()
	if h := known[name]; h != nil || int(l.known.Load()) >= l.maxOperations {
		return h
	}
	more := maps.Clone(known)
	h := new(histogram)
	h.slowAbove.Store(numBuckets)
	more[name] = h
	l.operations[kind&7].Store(&more)
	l.known.Add(1)
	return h
}

// Durations are counted in units of 1.024 µs. Up to 64 units a bucket is one unit wide.
// Above, its width is 1/32 to 1/64 of its lower end. The last bucket counts all
// durations of more than 73 minutes.
const (
	unitBits   = 10
	subBits    = 5
	numBuckets = (32 - subBits + 1) << subBits
	// maxCount is the number of durations after which all counts are halved. It also
	// bounds the count of each bucket, so 16 bits suffice.
	maxCount = 1 << 15
	// maxQuantile is the largest quantile. It needs 30,000 durations, which is less than
	// maxCount.
	maxQuantile = 0.9999
)

func bucketOf(d time.Duration) int {
	if d < 0 {
		return 0
	}
	units := uint64(d) >> unitBits
	shift := bits.Len64(units>>subBits) - 1
	if shift <= 0 {
		return int(units)
	}
	// The leading bit of units>>shift adds one to the number of the octave.
	return min(numBuckets-1, shift<<subBits+int(units>>shift))
}

// A histogram counts durations and keeps track of one quantile of them.
type histogram struct {
	slowAbove atomic.Int32 // equals at once enough durations are known

	mu     sync.Mutex
	counts [numBuckets]uint16
	total  int
	at     int // the bucket of the quantile
	upTo   int // durations in the buckets up to and including at
}

func (h *histogram) observe(d time.Duration, q float64, enough int) {
	b := bucketOf(d)
	h.mu.Lock()
	h.counts[b]++
	h.total++
	if b <= h.at {
		h.upTo++
	}
	if h.total == maxCount {
		h.halve()
	}
	want := int(q * float64(h.total))
	if float64(want) < q*float64(h.total) {
		want++
	}
	for h.upTo < want {
		h.at++
		h.upTo += int(h.counts[h.at])
	}
	for h.upTo-int(h.counts[h.at]) >= want {
		h.upTo -= int(h.counts[h.at])
		h.at--
	}
	if at := int32(h.at); h.total >= enough && at != h.slowAbove.Load() {
		h.slowAbove.Store(at)
	}
	h.mu.Unlock()
}

// halve halves all counts. The remainder of an odd count is added to the next bucket;
// otherwise the buckets of the slow end, which have few durations, would vanish first.
func (h *histogram) halve() {
	h.total, h.upTo = 0, 0
	var carry uint16
	for i, c := range h.counts {
		c += carry
		h.counts[i], carry = c/2, c%2
		h.total += int(c / 2)
		if i <= h.at {
			h.upTo += int(c / 2)
		}
	}
}

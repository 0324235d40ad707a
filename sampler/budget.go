package sampler

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// Constants of the control law, which the package documentation explains.
const (
	// Spans that arrive within this time count as arriving at one instant, so that a
	// batch is not taken for a growth of traffic.
	resolution = 10 * time.Millisecond
	// While there is traffic, probabilities are renewed at least this often.
	refresh = 2 * time.Millisecond
	// Spans are counted into buckets of this length.
	bucketLength = 100 * time.Millisecond
	// The rate of traffic is the mean over rateMemory, unless it changed. The mix of
	// operations changes without such a sign, so its mean is over a shorter time.
	rateMemory = 10 * time.Second
	mixMemory  = 2 * time.Second
	// The probability that overdue operations take is the mean over this time. They
	// become overdue in waves, and the probability of all others must not swing with
	// those.
	grantMemory = time.Minute
	// The logarithm of the odds from which on a bucket shows a change of traffic and not
	// chance.
	certainty = 25

	// The share of the budget that overdue operations may take at most.
	overdueShare = 0.85
	// Each operation is to be kept once in this many seconds. If the share of overdue
	// operations does not suffice for that, it is reduced, because it then helps fewer
	// of them.
	showInterval = 60
	// The age in seconds at which an operation is overdue, if the budget suffices to
	// keep every operation that often. Otherwise that age is higher.
	minOverdue = 50
	// The exponent with which the probability rises while an operation becomes overdue.
	// The higher it is, the fewer operations are kept before they need to be.
	overduePower = 32
	// The largest probability before feedback. It exceeds 1, so that an overdue
	// operation is kept even if the budget is overdrawn, or if the limit of a second is
	// near.
	maxUrgency = 16
)

// A budget turns a target rate into probabilities. It uses only the past: the arrivals
// so far, and how much of the budget is left.
type budget struct {
	start time.Time

	// Decisions read these; update writes them.
	feedback  atomicFloat // grows with the balance, and falls when the window is nearly full
	perSpan   atomicFloat // probability of every span
	perWeight atomicFloat // probability per second of weight
	overdue   atomicFloat // age in seconds
	minWeight atomicFloat
	due       atomic.Int64 // when to update
	_         [64]byte

	// Decisions write these; update resets them.
	seen    sharded[atomic.Uint64] // packed counts and sums, see count
	covered atomic.Uint64          // fixed-point sum of the probabilities from being overdue
	kept    atomic.Int64
	_       [64]byte

	mu      sync.Mutex
	target  float64       // kept spans per second
	tracked float64       // number of operations that are tracked
	last    time.Duration // time of the last update
	balance float64       // how many spans fewer were kept than the target allows
	window  window

	bucket struct{ seconds, spans, weight, overdue, covered float64 }
	pause  float64 // seconds before the bucket that no mean includes
	// Means per second up to the current bucket.
	spans   mean
	weight  mean // of all spans
	demand  mean // of overdue spans, by the power of their age
	granted mean // probability given to overdue spans
}

func newBudget(target float64) *budget {
	b := &budget{start: time.Now(), target: target}
	b.balance = b.maxCredit()
	b.bucket.spans = 1
	b.bucket.weight = 1
	b.publish()
	b.bucket.spans, b.bucket.weight = 0, 0
	return b
}

// The balance is bounded on both sides, so that idle time gives no credit for a burst,
// and a burst leaves no debt for a long time after it.

func (b *budget) maxCredit() float64 { return max(0.8*b.target, 4) }
func (b *budget) maxDebt() float64   { return 6 * b.scale() }

// maxSurplus is the balance above which probabilities do not grow, so that the credit
// is not spent in the first moment of a burst.
func (b *budget) maxSurplus() float64 { return max(0.4*b.target, 1.6) }

// scale is the change of the balance that changes probabilities by the factor e.
func (b *budget) scale() float64 { return max(0.75*b.target, 3) }

// perSecond is the target, but at least one: as a trace cannot be kept in part, one per
// second is always allowed.
func (b *budget) perSecond() float64 { return max(b.target, 1) }

// now returns the time since the budget was made.
func (b *budget) now() time.Duration { return time.Since(b.start) }

// probability counts a span and returns its probability before rounding. The operation
// of the span was last kept age seconds ago, and is kept every interval seconds on
// average. Both are zero if operations are not tracked.
func (b *budget) probability(now time.Duration, shard uint8, age, interval float64) float64 {
	fair, urgency := b.claims(age, interval)
	b.count(shard, fair)
	if urgency > 0 {
		b.covered.Add(uint64(min(urgency, 1) * fixedPoint))
	}
	if due := time.Duration(b.due.Load()); now >= due {
		b.update(now)
		fair, urgency = b.claims(age, interval)
	}
	p := b.perSpan.Load() + fair + urgency
	if p > maxUrgency { // min would also check for NaN, which costs a tenth of the decision
		p = maxUrgency
	}
	return b.feedback.Load() * p
}

// peek returns what probability would, without counting a span.
func (b *budget) peek(age, interval float64) float64 {
	fair, urgency := b.claims(age, interval)
	return b.feedback.Load() * min(b.perSpan.Load()+fair+urgency, maxUrgency)
}

// claims returns the two probabilities that depend on the operation: fair comes from
// its weight, urgency from being overdue.
func (b *budget) claims(age, interval float64) (fair, urgency float64) {
	// The weight is the mean time between kept spans, or the time since the last one if
	// that is longer, so rare operations weigh more. minWeight is added because the
	// intervals of frequent operations are short and differ by chance, which should not
	// decide.
	weight := age
	if interval > age {
		weight = interval
	}
	fair = (weight + b.minWeight.Load()) * b.perWeight.Load()
	if overdue := b.overdue.Load(); age > overdue/2 {
		x := age / overdue // and now x to the power of overduePower
		x *= x
		x *= x
		x *= x
		x *= x
		urgency = x * x
	}
	return fair, urgency
}

// keep counts a span that was kept against the budget.
func (b *budget) keep(now time.Duration) {
	b.kept.Add(1)
	b.update(now)
}

const (
	fixedPoint = 1 << 28
	sumBits    = 44
)

// count adds one span and its fair probability with a single atomic operation.
func (b *budget) count(shard uint8, fair float64) {
	if fair > 1 {
		fair = 1
	}
	b.seen[shard%shards].value.Add(1<<sumBits | uint64(int64(fair*fixedPoint)))
}

// counts returns what was counted since the last call.
func (b *budget) counts() (spans, fair float64) {
	for i := range b.seen {
		seen := &b.seen[i].value
		if seen.Load() != 0 {
			packed := seen.Swap(0)
			spans += float64(packed >> sumBits)
			fair += float64(packed&(1<<sumBits-1)) / fixedPoint
		}
	}
	return spans, fair
}

// setTarget changes the target and the number of operations that are tracked.
func (b *budget) setTarget(perSecond float64, tracked int64) {
	b.mu.Lock()
	b.target = perSecond
	b.tracked = float64(tracked)
	b.mu.Unlock()
}

// forgotten returns the age, in seconds, above which an operation has no more traffic,
// because it would have been kept otherwise. It is an hour at most.
func (b *budget) forgotten() float64 { return min(10*b.overdue.Load(), 3600) }

// update takes account of what happened since the last update and publishes new
// probabilities. If another goroutine is updating, it returns at once, since that
// result is as good.
func (b *budget) update(now time.Duration) {
	if !b.mu.TryLock() {
		return
	}
	defer b.mu.Unlock()
	// Another goroutine may have read the clock later and come here earlier.
	elapsed := max(0, (now - b.last).Seconds())
	b.last = max(b.last, now)
	kept := float64(b.kept.Swap(0))
	b.window.advance(b.last)
	b.window.add(kept / b.perSecond())
	b.balance += elapsed*b.target - kept
	b.balance = min(max(b.balance, -b.maxDebt()), b.maxCredit())

	// Only the part of a weight that is needed to make the span certain counts. More of
	// it has no effect, so it must not reduce the probability of others.
	spans, fair := b.counts()
	covered := float64(b.covered.Swap(0)) / fixedPoint
	if b.isPause(elapsed) {
		b.pause, elapsed = elapsed, 0
	}
	b.bucket.seconds += elapsed
	b.bucket.spans += spans
	b.bucket.weight += fair / b.perWeight.Load()
	b.bucket.covered += covered
	b.bucket.overdue += covered * math.Pow(b.overdue.Load(), overduePower)

	grown, shrunk := b.trafficChanged()
	if changed := grown || shrunk; changed || b.bucket.seconds >= bucketLength.Seconds() {
		if changed {
			b.spans, b.weight = mean{}, mean{}
		}
		if shrunk { // the pause was part of the new, lower rate
			b.bucket.seconds += b.pause
		}
		b.spans.add(b.bucket.spans, b.bucket.seconds, rateMemory)
		b.weight.add(b.bucket.weight, b.bucket.seconds, mixMemory)
		b.demand.add(b.bucket.overdue, b.bucket.seconds, mixMemory)
		b.granted.add(b.bucket.covered, b.bucket.seconds, grantMemory)
		b.bucket = struct{ seconds, spans, weight, overdue, covered float64 }{}
		b.pause = 0
	}
	b.publish()
	b.due.Store(int64(b.last + refresh))
}

func (b *budget) publish() {
	perSecond := func(m mean, inBucket float64, least time.Duration) float64 {
		return (m.sum + inBucket) / max(m.seconds+b.bucket.seconds, least.Seconds())
	}
	demand := perSecond(b.demand, b.bucket.overdue, bucketLength)
	most := overdueShare * b.target
	most *= min(1, most*showInterval/max(b.tracked, 1))
	b.overdue.Store(max(minOverdue, math.Pow(demand/most, 1.0/overduePower)))
	rest := b.target - min(perSecond(b.granted, b.bucket.covered, bucketLength), most)
	// A probability that is the same for all spans keeps totals precise, and a fair one
	// keeps single operations precise. The smaller the rest, the larger the part of it
	// that goes to totals, because everything depends on those.
	fair := rest * rest / b.target / 2
	b.perSpan.Store((rest - fair) / perSecond(b.spans, b.bucket.spans, resolution))
	b.perWeight.Store(fair / perSecond(b.weight, b.bucket.weight, resolution))
	b.minWeight.Store(3 / b.target)
	surplus := min(b.balance, b.maxSurplus())
	b.feedback.Store(math.Exp(surplus/b.scale()) * b.window.gate(b.perSecond()))
}

// isPause reports whether nothing came for so many seconds that chance cannot explain
// it. The rate is taken to be the same after a pause as before it. If it were taken to
// be low, the first spans of every burst would all be kept. A bucket has one pause at
// most, so that spans at longer intervals do change the rate.
func (b *budget) isPause(seconds float64) bool {
	return b.pause == 0 && b.spans.seconds > 0 && seconds >= bucketLength.Seconds() &&
		seconds*b.spans.sum/b.spans.seconds > certainty
}

// trafficChanged reports whether the number of spans in the bucket is larger or smaller
// than chance can explain.
func (b *budget) trafficChanged() (grown, shrunk bool) {
	if b.spans.seconds == 0 {
		return false, false
	}
	perSecond := b.spans.sum / b.spans.seconds
	most := perSecond * (b.bucket.seconds + resolution.Seconds())
	least := perSecond * b.bucket.seconds
	return b.bucket.spans > most && logOdds(b.bucket.spans, most) > certainty,
		b.bucket.spans < least && logOdds(b.bucket.spans, least) > certainty
}

// logOdds returns the logarithm of a ratio of likelihoods, by the Poisson distribution:
// that of n events where n are expected, to that of n events where mean are expected.
func logOdds(n, mean float64) float64 {
	if n == 0 {
		return mean
	}
	return n*math.Log(n/mean) - n + mean
}

// A mean is the sum of something over the last seconds.
type mean struct{ sum, seconds float64 }

func (m *mean) add(sum, seconds float64, memory time.Duration) {
	m.sum += sum
	m.seconds += seconds
	if scale := memory.Seconds() / m.seconds; scale < 1 {
		m.sum *= scale
		m.seconds *= scale
	}
}

// An atomicFloat is a float64 for use by several goroutines.
type atomicFloat struct{ bits atomic.Uint64 }

func (f *atomicFloat) Load() float64   { return math.Float64frombits(f.bits.Load()) }
func (f *atomicFloat) Store(v float64) { f.bits.Store(math.Float64bits(v)) }

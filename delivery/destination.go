package delivery

import (
	"math"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// destination is a URL for the requests of one signal, with the requests that wait to
// be sent there. It is a circuit breaker: after a failure it sends nothing until a
// pause is over, and then a single request as a probe. When that succeeds, the other
// requests follow. Transport.mu guards it.
type destination struct {
	signal Signal
	url    string
	via    *route
	header http.Header // without what belongs to a single request

	maxItems    int64 // in waiting, without the recovered ones; zero means no bound
	waiting     requestList
	sending     int
	inFlight    int64     // items being sent
	delivered   int64     // items
	failures    int       // attempts failed in a row; 0 means closed
	round       int       // grows with each success or counted failure
	until       time.Time // no attempt before
	serverAsked bool      // until comes from Retry-After
	since       time.Time // of the first failure in a row
	err         error     // of the last failure
	refusals    int       // attempts in a row for which nothing listened at the address, since pauses were skipped

	divisions     int // how many more refused requests are divided
	nextDivisions time.Time
}

// groupSize bounds the size in bytes, before compression, of small requests that are
// joined. Requests that linger are sent as soon as they reach it.
const groupSize = 1 << 20

// minInFlight is the number of items of small requests that may always be in flight;
// see [Transport.maxInFlight].
const minInFlight = 32

// maxInFlight returns how many items of small requests may be in flight to a
// destination. When the process is killed, the next one sends again what was in flight.
// With a spool, the number is therefore a small part of what this process has
// delivered, which bounds the share of duplicates. There is no limit while a flush
// waits or the queue fills up, because waiting would be worse than duplicates.
func (t *Transport) maxInFlight(d *destination) int64 {
	if t.spool == nil || t.flushing > 0 || t.budget.total > t.budget.max/4 {
		return math.MaxInt64
	}
	return max(minInFlight, d.delivered/24)
}

// next removes from the list what is to be sent now: nothing, one request, or several
// small ones that are sent together. If it is nothing, wake is the time to ask again;
// zero means after the next change.
func (d *destination) next(now time.Time, cfg *Config, flushing bool, maxItems int64) (group []*request, wake time.Time) {
	if d.waiting.len == 0 || d.url == "" {
		return nil, time.Time{}
	}
	limit := cfg.Senders
	if d.failures > 0 {
		limit = 1
	}
	if d.sending >= limit {
		return nil, time.Time{}
	}
	if now.Before(d.until) {
		return nil, d.until
	}
	first, wake := d.first(now)
	if first == nil {
		return nil, wake
	}
	if cfg.Linger == 0 || !first.canBeJoined() {
		d.waiting.remove(first)
		return []*request{first}, time.Time{}
	}
	if d.inFlight >= maxItems {
		return nil, time.Time{}
	}
	if ready := first.accepted.Add(cfg.Linger); !flushing && d.waiting.raw < groupSize && now.Before(ready) {
		return nil, ready
	}
	return d.group(first, now, maxItems-d.inFlight), time.Time{}
}

// first returns the oldest request that may be sent now, or the time when one may be.
// While the breaker is open, the request with the fewest attempts is the probe, so that
// one request on which the server always fails cannot keep the breaker open for all
// others.
func (d *destination) first(now time.Time) (*request, time.Time) {
	var best *request
	var wake time.Time
	for r := d.waiting.front; r != nil; r = r.next {
		if now.Before(r.notBefore) {
			if wake.IsZero() || r.notBefore.Before(wake) {
				wake = r.notBefore
			}
			continue
		}
		if best == nil || r.attempts < best.attempts {
			best = r
		}
		if d.failures == 0 || best.attempts == 0 {
			break
		}
	}
	return best, wake
}

// canBeJoined reports whether the request may be joined with others. Joining two
// protobuf messages merges their repeated fields (Protocol Buffers Encoding, "Last One
// Wins"), and an export request has no other fields.
func (r *request) canBeJoined() bool {
	return !r.solo && isProtobuf(r.contentType) && r.rawSize < groupSize/8
}

// group removes small requests from the list until they have the given number of items.
func (d *destination) group(first *request, now time.Time, items int64) []*request {
	var group []*request
	size := 0
	for r := first; r != nil && size+r.rawSize <= groupSize && items > 0; {
		next := r.next
		if r.canBeJoined() && r.wireGzip == first.wireGzip && !now.Before(r.notBefore) {
			d.waiting.remove(r)
			group = append(group, r)
			size += r.rawSize
			items -= r.items
		}
		r = next
	}
	return group
}

// succeeded closes the breaker.
func (d *destination) succeeded() {
	d.failures, d.until, d.serverAsked, d.since, d.err, d.refusals = 0, time.Time{}, false, time.Time{}, nil, 0
	d.round++
}

// failed opens the breaker. When a server goes down, several attempts fail for the same
// reason, so only the first failure of a round counts.
func (d *destination) failed(now time.Time, round int, out outcome, cfg *Config) {
	d.err = out.err
	if !out.refused {
		d.refusals = 0
	}
	if d.failures == 0 {
		d.since = now
	}
	if round == d.round {
		d.round++
		d.failures++
		d.until = now.Add(backoff(cfg, d.failures))
		d.serverAsked = false
		if out.refused {
			d.refusals++
		}
	}
	if until := now.Add(out.retryAfter); out.retryAfter > 0 && until.After(d.until) {
		d.until, d.serverAsked = until, true
	}
}

// skipPauses ends the pauses before the next attempts, except for one that the server
// asked for, and shortens those that follow.
func (t *Transport) skipPauses() {
	for _, d := range t.dests {
		d.refusals = 0
		if !d.serverAsked {
			d.until = time.Time{}
			d.failures = min(d.failures, 1)
		}
		for r := d.waiting.front; r != nil; r = r.next {
			r.attempts, r.notBefore = min(r.attempts, 1), time.Time{}
		}
	}
	for r := range t.sending {
		r.attempts = min(r.attempts, 1)
	}
}

// backoff returns the pause after n failures in a row. The pause doubles from
// MinBackoff to MaxBackoff. Between a half and the whole of it is taken at random, so
// that clients that lost the server together do not return together.
func backoff(cfg *Config, n int) time.Duration {
	d := cfg.MaxBackoff
	if shift := n - 1; shift < 30 && cfg.MinBackoff<<shift>>shift == cfg.MinBackoff {
		d = min(cfg.MinBackoff<<shift, cfg.MaxBackoff)
	}
	half := d / 2
	return half + rand.N(d-half+1)
}

// maxRetryAfter bounds the pause that a server may ask for, because the queue would
// overflow in a long one.
const maxRetryAfter = 10 * time.Minute

// parseRetryAfter reads a Retry-After field, which holds seconds or a date (RFC 9110,
// "Retry-After"). Any other value means no delay.
func parseRetryAfter(v string, now time.Time) time.Duration {
	v = strings.TrimSpace(v)
	if v == "" {
		return 0
	}
	if s, err := strconv.ParseUint(v, 10, 64); err == nil {
		return time.Duration(min(s, uint64(maxRetryAfter/time.Second))) * time.Second
	}
	if t, err := http.ParseTime(v); err == nil {
		return min(max(t.Sub(now), 0), maxRetryAfter)
	}
	return 0
}

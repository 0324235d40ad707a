package propagator

import (
	"hash/maphash"
	"strings"
	"sync/atomic"

	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/tracecontext"
)

// received is a tracestate as it was received, and the part of it that a
// trace.TraceState can hold.
type received struct {
	field string // the header field, for the cache; empty if it is not cached
	all   tracecontext.Tracestate
	held  trace.TraceState
	text  string // held as text
}

// partial reports whether there are members that trace.TraceState cannot hold.
func (r *received) partial() bool { return r.all.Len() != r.held.Len() }

const (
	cacheSlots    = 256
	seenOnceSlots = 1024
	// maxCachedField bounds the size of an entry. An entry keeps the field, at most
	// two shorter copies of it, and 32 bytes for each of at most 32 members, so 256
	// entries stay under 1 MiB.
	maxCachedField = 512
)

// cache remembers parsed tracestates. It is worth having because under consistent
// probability sampling most requests carry one of a few.
//
// The hash of a field selects its slot, and a slot has one entry. There are no
// locks, and a hit writes nothing, so cores do not contend. The hash is seeded, so
// that senders cannot choose the slot.
//
// A field gets an entry when it is seen for the second time. Until then only its
// hash is kept, in seenOnce, where the next field of the same slot overwrites it.
// So a field that never comes back, for example because a vendor puts a span id
// into it, costs two loads and a store, and does not displace an entry.
type cache struct {
	seed     maphash.Seed
	slots    [cacheSlots]atomic.Pointer[received]
	seenOnce [seenOnceSlots]atomic.Uint32
}

func newCache() *cache { return &cache{seed: maphash.MakeSeed()} }

// tracestate parses a header field. The second result has the whole tracestate. It
// may be nil if the first result holds all of it.
func (c *cache) tracestate(field string) (trace.TraceState, *received) {
	if len(field) > maxCachedField {
		return parseUncached(field)
	}
	hash := maphash.String(c.seed, field)
	slot := &c.slots[hash%cacheSlots]
	if r := slot.Load(); r != nil && r.field == field {
		return r.held, r
	}
	seen, mark := &c.seenOnce[hash>>32%seenOnceSlots], uint32(hash)|1 // not 0, which is an empty slot
	if seen.Load() == mark {
		field = strings.Clone(field) // the field may be part of a buffer that holds the request
		r := parse(field)
		r.field = field
		slot.Store(&r)
		return r.held, &r
	}
	seen.Store(mark)
	return parseUncached(field)
}

// parseUncached parses a header field that gets no entry.
func parseUncached(field string) (trace.TraceState, *received) {
	// What trace.ParseTraceState accepts is valid, and then its result holds all of
	// it. In a long field it is likely to find something that it does not accept,
	// so there the attempt is not worth its cost.
	if len(field) <= maxCachedField {
		if held, err := trace.ParseTraceState(field); err == nil {
			return held, nil
		}
	}
	return parse(field).split()
}

// split returns r in the form of [cache.tracestate].
func (r received) split() (trace.TraceState, *received) {
	if !r.partial() {
		return r.held, nil
	}
	return r.held, &r
}

// parse reads the fields of a tracestate. If it is not valid, the result is empty:
// that does not affect the traceparent (Trace Context Level 2, "Tracestate Header").
func parse(fields ...string) received {
	all, err := tracecontext.ParseTracestate(fields...)
	if err != nil {
		return received{}
	}
	held, err := trace.ParseTraceState(all.String())
	if err == nil {
		return received{all: all, held: held, text: all.String()}
	}
	var b strings.Builder
	for k, v := range all.All() {
		if _, err := (trace.TraceState{}).Insert(k, v); err != nil {
			continue // the key is not valid in Level 1
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(k + "=" + v)
	}
	held, _ = trace.ParseTraceState(b.String())
	return received{all: all, held: held, text: b.String()}
}

package propagator

import (
	"hash/maphash"
	"strings"
	"sync/atomic"

	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/tracecontext"
)

// received is a tracestate as it came and what trace.TraceState holds of it.
type received struct {
	field string // the header field, if it came in one that is remembered
	all   tracecontext.Tracestate
	held  trace.TraceState
	text  string // of held
}

// partial reports whether there are members that trace.TraceState cannot hold.
func (r *received) partial() bool { return r.all.Len() != r.held.Len() }

const (
	cacheSlots = 256
	doorSlots  = 1024
	// maxCachedField bounds what one entry keeps: the field, at most two copies
	// without what is left out, and 32 bytes for each of at most 32 members. All
	// entries together stay under 1 MiB.
	maxCachedField = 512
)

// cache remembers parsed tracestates: under consistent probability sampling
// most requests carry one of a few.
//
// It has one slot for each hash and no locks; a hit writes nothing, so cores do
// not contend. A field is remembered when it is seen for the second time, with
// no other one of the same door between: what never comes back, such as the
// span ids that some vendors put into theirs, costs two loads and a store, and
// never displaces what does. The hash is seeded, so senders cannot aim at a slot.
type cache struct {
	seed  maphash.Seed
	slots [cacheSlots]atomic.Pointer[received]
	door  [doorSlots]atomic.Uint32
}

func newCache() *cache { return &cache{seed: maphash.MakeSeed()} }

// tracestate parses a header field. The second result is nil if it would tell
// no more than the first.
func (c *cache) tracestate(field string) (trace.TraceState, *received) {
	if len(field) > maxCachedField {
		return once(field)
	}
	hash := maphash.String(c.seed, field)
	slot := &c.slots[hash%cacheSlots]
	if r := slot.Load(); r != nil && r.field == field {
		return r.held, r
	}
	door, mark := &c.door[hash>>32%doorSlots], uint32(hash)|1
	if door.Load() == mark {
		field = strings.Clone(field) // not to keep the request it came with
		r := parse(field)
		r.field = field
		slot.Store(&r)
		return r.held, &r
	}
	door.Store(mark)
	return once(field)
}

// once parses a field that is not remembered.
func once(field string) (trace.TraceState, *received) {
	// All that trace.ParseTraceState accepts is valid, and then nothing has to
	// be kept beside it. What is longer than usual is not worth the attempt.
	if len(field) <= maxCachedField {
		if held, err := trace.ParseTraceState(field); err == nil {
			return held, nil
		}
	}
	return parse(field).unlessWhole()
}

func (r received) unlessWhole() (trace.TraceState, *received) {
	if !r.partial() {
		return r.held, nil
	}
	return r.held, &r
}

// parse reads a tracestate. One that is not valid is dropped and does not
// affect the traceparent (section 3.3).
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
			continue // a key that Level 1 did not have
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(k + "=" + v)
	}
	held, _ = trace.ParseTraceState(b.String())
	return received{all: all, held: held, text: b.String()}
}

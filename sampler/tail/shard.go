package tail

import (
	"sync"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// A shard holds the fragments of some traces. Its methods want mu to be held.
type shard struct {
	mu     sync.Mutex
	bounds *bounds
	traces map[trace.TraceID]*fragment
	// Every fragment is in one of these, the oldest first.
	undecided list
	deciding  list // or decided, with spans still to be handed on
	decided   list
	spans     int // of the fragments not decided
	bytes     int
	closed    bool
	counts    counts

	// For reuse: a steady stream of dropped traces allocates nothing.
	spare  *fragment
	slices [][]sdktrace.ReadOnlySpan
}

// bounds are those of one shard.
type bounds struct {
	traces, spansPerTrace, spans, bytes, decisions int
}

type state uint8

const (
	undecided state = iota
	deciding        // policies are looking at spans taken from it
	decided
)

// A fragment is what is known about one trace.
type fragment struct {
	in         *list
	prev, next *fragment
	id         trace.TraceID
	state      state
	started    uint32 // by Processor.clock
	spans      []sdktrace.ReadOnlySpan
	bytes      int
	open       []openRoot
	wanted     bool // a span has ended that is reason enough to keep it
	decision   decision
	jobs       int           // decisions being made or carried out
	idle       chan struct{} // if not nil, closed when jobs becomes 0
}

// An openRoot is a local root that has not ended.
type openRoot struct {
	id      trace.SpanID
	sampled bool
	span    sdktrace.ReadOnlySpan
}

// A job is a fragment to be decided without holding the lock.
type job struct {
	fragment *fragment
	view     view
}

// begin notes the start of a local root.
func (sh *shard) begin(id trace.TraceID, root openRoot, now uint32) {
	f := sh.traces[id]
	switch {
	case f == nil:
		if f = sh.spare; f == nil {
			f = new(fragment)
		}
		sh.spare = nil
		f.id, f.state, f.started = id, undecided, now
		sh.traces[id] = f
		sh.undecided.push(f)
	case f.state == decided && !f.decision.keep:
		f.remove()
		f.state, f.started, f.wanted = undecided, now, false
		sh.undecided.push(f)
	case f.state == decided:
		return // follows
	}
	f.open = append(f.open, root)
}

// add adds an ended span to a fragment that is not decided.
func (sh *shard) add(f *fragment, s sdktrace.ReadOnlySpan, bytes int) {
	if n := len(sh.slices); f.spans == nil && n > 0 {
		f.spans, sh.slices[n-1] = sh.slices[n-1], nil
		sh.slices = sh.slices[:n-1]
	}
	f.spans = append(f.spans, s)
	f.bytes += bytes
	sh.spans++
	sh.bytes += bytes
}

// end notes the end of a local root and reports whether it was the last one.
func (f *fragment) end(id trace.SpanID) bool {
	for i := range f.open {
		if f.open[i].id == id {
			last := len(f.open) - 1
			f.open[i], f.open[last] = f.open[last], openRoot{}
			f.open = f.open[:last]
			return last == 0
		}
	}
	return false
}

// take takes what an undecided fragment holds, to decide on it.
func (sh *shard) take(f *fragment) job {
	f.remove()
	sh.deciding.push(f)
	f.state = deciding
	f.jobs++
	v := view{spans: sh.release(f)}
	if len(f.open) > 0 {
		v.open = append(v.open, f.open...)
		clear(f.open)
		f.open = f.open[:0]
	}
	return job{f, v}
}

func (sh *shard) release(f *fragment) []sdktrace.ReadOnlySpan {
	spans := f.spans
	sh.spans -= len(spans)
	sh.bytes -= f.bytes
	f.spans, f.bytes = nil, 0
	return spans
}

// takeOverBound takes the oldest undecided fragment if there is too much.
func (sh *shard) takeOverBound() (j job, over bound, ok bool) {
	switch {
	case sh.undecided.len > sh.bounds.traces:
		over = maxTraces
	case sh.spans > sh.bounds.spans:
		over = maxSpans
	case sh.bytes > sh.bounds.bytes:
		over = maxBytes
	default:
		return job{}, 0, false
	}
	f := sh.undecided.first
	if f == nil {
		return job{}, 0, false // what is too much is being decided
	}
	sh.counts.early[over]++
	return sh.take(f), over, true
}

// settle stores the decision and takes the spans that ended meanwhile. They
// follow it, unless there are new local roots that nobody wants to drop.
func (sh *shard) settle(f *fragment, d decision, now uint32) []sdktrace.ReadOnlySpan {
	f.decision = d
	if len(f.open) > 0 && !d.keep {
		f.remove()
		f.state, f.started, f.wanted = undecided, now, false
		sh.undecided.push(f)
		return nil
	}
	f.state = decided
	clear(f.open)
	f.open = f.open[:0]
	return sh.release(f)
}

// finish ends a job, whose spans have been handed on.
func (sh *shard) finish(f *fragment, spans []sdktrace.ReadOnlySpan) {
	if c := cap(spans); c > 0 && c <= 128 && len(sh.slices) < 32 {
		clear(spans)
		sh.slices = append(sh.slices, spans[:0])
	}
	f.jobs--
	if f.jobs > 0 {
		return
	}
	if f.idle != nil {
		close(f.idle)
		f.idle = nil
	}
	if f.state != decided {
		return
	}
	f.remove()
	sh.decided.push(f)
	if sh.decided.len > sh.bounds.decisions {
		oldest := sh.decided.first
		oldest.remove()
		delete(sh.traces, oldest.id)
		*oldest = fragment{open: oldest.open}
		sh.spare = oldest
	}
}

// A list is a queue of fragments. A fragment is in no more than one.
type list struct {
	first, last *fragment
	len         int
}

func (l *list) push(f *fragment) {
	f.in, f.prev, f.next = l, l.last, nil
	if l.last != nil {
		l.last.next = f
	} else {
		l.first = f
	}
	l.last = f
	l.len++
}

func (f *fragment) remove() {
	l := f.in
	if f.prev != nil {
		f.prev.next = f.next
	} else {
		l.first = f.next
	}
	if f.next != nil {
		f.next.prev = f.prev
	} else {
		l.last = f.prev
	}
	l.len--
	f.in, f.prev, f.next = nil, nil, nil
}

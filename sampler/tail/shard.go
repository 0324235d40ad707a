package tail

import (
	"sync"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// A shard holds the fragments of some traces. Its methods want mu to be held.
type shard struct {
	mu        sync.Mutex
	closed    bool
	bounds    *bounds
	fragments table // undecided, or with policies looking at them
	undecided list  // the oldest first
	deciding  list  // or decided, with spans still to be handed on
	spans     int   // of fragments
	bytes     int
	spare     []*fragment // a steady stream of dropped traces allocates nothing
	counts    counts
	decisions decisions
}

// bounds are those of one shard.
type bounds struct {
	traces, spansPerTrace, spans, bytes, decisions int
}

// A fragment is what is known about a trace that is not decided.
type fragment struct {
	chained    *fragment // in table
	in         *list
	prev, next *fragment
	hash       uint64 // of the trace id
	started    uint32 // by Processor.clock
	spans      []endedSpan
	bytes      int
	open       []openRoot
	deciding   bool          // policies look at what it held
	renewed    bool          // and a local root has started since
	wanted     bool          // a span has ended that is reason enough to keep it
	idle       chan struct{} // if not nil, closed when its spans have been handed on
}

// An openRoot is a local root that has not ended.
type openRoot struct {
	id      trace.SpanID
	first   bool // of its trace: it has no parent
	sampled bool // kept by the head sampler
	span    sdktrace.ReadOnlySpan
	bytes   int // of shard.bytes, as last looked at
}

// A job is a fragment to be decided without holding the lock.
type job struct {
	fragment *fragment
	view     view
}

// begin notes the start of a local root.
func (sh *shard) begin(hash uint64, root openRoot, now uint32) {
	f := sh.fragments.get(hash)
	if f == nil {
		// The id of a trace that begins here has never been seen.
		if !root.first {
			if d, ok := sh.decisions.get(hash); ok && d.keep {
				return // follows
			} else if ok {
				sh.decisions.forget(hash)
			}
		}
		f = sh.add(hash, now)
	}
	f.open = append(f.open, root)
	sh.bytes += root.bytes
	f.renewed = f.deciding
}

func (sh *shard) add(hash uint64, now uint32) *fragment {
	var f *fragment
	if n := len(sh.spare); n > 0 {
		f, sh.spare = sh.spare[n-1], sh.spare[:n-1]
	} else {
		f = new(fragment)
	}
	f.hash, f.started = hash, now
	sh.fragments.put(f)
	sh.undecided.push(f)
	return f
}

// hold adds an ended span to a fragment.
func (sh *shard) hold(f *fragment, s endedSpan, bytes int) {
	f.spans = append(f.spans, s)
	f.bytes += bytes
	sh.spans++
	sh.bytes += bytes
}

// end notes the end of a local root and reports whether it was the last one.
func (sh *shard) end(f *fragment, id trace.SpanID) bool {
	for i := range f.open {
		if f.open[i].id == id {
			sh.bytes -= f.open[i].bytes
			last := len(f.open) - 1
			f.open[i], f.open[last] = f.open[last], openRoot{}
			f.open = f.open[:last]
			return last == 0
		}
	}
	return false
}

// measure looks again at the local roots that have not ended: attributes may have
// been set on them.
func (sh *shard) measure() {
	for f := sh.undecided.first; f != nil; f = f.next {
		for i := range f.open {
			root := &f.open[i]
			bytes := estimate(root.span)
			sh.bytes += bytes - root.bytes
			root.bytes = bytes
		}
	}
}

// take takes what an undecided fragment holds, to decide on it.
func (sh *shard) take(f *fragment) job {
	f.remove()
	sh.deciding.push(f)
	f.deciding = true
	v := view{spans: sh.release(f)}
	if len(f.open) > 0 {
		for _, root := range f.open {
			v.open = append(v.open, endedSpan{ReadOnlySpan: root.span, root: true, sampled: root.sampled})
		}
		sh.close(f)
	}
	return job{f, v}
}

func (sh *shard) release(f *fragment) []endedSpan {
	spans := f.spans
	sh.spans -= len(spans)
	sh.bytes -= f.bytes
	f.spans, f.bytes = nil, 0
	return spans
}

// close forgets the local roots that have not ended.
func (sh *shard) close(f *fragment) {
	for i := range f.open {
		sh.bytes -= f.open[i].bytes
	}
	clear(f.open)
	f.open = f.open[:0]
}

// overBound reports whether there is too much that could be decided.
func (sh *shard) overBound() (over bound, ok bool) {
	switch {
	case sh.undecided.len == 0:
		return 0, false // what is too much is being decided
	case sh.undecided.len > sh.bounds.traces:
		return maxTraces, true
	case sh.spans > sh.bounds.spans:
		return maxSpans, true
	case sh.bytes > sh.bounds.bytes:
		return maxBytes, true
	}
	return 0, false
}

// isAlone reports whether the fragment is nothing but this open local root.
func (f *fragment) isAlone(root trace.SpanID) bool {
	return len(f.open) == 1 && f.open[0].id == root && len(f.spans) == 0 && !f.deciding
}

// drop drops an undecided fragment that is nothing but an open local root.
func (sh *shard) drop(f *fragment, d decision) {
	sh.fragments.remove(f)
	sh.decisions.remember(f.hash, d)
	sh.counts.trace(d, false)
	sh.counts.spans(d, 1, false)
	f.remove()
	sh.close(f)
	sh.recycle(f, f.spans)
}

// settle remembers the decision and takes the spans that ended meanwhile, which
// follow it: unless local roots have started that nobody wants to drop. These
// make another fragment, which has to be decided at once if they have ended.
func (sh *shard) settle(f *fragment, d decision, now uint32) (late []endedSpan, next job, again bool) {
	sh.fragments.remove(f)
	if !f.renewed || d.keep {
		sh.decisions.remember(f.hash, d)
		sh.close(f)
		return sh.release(f), job{}, false
	}
	other := sh.add(f.hash, now)
	other.open, f.open = f.open, other.open
	other.spans, f.spans = f.spans, other.spans
	other.bytes, f.bytes = f.bytes, 0
	if len(other.open) > 0 {
		return nil, job{}, false
	}
	return nil, sh.take(other), true
}

// finish ends a job, whose spans have been handed on.
func (sh *shard) finish(j *job) {
	f := j.fragment
	f.remove()
	if f.idle != nil {
		close(f.idle)
	}
	sh.recycle(f, j.view.spans)
}

// recycle keeps a fragment, and the memory of its spans, for another.
func (sh *shard) recycle(f *fragment, spans []endedSpan) {
	const spare, spareSpans = 32, 128
	if len(sh.spare) == spare {
		return
	}
	clear(spans)
	if cap(spans) > spareSpans {
		spans = nil
	}
	if cap(f.open) > spareSpans {
		f.open = nil
	}
	f.spans, f.deciding, f.renewed, f.wanted, f.idle = spans[:0], false, false, false, nil
	sh.spare = append(sh.spare, f)
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

// A table finds fragments by the hash of their trace id, at a third of the cost
// of a map. Two that agree in 64 seeded bits are one: nobody will see it.
type table struct {
	chains []*fragment // a power of two of them
	len    int
}

func newTable() table { return table{chains: make([]*fragment, 16)} }

func (t *table) chain(hash uint64) **fragment {
	// Of the low bits, the lowest have selected the shard.
	return &t.chains[hash>>4&uint64(len(t.chains)-1)]
}

func (t *table) get(hash uint64) *fragment {
	f := *t.chain(hash)
	for f != nil && f.hash != hash {
		f = f.chained
	}
	return f
}

func (t *table) put(f *fragment) {
	if t.len >= len(t.chains) {
		old := t.chains
		t.chains = make([]*fragment, 2*len(old))
		for _, f := range old {
			for f != nil {
				next := f.chained
				c := t.chain(f.hash)
				f.chained, *c = *c, f
				f = next
			}
		}
	}
	c := t.chain(f.hash)
	f.chained, *c = *c, f
	t.len++
}

func (t *table) remove(f *fragment) {
	c := t.chain(f.hash)
	for *c != f {
		c = &(*c).chained
	}
	*c, f.chained = f.chained, nil
	t.len--
}

package tail

import (
	"sync"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// A shard holds the fragments of some traces. The caller of its methods must hold mu.
type shard struct {
	mu        sync.Mutex
	closed    bool
	bounds    *bounds
	fragments table // all that are undecided or being decided
	undecided list  // the oldest first
	deciding  list  // being decided, or decided with spans still to be handed on
	spans     int   // in fragments
	bytes     int
	spare     []*fragment // for reuse, so that a steady stream of dropped traces does not allocate
	counts    counts
	decisions decisions
}

// bounds are the bounds of one shard.
type bounds struct {
	traces, spansPerTrace, spans, bytes, decisions int
}

// A fragment is what is known about a trace that is not decided.
type fragment struct {
	chained    *fragment // the next fragment in the chain of the table
	in         *list
	prev, next *fragment
	hash       uint64 // of the trace id
	started    uint32 // by Processor.clock
	spans      []endedSpan
	bytes      int
	open       []openRoot
	deciding   bool          // a job has taken what it held, and policies look at that
	renewed    bool          // a local root has started since deciding was set
	wanted     bool          // a span that is enough to keep it has ended
	idle       chan struct{} // if not nil, closed when its spans have been handed on
}

// An openRoot is a local root that has not ended.
type openRoot struct {
	id      trace.SpanID
	first   bool // it is the first span of its trace: it has no parent
	sampled bool // kept by the head sampler
	span    sdktrace.ReadOnlySpan
	bytes   int // its part of shard.bytes, as last measured
}

// A job is a fragment that is decided while the lock is not held.
type job struct {
	fragment *fragment
	view     view
}

// begin notes the start of a local root.
func (sh *shard) begin(hash uint64, root openRoot, now uint32) {
	f := sh.fragments.get(hash)
	if f == nil {
		// The first span of a trace has a new trace id, so there is no decision about it.
		if !root.first {
			if d, ok := sh.decisions.get(hash); ok && d.keep {
				return // the decision to keep the trace stands
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

// measure estimates the sizes of local roots that have not ended again, because
// attributes may have been set on them.
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

// take makes a job of an undecided fragment: it takes the spans out of the fragment.
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

// overBound returns the bound that is exceeded, and whether one is and there is a
// fragment to decide on.
func (sh *shard) overBound() (over bound, ok bool) {
	switch {
	case sh.undecided.len == 0:
		return 0, false // everything is being decided already
	case sh.undecided.len > sh.bounds.traces:
		return maxTraces, true
	case sh.spans > sh.bounds.spans:
		return maxSpans, true
	case sh.bytes > sh.bounds.bytes:
		return maxBytes, true
	}
	return 0, false
}

// isAlone reports whether the fragment consists only of this open local root.
func (f *fragment) isAlone(root trace.SpanID) bool {
	return len(f.open) == 1 && f.open[0].id == root && len(f.spans) == 0 && !f.deciding
}

// drop drops an undecided fragment that consists only of an open local root.
func (sh *shard) drop(f *fragment, d decision) {
	sh.fragments.remove(f)
	sh.decisions.remember(f.hash, d)
	sh.counts.trace(d, false)
	sh.counts.spans(d, 1, false)
	f.remove()
	sh.close(f)
	sh.recycle(f, f.spans)
}

// settle remembers the decision and returns the spans that ended while it was made,
// which follow it. If a fragment is to be dropped and local roots have started
// meanwhile, those roots and spans are not dropped with it but become another fragment.
// If these roots have ended, too, that fragment has to be decided at once: again is
// true, and next is its job.
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

// finish ends a job after its spans have been handed on.
func (sh *shard) finish(j *job) {
	f := j.fragment
	f.remove()
	if f.idle != nil {
		close(f.idle)
	}
	sh.recycle(f, j.view.spans)
}

// recycle keeps a fragment and the memory of its spans for reuse.
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

// A list is a queue of fragments. A fragment is in one list at most.
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

// A table finds fragments by the hash of their trace id, at a third of the cost of a
// map. Two traces whose seeded 64-bit hashes are equal would share a fragment. That is
// too improbable to be handled.
type table struct {
	chains []*fragment // a power of two of them
	len    int
}

func newTable() table { return table{chains: make([]*fragment, 16)} }

func (t *table) chain(hash uint64) **fragment {
	// The lowest four bits have selected the shard.
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

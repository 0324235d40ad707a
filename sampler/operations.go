package sampler

import (
	"hash/maphash"
	"iter"
	"math/bits"
	"strings"
	"sync/atomic"
	"time"
)

// An operation is a class of spans that is given its share of the budget.
type operation struct {
	name     string
	lastKept atomic.Int64 // time since the budget was made; for a new operation, when it was first seen
	interval atomicFloat  // mean seconds between the last kept spans, or neverKept
}

const (
	// The interval of an operation that was never kept.
	neverKept = -1
	// The age in seconds of an operation that was never kept. It makes the operation
	// overdue.
	newAge = 60
	// The weight of the last interval in the mean.
	intervalWeight = 0.3
)

func newOperation(name string, now time.Duration) *operation {
	op := &operation{name: name}
	op.lastKept.Store(int64(now))
	op.interval.Store(neverKept)
	return op
}

// age returns the time in seconds since the operation was last kept.
func (op *operation) age(now time.Duration) float64 {
	if op.interval.Load() == neverKept {
		return newAge
	}
	return op.idle(now)
}

// idle is age, except that for a new operation it returns the time since it was first
// seen.
func (op *operation) idle(now time.Duration) float64 {
	// Duration.Seconds would divide, to more digits than matter here.
	return float64(max(0, int64(now)-op.lastKept.Load())) * 1e-9
}

func (op *operation) keep(now time.Duration) {
	if mean := op.interval.Load(); mean == neverKept {
		op.interval.Store(0)
	} else {
		op.interval.Store(mean + intervalWeight*(op.age(now)-mean))
	}
	op.lastKept.Store(int64(now))
}

// operations is a hash table that is read and extended without locks. It does not grow,
// because its bound is known when it is made.
type operations struct {
	seed  maphash.Seed
	limit int
	slots []atomic.Pointer[operation] // at most half of them are taken
	taken atomic.Int64                // may exceed limit for a moment
	rest  *operation                  // counts for all operations that are not in the table
}

func newOperations(limit int) *operations {
	o := &operations{
		seed:  maphash.MakeSeed(),
		limit: limit,
		slots: make([]atomic.Pointer[operation], 2<<bits.Len(uint(limit-1))),
		rest:  newOperation("", 0),
	}
	return o
}

// get returns the operation with that name, or rest if the table is full.
func (o *operations) get(name string, now time.Duration) *operation {
	mask := uint64(len(o.slots) - 1)
	for i := maphash.String(o.seed, name); ; i++ {
		slot := &o.slots[i&mask]
		op := slot.Load()
		if op == nil {
			if !o.reserve() {
				return o.rest
			}
			op = newOperation(strings.Clone(name), now)
			if slot.CompareAndSwap(nil, op) {
				return op
			}
			o.taken.Add(-1)
			op = slot.Load() // another goroutine was faster
		}
		if op.name == name {
			return op
		}
	}
}

func (o *operations) reserve() bool {
	if o.full() {
		return false
	}
	if o.taken.Add(1) > int64(o.limit) {
		o.taken.Add(-1)
		return false
	}
	return true
}

func (o *operations) full() bool { return o.taken.Load() >= int64(o.limit) }

func (o *operations) len() int64 { return min(o.taken.Load(), int64(o.limit)) }

// without returns the table without the operations that are forgotten, or o
// itself if there are none.
func (o *operations) without(forgotten func(*operation) bool) *operations {
	var keep []*operation
	for op := range o.some(o.limit) {
		if !forgotten(op) {
			keep = append(keep, op)
		}
	}
	if len(keep) == o.limit {
		return o
	}
	fresh := newOperations(o.limit)
	fresh.rest = o.rest
	for _, op := range keep {
		fresh.insert(op)
	}
	return fresh
}

// insert adds an operation to a table that nobody else uses yet.
func (o *operations) insert(op *operation) {
	mask := uint64(len(o.slots) - 1)
	i := maphash.String(o.seed, op.name)
	for o.slots[i&mask].Load() != nil {
		i++
	}
	o.slots[i&mask].Store(op)
	o.taken.Add(1)
}

// some yields at most n operations.
func (o *operations) some(n int) iter.Seq[*operation] {
	return func(yield func(*operation) bool) {
		for i := range o.slots {
			op := o.slots[i].Load()
			if op == nil {
				continue
			}
			if n--; n < 0 || !yield(op) {
				return
			}
		}
	}
}

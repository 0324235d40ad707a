package sampler

import (
	"sync"
	"sync/atomic"
)

// sharded holds copies of a T that is written all the time, so that processors
// do not take one cache line from each other. The pool hands each processor
// the copy that it used last.
type sharded[T any] struct {
	copies [16]struct {
		value T
		_     [128]byte
	}
	pool sync.Pool
	next atomic.Uint32
}

// get returns a copy that is probably not in use by others; it must be put
// back. Access to T has to be atomic all the same.
func (s *sharded[T]) get() *T {
	if v, ok := s.pool.Get().(*T); ok {
		return v
	}
	return &s.copies[s.next.Add(1)%uint32(len(s.copies))].value
}

func (s *sharded[T]) put(v *T) { s.pool.Put(v) }

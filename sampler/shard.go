package sampler

import (
	"sync"
	"sync/atomic"
)

// Data that is written in every call exists in several copies, so that processors do
// not compete for one cache line.
const shards = 16

// A shard is the number of a copy. Access to the copy must be atomic all the same,
// because another goroutine may use the same one.
type shard struct{ index uint8 }

var (
	allShards = func() (all [shards]shard) {
		for i := range all {
			all[i].index = uint8(i)
		}
		return all
	}()
	nextShard atomic.Uint32
	// The pool hands each processor the shard that it used last.
	shardPool = sync.Pool{New: func() any { return &allShards[nextShard.Add(1)%shards] }}
)

// sharded holds the copies of a T, each in a cache line of its own.
type sharded[T any] [shards]struct {
	value T
	_     [128]byte
}

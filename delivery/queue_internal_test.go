package delivery

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// listOf returns a list of requests of these numbers.
func listOf(seqs ...uint64) *requestList {
	l := new(requestList)
	for _, seq := range seqs {
		l.insert(&request{seq: seq, items: 1, rawSize: 1})
	}
	return l
}

// numbers walks a list in both directions.
func (l *requestList) numbers(t *testing.T) []uint64 {
	t.Helper()
	var forth, back []uint64
	for r := l.front; r != nil; r = r.next {
		forth = append(forth, r.seq)
	}
	for r := l.back; r != nil; r = r.prev {
		back = append(back, r.seq)
	}
	slices.Reverse(back)
	if !slices.Equal(forth, back) || l.len != len(forth) || l.raw != len(forth) || l.items != int64(len(forth)) {
		t.Errorf("%v forwards, %v backwards, counted %d, %d bytes, %d items", forth, back, l.len, l.raw, l.items)
	}
	return forth
}

func TestAGroupReturnsToItsPlace(t *testing.T) {
	for range 1000 {
		var all, waiting []uint64
		var group []*request
		for seq := range rand.Uint64N(20) {
			all = append(all, seq)
			if rand.N(2) == 0 {
				waiting = append(waiting, seq)
			} else {
				group = append(group, &request{seq: seq, items: 1, rawSize: 1})
			}
		}
		l := listOf(waiting...)
		l.insert(group...)
		if got := l.numbers(t); !slices.Equal(got, all) {
			t.Fatalf("order %v", got)
		}
	}
}

// TestTheOldestRequestOfThisProcess is known without a walk over what an earlier process
// has left, because it is asked for whenever a span ends while the queue is full.
func TestTheOldestRequestOfThisProcess(t *testing.T) {
	for range 1000 {
		l, waiting, away := new(requestList), []*request{}, []*request{}
		recovered := rand.Uint64N(5)
		for seq := range uint64(10) {
			r := &request{seq: seq, items: 1, rawSize: 1, recovered: seq < recovered}
			l.insert(r)
			waiting = append(waiting, r)
		}
		for range 30 {
			from, to := &waiting, &away
			if rand.N(2) == 0 {
				from, to = to, from
			}
			if len(*from) == 0 {
				continue
			}
			i := rand.IntN(len(*from))
			r := (*from)[i]
			*from, *to = slices.Delete(*from, i, i+1), append(*to, r)
			if to == &away {
				l.remove(r)
			} else {
				l.insert(r)
			}
			want := l.front
			for want != nil && want.recovered {
				want = want.next
			}
			if l.oldest != want {
				t.Fatalf("%+v, want %+v", l.oldest, want)
			}
		}
	}
}

// TestAGroupReturnsInOneWalk: whoever ends a span with a journal waits for the lock that
// is held meanwhile. A group that is not in order shows that what a search has passed is
// not looked at again.
func TestAGroupReturnsInOneWalk(t *testing.T) {
	l := listOf(0, 2, 4, 6)
	l.insert(&request{seq: 3, items: 1, rawSize: 1}, &request{seq: 1, items: 1, rawSize: 1})
	if got := l.numbers(t); !slices.Equal(got, []uint64{0, 2, 3, 1, 4, 6}) {
		t.Errorf("order %v", got)
	}
}

package tail

import "go.opentelemetry.io/otel/trace"

// decisions remembers the last decisions in a fixed piece of memory without
// pointers: sets of a few, of which a hash selects one, the newest first. Where
// there is more than one set, a decision is forgotten when its set is full,
// which may be earlier or later than when as many decisions have been made as
// there is room for.
type decisions struct {
	entries []made
	ways    int // entries of a set
	mask    uint64
}

type made struct {
	id trace.TraceID // invalid if the entry is free
	decision
}

func newDecisions(n int) decisions {
	ways := min(n, 8)
	sets := 1
	for sets*2*ways <= n {
		sets *= 2
	}
	return decisions{make([]made, sets*ways), ways, uint64(sets - 1)}
}

func (m *decisions) set(hash uint64) []made {
	// The low bits have selected the shard.
	at := int(hash>>32&m.mask) * m.ways
	return m.entries[at : at+m.ways]
}

func (m *decisions) get(id trace.TraceID, hash uint64) (decision, bool) {
	set := m.set(hash)
	for i := range set {
		if set[i].id == id {
			return set[i].decision, true
		}
	}
	return decision{}, false
}

func (m *decisions) remember(id trace.TraceID, hash uint64, d decision) {
	set := m.set(hash)
	copy(set[1:], set)
	set[0] = made{id, d}
}

func (m *decisions) forget(id trace.TraceID, hash uint64) {
	set := m.set(hash)
	for i := range set {
		if set[i].id == id {
			copy(set[i:], set[i+1:])
			set[len(set)-1] = made{}
			return
		}
	}
}

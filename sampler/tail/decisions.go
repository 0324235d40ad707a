package tail

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

// made is keyed by a hash of the trace id, all 64 bits of it: two of the traces
// in a set have the same with a chance of 1 in 10^18.
type made struct {
	hash uint64
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

func (m *decisions) get(hash uint64) (decision, bool) {
	set := m.set(hash)
	for i := range set {
		if set[i].hash == hash {
			return set[i].decision, true
		}
	}
	return decision{}, false
}

func (m *decisions) remember(hash uint64, d decision) {
	set := m.set(hash)
	copy(set[1:], set)
	set[0] = made{hash, d}
}

func (m *decisions) forget(hash uint64) {
	set := m.set(hash)
	for i := range set {
		if set[i].hash == hash {
			copy(set[i:], set[i+1:])
			set[len(set)-1] = made{}
			return
		}
	}
}

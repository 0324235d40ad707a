package tail

// decisions remembers the last decisions in a fixed amount of memory without pointers.
// It consists of small sets, each with the newest decision first, and the hash of a
// trace id selects the set. A full set forgets its oldest decision. With more than one
// set, a decision may therefore be forgotten earlier or later than when the whole
// memory has been used once.
//
// A set of eight decisions is one cache line. Loading that line is most of the cost of
// remembering a decision, and several lines can be loaded in the time of one.
type decisions struct {
	entries []packedDecision
	ways    int // entries in a set
	mask    uint64

	// The newest n decisions, the oldest first. They wait here until their sets are
	// loaded together.
	n       int
	waiting [16]pendingDecision
}

const maxDecisions = 1 << 30 // 8 GiB

type pendingDecision struct {
	hash   uint64
	packed packedDecision
}

// A packedDecision is a decision with the upper 40 bits of the hash of its trace id.
// The probability that two traces of a set agree in these bits is 1 in 10^11.
type packedDecision uint64

const (
	indexBits   = 12 // for the index of a policy, or none
	hashBits    = packedDecision(1<<64 - 1<<(2*indexBits))
	maxPolicies = 1<<indexBits - 1
)

func packDecision(hash uint64, d decision) packedDecision {
	return packedDecision(hash)&hashBits | packedDecision(d.policy-none)<<indexBits | packedDecision(d.threshold-none)
}

func (m packedDecision) decision() decision {
	const index = 1<<indexBits - 1
	policy := int16(m>>indexBits&index) + none
	return decision{keep: policy != none, policy: policy, threshold: int16(m&index) + none}
}

func newDecisions(n int) decisions {
	ways := min(n, 8)
	sets := 1
	for sets*2*ways <= n {
		sets *= 2
	}
	return decisions{entries: make([]packedDecision, sets*ways), ways: ways, mask: uint64(sets - 1)}
}

func (m *decisions) set(hash uint64) []packedDecision {
	// The lowest four bits have selected the shard.
	at := int(hash>>4&m.mask) * m.ways
	return m.entries[at : at+m.ways]
}

func (m *decisions) get(hash uint64) (decision, bool) {
	for i := m.n - 1; i >= 0; i-- {
		if m.waiting[i].hash == hash {
			return m.waiting[i].packed.decision(), true
		}
	}
	set := m.set(hash)
	for i := range set {
		if set[i]&hashBits == packedDecision(hash)&hashBits {
			return set[i].decision(), true
		}
	}
	return decision{}, false
}

func (m *decisions) remember(hash uint64, d decision) {
	m.waiting[m.n] = pendingDecision{hash, packDecision(hash, d)}
	m.n++
	if m.n == len(m.waiting) || m.mask == 0 { // a single set is stored at once, so that it is exact
		m.store()
	}
}

func (m *decisions) store() {
	for i := range m.n {
		set := m.set(m.waiting[i].hash)
		copy(set[1:], set)
		set[0] = m.waiting[i].packed
	}
	m.n = 0
}

func (m *decisions) forget(hash uint64) {
	m.store()
	set := m.set(hash)
	for i := range set {
		if set[i]&hashBits == packedDecision(hash)&hashBits {
			copy(set[i:], set[i+1:])
			set[len(set)-1] = 0
			return
		}
	}
}

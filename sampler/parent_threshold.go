package sampler

// ParentThreshold follows the parent's decision and asks root about spans
// that have no parent. It is the specification's ComposableParentThreshold,
// and the policy to use below New unless every service decides for itself.
//
// A child of a sampled parent that published a threshold gets the same threshold. If
// the threshold contradicts the sampled flag, it is erased and the flag decides. A
// child of a sampled parent without a threshold, as older SDKs make them, is kept
// without an adjusted count. A child of an unsampled parent is always dropped.
func ParentThreshold(root Composable) Composable { return parentThreshold{root} }

type parentThreshold struct{ root Composable }

func (s parentThreshold) SamplingIntent(p Parameters) Intent {
	if p.parent.kind == NoParent {
		return s.root.SamplingIntent(p)
	}
	t, reliable := p.parent.follow(p.randomness)
	return Intent{Threshold: t, Reliable: reliable}
}

// follow returns the threshold for the child of a parent with this trace's
// randomness.
func (p *parentState) follow(randomness uint64) (t Threshold, reliable bool) {
	sampled := p.flags.IsSampled()
	switch {
	case !p.threshold.IsNone() && p.threshold.Keeps(randomness) == sampled:
		return p.threshold, true
	case sampled:
		return Threshold{kept: maxAdjustedCount}, false
	default:
		return Threshold{}, false
	}
}

func (s parentThreshold) Description() string {
	return "ParentThreshold{root:" + s.root.Description() + "}"
}

package sampler

// ParentThreshold follows the parent's decision and asks root about spans
// that have no parent. It is the specification's ComposableParentThreshold,
// and the policy to use below New unless every service decides for itself.
//
// A kept parent that published a threshold hands it on. If the threshold
// contradicts the sampled flag it is erased and the flag is followed. A kept
// parent without a threshold, as of older SDKs, is followed without an
// adjusted count. An unsampled parent is always followed.
func ParentThreshold(root Composable) Composable { return parentThreshold{root} }

type parentThreshold struct{ root Composable }

func (s parentThreshold) SamplingIntent(p Parameters) Intent {
	if p.parent == NoParent {
		return s.root.SamplingIntent(p)
	}
	sampled := p.Parent.IsSampled()
	if t := p.parentThresh; !t.IsNone() && t.Keeps(p.randomness) == sampled {
		return Intent{Threshold: t, Reliable: true}
	}
	if sampled {
		return Intent{Threshold: Threshold{kept: maxAdjustedCount}}
	}
	return Intent{}
}

func (s parentThreshold) Description() string {
	return "ParentThreshold{root:" + s.root.Description() + "}"
}

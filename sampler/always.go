package sampler

// AlwaysOn keeps every span, at an adjusted count of 1. It is the
// specification's ComposableAlwaysOn.
func AlwaysOn() Composable { return alwaysOn{} }

type alwaysOn struct{}

func (alwaysOn) SamplingIntent(Parameters) Intent {
	return Intent{Threshold: Threshold{kept: maxAdjustedCount}, Reliable: true}
}

func (alwaysOn) Description() string { return "AlwaysOn" }

// AlwaysOff drops every span. It is the specification's ComposableAlwaysOff.
func AlwaysOff() Composable { return alwaysOff{} }

type alwaysOff struct{}

func (alwaysOff) SamplingIntent(Parameters) Intent { return Intent{} }

func (alwaysOff) Description() string { return "AlwaysOff" }

package propagator

// Option changes what [New] returns.
type Option interface{ apply(*traceContext) }

type optionFunc func(*traceContext)

func (f optionFunc) apply(p *traceContext) { f(p) }

// minTracestateLen is what Trace Context Level 2, "tracestate Limits", asks
// everybody to propagate.
const minTracestateLen = 512

// WithMaxTracestate limits the tracestate that Inject sends to n bytes. Whole
// members are left out: those over 128 bytes first, then from the end.
//
// Without this option all of it is sent. The Recommendation asks to propagate at
// least 512 bytes ("tracestate Limits"), so a smaller n counts as 512.
func WithMaxTracestate(n int) Option {
	return optionFunc(func(p *traceContext) { p.maxTracestate = max(n, minTracestateLen) })
}

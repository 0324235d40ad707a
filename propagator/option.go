package propagator

// Option changes what [New] returns.
type Option interface{ apply(*traceContext) }

type optionFunc func(*traceContext)

func (f optionFunc) apply(p *traceContext) { f(p) }

const (
	// maxTracestateLen is what 32 members of the longest key and value take.
	maxTracestateLen = 32*(256+1+256) + 31
	// minTracestateLen is what "tracestate Limits" asks everybody to propagate.
	minTracestateLen = 512
)

// WithMaxTracestate limits the tracestate that Inject sends to n bytes. Whole
// members are left out: those over 128 bytes first, then from the end.
//
// Without this option all of it is sent, 16447 bytes at most. The
// Recommendation asks to propagate at least 512 ("tracestate Limits"), so a
// smaller n counts as 512.
func WithMaxTracestate(n int) Option {
	return optionFunc(func(p *traceContext) {
		p.maxTracestate = min(max(n, minTracestateLen), maxTracestateLen)
	})
}

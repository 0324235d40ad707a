package sampler

import "strings"

const (
	otKey     = "ot"
	thKey     = "th:"
	rvKey     = "rv:"
	otMaxSize = 256 // characters (OpenTelemetry Specification, "TraceState Handling")
)

// An otValue holds what samplers read from the ot member of tracestate.
type otValue struct {
	threshold     Threshold
	randomness    uint64
	hasTh         bool // there is a th sub-key, valid or not
	hasRandomness bool // there is a valid rv sub-key
}

// parseOT reads the first th and the first rv of the ot member. Values that are not
// well-formed count as absent.
func parseOT(value string) (ot otValue) {
	var seenRandomness bool
	for value != "" {
		var sub string
		if i := strings.IndexByte(value, ';'); i >= 0 {
			sub, value = value[:i], value[i+1:]
		} else {
			sub, value = value, ""
		}
		if len(sub) < len(thKey) || sub[2] != ':' {
			continue
		}
		switch sub[:len(thKey)] {
		case thKey:
			if !ot.hasTh {
				ot.hasTh = true
				if rejected, ok := parseHex56(sub[len(thKey):]); ok {
					ot.threshold.kept = maxAdjustedCount - rejected
				}
			}
		case rvKey:
			if !seenRandomness {
				seenRandomness = true
				if v := sub[len(rvKey):]; len(v) == 14 {
					ot.randomness, ot.hasRandomness = parseHex56(v)
				}
			}
		}
	}
	return ot
}

// writeThreshold returns value with th set to t, or without th if t is none.
// Other sub-keys keep their text and their order. It reports false when there
// is no room for th, which is then left out.
func writeThreshold(value string, t Threshold) (string, bool) {
	var b strings.Builder
	b.Grow(len(value) + len(thKey) + 14 + 1)
	if !t.IsNone() {
		var digits [14]byte
		b.WriteString(thKey)
		b.Write(t.append(digits[:0]))
	}
	for sub := range strings.SplitSeq(value, ";") {
		if sub == "" || strings.HasPrefix(sub, thKey) {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte(';')
		}
		b.WriteString(sub)
	}
	if b.Len() > otMaxSize && !t.IsNone() {
		without, _ := writeThreshold(value, Threshold{})
		return without, false
	}
	return b.String(), true
}

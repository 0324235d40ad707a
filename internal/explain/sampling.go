package explain

import (
	"fmt"
	"strconv"
	"strings"
)

// Sampling is the value of OpenTelemetry's member of a tracestate, whose key is "ot"
// (OpenTelemetry Specification, "TraceState: Probability Sampling").
type Sampling struct {
	// Threshold is th: hex digits, of which trailing zeros may be left out.
	Threshold string `json:"threshold,omitempty"`
	// Probability is how likely it is that a trace is sampled: above 0 up to 1, or 0
	// without th.
	Probability float64 `json:"probability,omitempty"`
	// AdjustedCount is how many spans this one stands for: 1/Probability, or 0
	// without th.
	AdjustedCount float64 `json:"adjusted_count,omitempty"`
	// Randomness is rv: 14 hex digits, used in place of those of the trace id.
	Randomness string `json:"randomness,omitempty"`
	Others     string `json:"others,omitempty"`  // the remaining entries
	Invalid    string `json:"invalid,omitempty"` // what is wrong with an entry
}

// thresholdDigits is the precision of th and rv, 56 bits, in hex digits.
const thresholdDigits = 14

func parseSampling(value string) *Sampling {
	var s Sampling
	var others []string
	for entry := range strings.SplitSeq(value, ";") {
		key, v, _ := strings.Cut(entry, ":")
		switch key {
		case "th":
			s.threshold(v)
		case "rv":
			if len(v) != thresholdDigits || !isHex(v) {
				s.Invalid = fmt.Sprintf("rv must be %d lower-case hex digits", thresholdDigits)
				continue
			}
			s.Randomness = v
		default:
			others = append(others, entry)
		}
	}
	s.Others = strings.Join(others, ";")
	return &s
}

// threshold reads th. A trace is sampled if its 56 bits of randomness are at least as
// large as th.
func (s *Sampling) threshold(v string) {
	if v == "" || len(v) > thresholdDigits || !isHex(v) {
		s.Invalid = fmt.Sprintf("th must be 1 to %d lower-case hex digits", thresholdDigits)
		return
	}
	t, _ := strconv.ParseUint(v+strings.Repeat("0", thresholdDigits-len(v)), 16, 64)
	const whole = 1 << (4 * thresholdDigits)
	s.Threshold = v
	s.Probability = float64(whole-t) / whole
	s.AdjustedCount = whole / float64(whole-t)
}

func isHex(s string) bool { return strings.Trim(s, "0123456789abcdef") == "" }

package explain

import (
	"fmt"
	"strconv"
	"strings"
)

// Sampling is the value of OpenTelemetry's tracestate member, key "ot":
// OpenTelemetry Specification, "TraceState: Probability Sampling".
type Sampling struct {
	Threshold   string  `json:"threshold,omitempty"`   // th, hex digits; trailing zeros may be left out
	Probability float64 `json:"probability,omitempty"` // that a trace is sampled, above 0 up to 1; 0 without th
	// AdjustedCount is how many spans this one stands for, 1/Probability; 0
	// without th.
	AdjustedCount float64 `json:"adjusted_count,omitempty"`
	Randomness    string  `json:"randomness,omitempty"` // rv, 14 hex digits that take the place of the trace id's
	Others        string  `json:"others,omitempty"`     // remaining entries
	Invalid       string  `json:"invalid,omitempty"`    // what is wrong with an entry
}

// thresholdDigits is the precision of th and rv: 56 bits.
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

// threshold reads th. A trace is sampled if its 56 bits of randomness are at least
// the threshold.
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

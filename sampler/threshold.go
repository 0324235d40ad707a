package sampler

import (
	"fmt"
	"math"
	"math/bits"
)

// maxAdjustedCount is the number of distinct 56-bit randomness values.
const maxAdjustedCount = 1 << 56

// The number of digits of th that carry information. Digits f at its front are not
// counted (OpenTelemetry Specification, "Converting floating-point probability to
// threshold value").
const thresholdPrecision = 4

// A Threshold is the 56-bit rejection threshold T of consistent probability sampling: a
// span is kept when its randomness R satisfies R >= T (OpenTelemetry Specification,
// "Rejection Threshold (th)").
//
// Thresholds are comparable with ==. The zero value means that there is no
// threshold: nothing is kept, and there is no adjusted count. It differs from
// the threshold written th:0, which keeps everything.
type Threshold struct {
	// kept is 2^56-T, the number of randomness values that are kept. Counting
	// what is kept makes the zero value the safe one.
	kept uint64
}

// ThresholdFor returns the threshold that keeps the given share of traces,
// rounded to four significant hexadecimal digits so that the decision and the
// published th agree. Ratios of 1 or more keep everything; ratios between 0
// and 2^-56 count as 2^-56; zero, negative ratios and NaN yield no threshold.
func ThresholdFor(ratio float64) Threshold {
	switch {
	case !(ratio > 0):
		return Threshold{}
	case ratio >= 1:
		return Threshold{kept: maxAdjustedCount}
	}
	// A digit f at the front of T is a digit 0 at the front of 2^56-T. The exponent of
	// the ratio tells their number; it is 0x3fe for 0.5 to 1.
	exponent := int(math.Float64bits(ratio) >> 52)
	digits := min(14, thresholdPrecision+uint(0x3fe-exponent)/4)
	// Rounding T half up is rounding 2^56-T half down. The scaled ratio is below 2^16,
	// so the subtraction is exact.
	scaled := ratio * math.Float64frombits(uint64(0x3ff+4*digits)<<52) // by 16^digits
	kept := max(1, int64(math.Ceil(scaled-0.5)))
	return Threshold{kept: uint64(kept) << (56 - 4*digits)}
}

// ParseThreshold parses the value of a th sub-key: 1 to 14 lower-case hexadecimal
// digits. Trailing zeros may be left out.
func ParseThreshold(th string) (Threshold, error) {
	rejected, ok := parseHex56(th)
	if !ok {
		return Threshold{}, fmt.Errorf("sampler: threshold %q: want 1 to 14 lower-case hexadecimal digits", th)
	}
	return Threshold{kept: maxAdjustedCount - rejected}, nil
}

// parseHex56 reads up to 14 lower-case hexadecimal digits as the most
// significant digits of a 56-bit number.
func parseHex56(s string) (uint64, bool) {
	if s == "" || len(s) > 14 {
		return 0, false
	}
	var v uint64
	for i := range len(s) {
		switch c := s[i]; {
		case '0' <= c && c <= '9':
			v = v<<4 | uint64(c-'0')
		case 'a' <= c && c <= 'f':
			v = v<<4 | uint64(c-'a'+10)
		default:
			return 0, false
		}
	}
	return v << (4 * (14 - len(s))), true
}

// IsNone reports whether there is no threshold, so that nothing is kept.
func (t Threshold) IsNone() bool { return t.kept == 0 }

// Keeps reports whether a span with the 56-bit randomness r is kept.
func (t Threshold) Keeps(r uint64) bool { return r+t.kept >= maxAdjustedCount }

// Probability returns the share of traces that are kept, from 0 to 1.
func (t Threshold) Probability() float64 { return math.Ldexp(float64(t.kept), -56) }

// AdjustedCount returns how many spans a kept one stands for, or 0 when there
// is no threshold.
func (t Threshold) AdjustedCount() float64 {
	if t.kept == 0 {
		return 0
	}
	return maxAdjustedCount / float64(t.kept)
}

// AppendText appends the value of the th sub-key, without trailing zeros:
// "0" keeps everything, "c" keeps a quarter. No threshold appends nothing.
func (t Threshold) AppendText(b []byte) ([]byte, error) { return t.append(b), nil }

func (t Threshold) append(b []byte) []byte {
	if t.kept == 0 {
		return b
	}
	rejected := maxAdjustedCount - t.kept
	if rejected == 0 {
		return append(b, '0')
	}
	const digits = "0123456789abcdef"
	last := bits.TrailingZeros64(rejected) &^ 3
	for shift := 52; shift >= last; shift -= 4 {
		b = append(b, digits[rejected>>shift&0xf])
	}
	return b
}

// String returns the value of the th sub-key, or "none".
func (t Threshold) String() string {
	if t.kept == 0 {
		return "none"
	}
	return string(t.append(make([]byte, 0, 14)))
}

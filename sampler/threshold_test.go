package sampler_test

import (
	"math"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/clewtrace/clew/sampler"
)

// From the table in "Converting floating-point probability to threshold
// value", column precision 4.
func TestThresholdForMatchesTheSpecificationsTable(t *testing.T) {
	for oneIn, want := range map[float64]string{
		1: "0", 2: "8", 3: "aaab", 4: "c", 5: "cccd", 8: "e", 10: "e666", 16: "f",
		100: "fd70a", 1000: "ffbe77", 10000: "fff9724", 100000: "ffff583a", 1000000: "ffffef39",
	} {
		if got := sampler.ThresholdFor(1 / oneIn).String(); got != want {
			t.Errorf("1 in %v: got th:%s, want th:%s", oneIn, got, want)
		}
	}
}

func TestThresholdForAtTheEnds(t *testing.T) {
	for _, c := range []struct {
		ratio float64
		want  string
	}{
		{0, "none"}, {-1, "none"}, {math.NaN(), "none"}, {math.Inf(-1), "none"},
		{1, "0"}, {2, "0"}, {math.Inf(1), "0"}, {math.Nextafter(1, 0), "0"},
		{math.Ldexp(1, -56), "ffffffffffffff"}, {math.Ldexp(1, -60), "ffffffffffffff"},
		{math.SmallestNonzeroFloat64, "ffffffffffffff"},
		{math.Ldexp(1, -55), "fffffffffffffe"}, {math.Ldexp(1, -52), "fffffffffffff"},
	} {
		if got := sampler.ThresholdFor(c.ratio).String(); got != c.want {
			t.Errorf("ThresholdFor(%v) = %s, want %s", c.ratio, got, c.want)
		}
	}
}

// referenceTh computes th with exact arithmetic: T = (1-p)*2^56, rounded half
// up to four digits after the leading digits f.
func referenceTh(p float64) string {
	rejected := new(big.Rat).Sub(big.NewRat(1, 1), new(big.Rat).SetFloat64(p))
	digits := 4
	for q := p; q < 1.0/16 && digits < 14; q *= 16 {
		digits++
	}
	scaled := rejected.Mul(rejected, new(big.Rat).SetInt(new(big.Int).Lsh(big.NewInt(1), uint(4*digits))))
	scaled.Add(scaled, big.NewRat(1, 2))
	n := new(big.Int).Quo(scaled.Num(), scaled.Denom())
	text := n.Text(16)
	text = strings.Repeat("0", max(0, digits-len(text))) + text
	if text = strings.TrimRight(text, "0"); text == "" {
		return "0"
	}
	return text
}

func TestThresholdForMatchesExactArithmetic(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 200_000 {
		p := math.Exp2(-50 * rnd.Float64())
		if got, want := sampler.ThresholdFor(p).String(), referenceTh(p); got != want {
			t.Fatalf("ThresholdFor(%v) = %s, want %s", p, got, want)
		}
	}
}

func TestThresholdRoundTrip(t *testing.T) {
	for _, c := range []struct {
		in, out string
		count   float64
	}{
		{"0", "0", 1}, {"00000000000000", "0", 1}, {"8", "8", 2}, {"c000", "c", 4}, {"fd70a4", "fd70a4", 100.00009536752259},
		{"ffffffffffffff", "ffffffffffffff", 1 << 56}, {"08", "08", 1 / (1 - 8.0/256)}, {"00000000000001", "00000000000001", 1},
	} {
		th, err := sampler.ParseThreshold(c.in)
		if err != nil {
			t.Errorf("ParseThreshold(%q): %v", c.in, err)
			continue
		}
		if th.String() != c.out || math.Abs(th.AdjustedCount()/c.count-1) > 1e-12 {
			t.Errorf("%q: got %s with adjusted count %v, want %s with %v", c.in, th, th.AdjustedCount(), c.out, c.count)
		}
	}
	for _, bad := range []string{"", "g", "C", "0x1", " 8", "8 ", "000000000000000", "-1"} {
		if th, err := sampler.ParseThreshold(bad); err == nil {
			t.Errorf("ParseThreshold(%q) = %v, want an error", bad, th)
		}
	}
}

func TestThresholdKeeps(t *testing.T) {
	half := sampler.ThresholdFor(0.5)
	const max56 = 1<<56 - 1
	for _, c := range []struct {
		th   sampler.Threshold
		r    uint64
		want bool
	}{
		{half, 1 << 55, true}, {half, 1<<55 - 1, false}, {half, 0, false}, {half, max56, true},
		{sampler.ThresholdFor(1), 0, true}, {sampler.Threshold{}, max56, false},
		{sampler.ThresholdFor(math.Ldexp(1, -56)), max56, true}, {sampler.ThresholdFor(math.Ldexp(1, -56)), max56 - 1, false},
	} {
		if got := c.th.Keeps(c.r); got != c.want {
			t.Errorf("%v.Keeps(%x) = %v, want %v", c.th, c.r, got, c.want)
		}
	}
}

func FuzzParseThreshold(f *testing.F) {
	f.Add("fd70a4")
	f.Add("0")
	f.Fuzz(func(t *testing.T, s string) {
		th, err := sampler.ParseThreshold(s)
		if err != nil {
			return
		}
		again, err := sampler.ParseThreshold(th.String())
		if err != nil || again != th {
			t.Errorf("%q became %v, then %v (%v)", s, th, again, err)
		}
		if strings.TrimRight(s, "0") != strings.TrimRight(th.String(), "0") {
			t.Errorf("%q was written as %q", s, th)
		}
	})
}

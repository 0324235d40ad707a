package sampler_test

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/clewtrace/clew/sampler"
)

// tokenBucket keeps spans while it holds tokens, which is what most rate
// limiting samplers do. It says nothing about the others: its adjusted counts
// are all 1.
func tokenBucket() decider {
	last, tokens := time.Now(), float64(targetPerSecond)
	return func(sdktrace.SamplingParameters) float64 {
		now := time.Now()
		tokens = min(targetPerSecond, tokens+now.Sub(last).Seconds()*targetPerSecond)
		last = now
		if tokens < 1 {
			return 0
		}
		tokens--
		return 1
	}
}

// fixedRatio keeps 1%: right for traffic of 1,000 spans per second.
func fixedRatio(t *testing.T) decider {
	t.Helper()
	s := ours(sampler.Probability(0.01))
	return func(p sdktrace.SamplingParameters) float64 {
		if s.ShouldSample(p).Decision == sdktrace.Drop {
			return 0
		}
		return 100
	}
}

var notInFileNames = regexp.MustCompile(`[^a-z0-9]+`)

// TestCharts draws how many spans are kept per second in each scenario, beside
// a token bucket and a fixed ratio. With -update it writes the files in docs.
func TestCharts(t *testing.T) {
	if !*update {
		t.Skip("writes files: run with -update")
	}
	var list strings.Builder
	for _, sc := range scenarios() {
		series := []chartLine{
			{"fixed ratio, 1%", "#bbbbbb", run(t, &sc, func() decider { return fixedRatio(t) })},
			{"token bucket", "#e08214", run(t, &sc, tokenBucket)},
			{"Adaptive", "#1b7837", run(t, &sc, func() decider {
				a := adaptive(t, sampler.AdaptiveConfig{TracesPerSecond: targetPerSecond, MaxOperations: 1000})
				return adaptiveDecider(t, a)
			})},
		}
		file := strings.Trim(notInFileNames.ReplaceAllString(strings.ToLower(strings.ReplaceAll(sc.name, ",000", "k")), "-"), "-") + ".svg"
		if err := os.WriteFile(filepath.Join("..", "docs", "sampling", file), []byte(chart(&sc, series)), 0o644); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&list, "![Kept per second: %s](sampling/%s)\n", sc.name, file)
	}
	replaceInDocs(t, "charts", list.String())
}

func run(t *testing.T, sc *scenario, start func() decider) (perSecond []int) {
	t.Helper()
	synctest.Test(t, func(*testing.T) {
		perSecond = drive(sc, 1, start()).perSecond
	})
	return perSecond
}

type chartLine struct {
	name, colour string
	perSecond    []int
}

// chart draws the part of the scenario that counts and the 20 seconds before,
// up to five times the target.
func chart(sc *scenario, lines []chartLine) string {
	const width, height, left, top, most = 720.0, 220.0, 40.0, 34.0, 5.0 * targetPerSecond
	from := max(0, int(sc.from)-20)
	seconds := float64(len(lines[0].perSecond) - from)
	x := func(second int) float64 { return left + float64(second-from)/seconds*(width-left-10) }
	y := func(kept float64) float64 { return height - 24 - min(kept, most)/most*(height-24-top) }
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %v %v" font-family="sans-serif" font-size="11">`+"\n", width, height)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="white"/>`+"\n"+`<text x="%v" y="14" font-size="13">%s: kept per second</text>`+"\n", left, sc.name)
	for kept := 0.0; kept <= most; kept += targetPerSecond {
		fmt.Fprintf(&b, `<path d="M%v %.1fH%v" stroke="#dddddd"/><text x="%v" y="%.1f" text-anchor="end">%v</text>`+"\n",
			left, y(kept), width-10, left-5, y(kept)+4, kept)
	}
	for i := range 6 {
		second := from + int(math.Round(seconds*float64(i)/5))
		fmt.Fprintf(&b, `<text x="%.1f" y="%v" text-anchor="middle">%d s</text>`+"\n", x(second), height-8, second)
	}
	if sc.from > 0 {
		fmt.Fprintf(&b, `<path d="M%.1f %vV%v" stroke="#999999" stroke-dasharray="3"/>`+"\n", x(int(sc.from)), top, height-24)
	}
	for i, line := range lines {
		fmt.Fprintf(&b, `<text x="%v" y="28" fill="%s">%s</text>`+"\n", left+float64(i)*120, line.colour, line.name)
		fmt.Fprintf(&b, `<polyline fill="none" stroke-width="1.5" stroke="%s" points="`, line.colour)
		for second := from; second < len(line.perSecond); second++ {
			fmt.Fprintf(&b, "%.1f,%.1f ", x(second), y(float64(line.perSecond[second])))
		}
		b.WriteString(`"/>` + "\n")
	}
	b.WriteString("</svg>\n")
	return b.String()
}

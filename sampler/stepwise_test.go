package sampler_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/clewtrace/clew/sampler"
	"github.com/clewtrace/clew/sampler/samplertest"
)

func TestStepwisePolicy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		busy := true
		policy := &stepwise{trafficIsHigh: func() bool { return busy }}
		s := sampler.New(policy)
		ratioAfter := func(minutes int) string {
			for range minutes {
				time.Sleep(time.Minute + 1)
				s.ShouldSample(sdktrace.SamplingParameters{})
			}
			return fmt.Sprintf("%.4f", policy.ratio)
		}
		s.ShouldSample(sdktrace.SamplingParameters{})
		for _, c := range []struct {
			busy    bool
			minutes int
			want    string
		}{{true, 0, "0.1000"}, {true, 1, "0.0500"}, {true, 10, "0.0100"}, {false, 1, "0.0150"}, {false, 20, "1.0000"}, {true, 1, "0.5000"}} {
			busy = c.busy
			if got := ratioAfter(c.minutes); got != c.want {
				t.Errorf("high traffic %v for %d minutes: %s, want %s", c.busy, c.minutes, got, c.want)
			}
		}
		samplertest.Run(t, policy)
	})
}

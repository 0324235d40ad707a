package sampler_test

import (
	"context"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/clewtrace/clew/sampler"
)

const (
	fleetDirectory = "CLEW_TEST_FLEET" // set in the processes of the fleet
	fleetTarget    = 30
)

// member is what each process of the fleet does: it keeps its share of the
// target and writes a byte per kept span, until it is killed.
func member(directory string) {
	a, err := sampler.NewAdaptive(sampler.AdaptiveConfig{
		TracesPerSecond: fleetTarget,
		ReplicasFunc: func() int {
			text, _ := os.ReadFile(filepath.Join(directory, "replicas")) // missing: counts as 1
			n, _ := strconv.Atoi(string(text))
			return n
		},
	})
	if err != nil {
		panic(err)
	}
	s := sampler.New(sampler.ParentThreshold(a))
	rnd := rand.New(rand.NewPCG(uint64(os.Getpid()), 0))
	for range time.Tick(5 * time.Millisecond) {
		for range 1 + os.Getpid()%3 { // 200, 400 or 600 spans per second
			if s.ShouldSample(root(rnd, "GET /")).Decision == sdktrace.RecordAndSample {
				if _, err := os.Stdout.Write([]byte{'.'}); err != nil {
					return // the test has ended
				}
			}
		}
	}
}

func TestFleetKeepsItsTarget(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 15 s of real time")
	}
	t.Parallel()
	directory := t.TempDir()
	setReplicas := func(n int) {
		t.Helper()
		file := filepath.Join(directory, "replicas")
		if err := os.WriteFile(file+".new", []byte(strconv.Itoa(n)), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	setReplicas(3)
	var kept keptCounter
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var fleet []*exec.Cmd
	for range 3 {
		cmd := exec.CommandContext(ctx, os.Args[0])
		cmd.Env = append(os.Environ(), fleetDirectory+"="+directory)
		cmd.Stdout = &kept
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		defer cmd.Wait() //nolint:errcheck // it is killed
		fleet = append(fleet, cmd)
	}
	defer stop()
	expect := func(when string) {
		t.Helper()
		time.Sleep(3 * time.Second) // to settle: this is about real processes in real time
		start, before := time.Now(), kept.Load()
		time.Sleep(5 * time.Second)
		rate := float64(kept.Load()-before) / time.Since(start).Seconds()
		t.Logf("%s: kept %.1f/s", when, rate)
		if math.Abs(rate-fleetTarget) > 3 {
			t.Errorf("%s: kept %.1f/s, want 30 ± 3", when, rate)
		}
	}
	expect("three processes")
	if err := fleet[0].Process.Kill(); err != nil {
		t.Fatal(err)
	}
	setReplicas(2)
	expect("two, after one was killed")
}

// A keptCounter counts what is written to it.
type keptCounter struct{ atomic.Int64 }

var _ io.Writer = (*keptCounter)(nil)

func (c *keptCounter) Write(b []byte) (int, error) {
	c.Add(int64(len(b)))
	return len(b), nil
}

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"time"

	"github.com/google/pprof/profile"
)

// profileTo writes a CPU profile of this process until stop is called.
func profileTo(file string) (stop func(), err error) {
	f, err := os.Create(file) //nolint:gosec // chosen by the command
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() {
		pprof.StopCPUProfile()
		_ = f.Close()
	}, nil
}

// part is a part of a server to which CPU time is booked: that of the innermost
// function whose name begins with one of the prefixes.
type part struct {
	name     string
	prefixes []string
}

const (
	collector = "garbage collector"
	edgePart  = "HTTP edge, with its metrics"
	otherPart = "scheduler and the rest of the runtime"
)

var parts = []part{
	{"OTLP encoding", []string{"github.com/clewtrace/clew/internal/otlp.", "go.opentelemetry.io/otel/exporters/otlp/otlptrace/internal/tracetransform.", "google.golang.org/protobuf/"}},
	{"sending", []string{"net/http.(*Transport)", "net/http.(*persistConn)", "net/http.(*Client)", "net/http.send"}},
	{"delivery", []string{"github.com/clewtrace/clew/delivery."}},
	{"exporter", []string{"go.opentelemetry.io/otel/exporters/otlp/"}},
	{"batch processor", []string{"go.opentelemetry.io/otel/sdk/trace.(*batchSpanProcessor)"}},
	{"sampler", []string{"github.com/clewtrace/clew/sampler.", "go.opentelemetry.io/otel/sdk/trace.traceIDRatioSampler", "go.opentelemetry.io/otel/sdk/trace.parentBased"}},
	{"propagator", []string{"github.com/clewtrace/clew/propagator.", "go.opentelemetry.io/otel/propagation."}},
	{"SDK's span", []string{"go.opentelemetry.io/otel/sdk/"}},
	{"server", []string{"net/http.(*conn)", "net/http.(*response)", "net/http.(*connReader)", "net/http.(*Server)", "net/http.(*chunkWriter)", "net/http.checkConnErrorWriter"}},
	{edgePart, []string{"github.com/clewtrace/clew/clewhttp.", "go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp", "go.opentelemetry.io/otel/metric", "github.com/felixge/httpsnoop"}},
}

// These run on behalf of others, but for the collector.
var collecting = []string{"runtime.gcBgMarkWorker", "runtime.gcAssistAlloc", "runtime.gcStart", "runtime.bgsweep", "runtime.bgscavenge", "runtime.deductSweepCredit", "runtime.(*mcentral).cacheSpan", "runtime.wbBufFlush", "runtime.gcMarkTermination", "runtime.gcMarkDone"}

func partOf(s *profile.Sample) string {
	found := otherPart
	for _, l := range s.Location { // from the innermost
		for _, line := range l.Line {
			name := line.Function.Name
			if hasPrefix(name, collecting) {
				return collector
			}
			for _, p := range parts {
				if found == otherPart && hasPrefix(name, p.prefixes) {
					found = p.name
				}
			}
		}
	}
	return found
}

func hasPrefix(name string, prefixes []string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}

// shares profiles the Go servers with their defaults, and tells where the CPU time of a request goes.
func shares(t *text, deno *denoProgram, scale float64, costs map[string][]cost) error {
	dir, err := os.MkdirTemp("", "profile")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	t.say("\nCPU time of a request by the innermost part at work, in us: the shares of a profile of its own, times the median above.\n\n")
	names := []string{}
	columns := map[string]map[string]float64{}
	for _, c := range contenders() {
		if c.kind == "" || c.kind == "blocking" || c.args != nil || c.env != nil {
			continue
		}
		file := filepath.Join(dir, "cpu")
		if _, err := measureCost(c, deno, time.Duration(float64(10*time.Second)*scale), file); err != nil {
			return fmt.Errorf("profile of %s: %w", c.name, err)
		}
		column, err := readShares(file)
		if err != nil {
			return err
		}
		all := costs[c.name]
		for name := range column {
			column[name] *= 1e6 * median(all, func(i int) float64 { return all[i].cpu.Seconds() })
		}
		names = append(names, c.name)
		columns[c.name] = column
	}
	t.say("| part | %s |\n|---|%s\n", strings.Join(names, " | "), strings.Repeat("--:|", len(names)))
	rows := []string{"server", edgePart, "propagator", "sampler", "SDK's span", "batch processor", "OTLP encoding", "exporter", "delivery", "sending", collector, otherPart}
	for _, row := range rows {
		t.say("| %s |", row)
		for _, name := range names {
			t.say(" %.1f |", columns[name][row])
		}
		t.say("\n")
	}
	return nil
}

func readShares(file string) (map[string]float64, error) {
	data, err := os.ReadFile(file) //nolint:gosec // chosen by the command
	if err != nil {
		return nil, err
	}
	p, err := profile.ParseData(data)
	if err != nil {
		return nil, err
	}
	sum := 0.0
	shares := make(map[string]float64)
	for _, s := range p.Sample {
		v := float64(s.Value[len(s.Value)-1])
		shares[partOf(s)] += v
		sum += v
	}
	for name := range shares {
		shares[name] /= sum
	}
	return shares, nil
}

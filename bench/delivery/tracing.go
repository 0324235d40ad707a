package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/pprof/profile"
)

// traced is a hello-world service whose cost is measured.
type traced struct {
	name     string
	kind     string // of the server; "deno" for Deno's
	baseline string // whose throughput it is compared to
	ratio    string // sampled, "" if not traced
}

func tracedServices(deno bool) []traced {
	all := []traced{{name: "bare", kind: "bare"}}
	for _, ratio := range []string{"1", "0.01", "0"} {
		for _, kind := range []string{"stock", "clew"} {
			all = append(all, traced{kind, kind, "bare", ratio})
		}
	}
	if deno {
		all = append(all, traced{name: "Deno, bare", kind: "deno"})
		for _, ratio := range []string{"1", "0.01", "0"} {
			all = append(all, traced{"Deno", "deno", "Deno, bare", ratio})
		}
	}
	return all
}

// costs are what the rounds of a service gave.
type costs struct {
	share, rps, cpu []float64 // of the baseline; per second; microseconds per request
	stock           []float64 // throughput of that of the stock pipeline in the same round
	expected, lost  int64
}

// compareTracing writes the table of what a traced service keeps.
func compareTracing(rounds int, length time.Duration, deno, out string) error {
	services := tracedServices(deno != "")
	results := make([]costs, len(services))
	for range rounds {
		rps := map[string]float64{}
		for i, s := range services {
			one, err := measureTraced(s, deno, length)
			if err != nil {
				return fmt.Errorf("%s at %s: %w", s.name, s.ratio, err)
			}
			r := &results[i]
			r.rps, r.cpu = append(r.rps, one.rps), append(r.cpu, one.cpu)
			r.expected += one.ended
			r.lost += one.ended - one.arrived
			if s.ratio == "" {
				rps[s.name] = one.rps
			} else {
				r.share = append(r.share, one.rps/rps[s.baseline])
				rps[s.kind+s.ratio] = one.rps
				if s.kind == "clew" {
					r.stock = append(r.stock, one.rps/rps["stock"+s.ratio])
				}
			}
		}
	}
	shares, err := profileShares(length)
	if err != nil {
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "`go run . -tracing -rounds %d -length %v -deno DENO` on %d CPUs, %s. Medians of rounds in turn; 32 connections.\n\n", rounds, length, runtime.NumCPU(), runtime.Version())
	b.WriteString("| service | sampled | requests/s | of bare | of stock | CPU per request | more than bare | spans lost |\n|---|--:|--:|--:|--:|--:|--:|--:|\n")
	base := map[string]float64{}
	for i, s := range services {
		r := results[i]
		share, stock, more, lost, ratio := "", "", "", "", ""
		if s.ratio == "" {
			base[s.name] = median(r.cpu)
		} else {
			f, _ := strconv.ParseFloat(s.ratio, 64) //nolint:errcheck // it is a constant
			ratio = fmt.Sprintf("%g%%", f*100)
			share, more = fmt.Sprintf("%.2f", median(r.share)), fmt.Sprintf("%+.1f us", median(r.cpu)-base[s.baseline])
			if s.kind == "clew" {
				stock = fmt.Sprintf("%.2f", median(r.stock))
			}
			lost = "not counted"
			if s.kind != "deno" {
				lost = fmt.Sprintf("%d of %d", r.lost, r.expected)
			}
		}
		fmt.Fprintf(&b, "| %s | %s | %.0f | %s | %s | %.1f us | %s | %s |\n", s.name, ratio, median(r.rps), share, stock, median(r.cpu), more, lost)
	}
	b.WriteString("\nWhere the CPU time of clew at 100% goes, by a profile of the same load:\n\n| part | share |\n|---|--:|\n")
	for _, s := range shares {
		fmt.Fprintf(&b, "| %s | %.0f%% |\n", s.part, s.share*100)
	}
	fmt.Print(b.String())
	if out == "" {
		return nil
	}
	return os.WriteFile(out, []byte(b.String()), 0o644) //nolint:gosec // a table for everyone to read
}

func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	v = slices.Sorted(slices.Values(v))
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

type oneCost struct {
	rps, cpu       float64
	ended, arrived int64
}

func measureTraced(s traced, deno string, length time.Duration, more ...string) (one oneCost, err error) {
	sinkProc, err := start("-role", "sink")
	if err != nil {
		return one, err
	}
	defer sinkProc.end()
	addr, controlAddr, _ := strings.Cut(sinkProc.first, " ")
	var server *process
	if s.kind == "deno" {
		server, err = startDeno(deno, addr, s.ratio)
	} else {
		server, err = start(append([]string{"-role", "server", "-kind", s.kind, "-sink", addr, "-ratio", cmp.Or(s.ratio, "1")}, more...)...)
	}
	if err != nil {
		return one, err
	}
	defer server.end()
	warm, cancel := context.WithTimeout(context.Background(), length/5)
	load(warm, server.first, 32, 0)
	cancel()
	before, begin := processCPU(server.cmd.Process.Pid), time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), length)
	n := load(ctx, server.first, 32, 0)
	cancel()
	one.rps = float64(n) / time.Since(begin).Seconds()
	one.cpu = float64((processCPU(server.cmd.Process.Pid) - before).Microseconds()) / float64(max(n, 1))
	if s.kind == "deno" {
		return one, nil
	}
	last, err := server.finish()
	if err != nil {
		return one, err
	}
	var report serverReport
	var stats sinkStats
	err = errors.Join(decode(last, &report), getJSON("http://"+controlAddr+"/?", &stats))
	one.ended, one.arrived = report.Ended, int64(stats.Unique)
	return one, err
}

// processCPU is the user and system time of a process, which Linux counts in
// hundredths of a second.
func processCPU(pid int) time.Duration {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(fields[11], 10, 64)   //nolint:errcheck // 0 would be seen
	system, _ := strconv.ParseInt(fields[12], 10, 64) //nolint:errcheck // as above
	return time.Duration(user+system) * 10 * time.Millisecond
}

const denoServer = `
const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen({ port }) { console.log("127.0.0.1:" + port); } }, () => new Response("hello\n"));
for await (const _ of Deno.stdin.readable) { /* until it ends */ }
await server.shutdown();
`

// startDeno starts the same service in Deno, traced if ratio is not empty.
func startDeno(deno, sink, ratio string) (*process, error) {
	file := filepath.Join(os.TempDir(), fmt.Sprintf("hello-%d.ts", os.Getpid()))
	if err := os.WriteFile(file, []byte(denoServer), 0o600); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(context.Background(), deno, "run", "--allow-net", file) //nolint:gosec // the command's own argument
	cmd.Env = append(os.Environ(), "NO_COLOR=1", "DENO_NO_UPDATE_CHECK=1")
	if ratio != "" {
		cmd.Env = append(cmd.Env, "OTEL_DENO=true", "OTEL_DENO_CONSOLE=ignore", "OTEL_METRICS_EXPORTER=none",
			"OTEL_EXPORTER_OTLP_ENDPOINT=http://"+sink, "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
			"OTEL_TRACES_SAMPLER=parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG="+ratio)
	}
	return startCommand(cmd)
}

// partShare is one line of the profile.
type partShare struct {
	part  string
	share float64
}

// parts are looked for in this order in the stack of each sample; the first one
// that any of its functions belongs to has it.
var parts = []struct {
	name     string
	prefixes []string
}{
	{"garbage collector", []string{"runtime.gcBgMarkWorker", "runtime.gcAssistAlloc", "runtime.bgsweep", "runtime.bgscavenge", "runtime.gcStart"}},
	{"sending", []string{"github.com/clewtrace/clew/delivery.(*Transport).attempt", "net/http.(*persistConn)", "net/http.(*Transport)"}},
	{"OTLP encoding", []string{"go.opentelemetry.io/otel/exporters/", "google.golang.org/protobuf/", "github.com/clewtrace/clew/delivery."}},
	{"the SDK's span", []string{"go.opentelemetry.io/otel/sdk/"}},
	{"net/http inside otelhttp", []string{"main.hello", "net/http.(*response)", "net/http.(*chunkWriter)"}},
	{"otelhttp", []string{"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp", "github.com/felixge/httpsnoop", "go.opentelemetry.io/otel/"}},
	{"net/http", []string{"net/http."}},
	{"the scheduler", []string{"runtime."}},
}

func profileShares(length time.Duration) ([]partShare, error) {
	dir, err := os.MkdirTemp("", "profile")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "cpu")
	if _, err := measureTraced(traced{kind: "clew", ratio: "1"}, "", 2*length, "-profile", file); err != nil {
		return nil, err
	}
	f, err := os.Open(file) //nolint:gosec // written by the child
	if err != nil {
		return nil, err
	}
	defer f.Close()
	p, err := profile.Parse(f)
	if err != nil {
		return nil, err
	}
	sums, total := map[string]int64{}, int64(0)
	for _, s := range p.Sample {
		v := s.Value[len(s.Value)-1]
		sums[partOf(s)] += v
		total += v
	}
	var shares []partShare
	for _, part := range append(slices.Clone(parts), struct {
		name     string
		prefixes []string
	}{name: "other"}) {
		shares = append(shares, partShare{part.name, float64(sums[part.name]) / float64(max(total, 1))})
	}
	return shares, nil
}

func partOf(s *profile.Sample) string {
	for _, part := range parts {
		for _, location := range s.Location {
			for _, line := range location.Line {
				for _, prefix := range part.prefixes {
					if strings.HasPrefix(line.Function.Name, prefix) {
						return part.name
					}
				}
			}
		}
	}
	return "other"
}

func hello(w io.Writer) { _, _ = io.WriteString(w, "hello\n") }

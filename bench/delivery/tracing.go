package main

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

//go:embed hello.ts
var helloTS []byte

// contender is a server whose cost is measured, traced or not.
type contender struct {
	name  string
	kind  string // of a Go server; empty: Deno
	ratio float64
	bare  string   // the name of the same server untraced; empty: this one is
	args  []string // of a Go server, beside the above
	env   []string
}

func contenders() []contender {
	list := []contender{{name: "Go, bare", kind: "bare"}, {name: "Deno, bare"}}
	for _, ratio := range []float64{1, 0.01, 0} {
		percent := fmt.Sprintf(", %g %%", 100*ratio)
		list = append(list,
			contender{name: "stock" + percent, kind: "stock", ratio: ratio, bare: "Go, bare"},
			contender{name: "clew" + percent, kind: "clew", ratio: ratio, bare: "Go, bare"},
			contender{name: "Deno" + percent, ratio: ratio, bare: "Deno, bare"})
	}
	variant := func(name, kind string, env []string, args ...string) {
		list = append(list, contender{name: name, kind: kind, ratio: 1, bare: "Go, bare", env: env, args: args})
	}
	variant("stock, 100 %, waits for room", "blocking", nil)
	variant("clew, 100 %, batches of 512", "clew", nil, "-batch", "512")
	variant("clew, 100 %, batches of 8,192", "clew", nil, "-batch", "8192")
	variant("stock, 100 %, with metrics", "stock", nil, "-metrics")
	variant("clew, 100 %, with metrics", "clew", nil, "-metrics")
	variant("stock, 100 %, gzip", "stock", nil, "-gzip")
	variant("clew, 100 %, gzip", "clew", nil, "-gzip")
	variant("stock, 100 %, GOGC=400", "stock", []string{"GOGC=400"})
	variant("clew, 100 %, GOGC=400", "clew", []string{"GOGC=400"})
	return list
}

// cost is what one contender did in one round.
type cost struct {
	throughput float64       // requests per second
	cpu        time.Duration // of the server for one request, until everything was delivered
	allCPU     time.Duration // with the load generator and the sink
	sampled    int64         // spans, where the server says so
	delivered  int
	peakMB     float64 // resident
}

const saturating = 32 // connections

// tracing measures each contender once in each round, in an order that turns, and
// compares within the round. The sink answers at once.
func tracing(t *text, rounds int, scale float64) error {
	deno, missing := findDeno()
	var list []contender
	for _, c := range contenders() {
		if c.kind != "" || deno != nil {
			list = append(list, c)
		}
	}
	costs := make(map[string][]cost)
	for round := range rounds {
		for i := range list {
			c := list[(i+round)%len(list)]
			got, err := measureCost(c, deno, time.Duration(float64(4*time.Second)*scale), "")
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			costs[c.name] = append(costs[c.name], got)
		}
	}
	t.say("Medians of %d rounds, each relative to the others of its round.\n\n", rounds)
	t.say("| server, sampled | CPU per request | of stock | added to bare, of stock | with load and sink | of stock | requests/s | of stock | of bare | delivered | peak MB |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, c := range list {
		t.say("%s", costLine(c, costs))
	}
	if missing != "" {
		t.say("\n%s\n", missing)
	}
	return errors.Join(records(t, rounds, scale), shares(t, deno, scale, costs), deno.remove())
}

func costLine(c contender, costs map[string][]cost) string {
	own := costs[c.name]
	against := func(name string, of func(cost) float64) string {
		others := costs[name]
		if len(others) == 0 {
			return "-"
		}
		return fmt.Sprintf("%.2f", median(own, func(i int) float64 { return of(own[i]) / of(others[i]) }))
	}
	throughput := func(c cost) float64 { return c.throughput }
	cpu := func(c cost) float64 { return c.cpu.Seconds() }
	all := func(c cost) float64 { return c.allCPU.Seconds() }
	added := func(c, bare cost) float64 { return (c.cpu - bare.cpu).Seconds() }
	stock := ""
	if _, percent, ok := strings.Cut(c.name, ", "); ok && c.bare != "" {
		percent, _, _ = strings.Cut(percent, ",")
		stock = "stock, " + percent
	}
	more := "-"
	if stocks, bares := costs[stock], costs[c.bare]; len(stocks) > 0 && len(bares) > 0 {
		gone := costs["Go, bare"]
		more = fmt.Sprintf("%.2f", median(own, func(i int) float64 { return added(own[i], bares[i]) / added(stocks[i], gone[i]) }))
	}
	delivered := "-"
	if sum := total(own, func(c cost) int64 { return c.sampled }); sum > 0 {
		delivered = fmt.Sprintf("%.2f %%", 100*float64(total(own, func(c cost) int64 { return int64(c.delivered) }))/float64(sum))
	}
	return fmt.Sprintf("| %s | %.1f us | %s | %s | %.1f us | %s | %.0f | %s | %s | %s | %.0f |\n", c.name,
		1e6*median(own, func(i int) float64 { return own[i].cpu.Seconds() }), against(stock, cpu), more,
		1e6*median(own, func(i int) float64 { return own[i].allCPU.Seconds() }), against(stock, all),
		median(own, func(i int) float64 { return own[i].throughput }), against(stock, throughput),
		against(c.bare, throughput), delivered, median(own, func(i int) float64 { return own[i].peakMB }))
}

func median(costs []cost, of func(i int) float64) float64 {
	values := make([]float64, len(costs))
	for i := range costs {
		values[i] = of(i)
	}
	return middle(values)
}

// middle returns the median.
func middle(values []float64) float64 {
	values = slices.Sorted(slices.Values(values))
	return (values[(len(values)-1)/2] + values[len(values)/2]) / 2
}

func total(costs []cost, of func(cost) int64) (sum int64) {
	for _, c := range costs {
		sum += of(c)
	}
	return sum
}

// measureCost saturates a server of its own for a while.
func measureCost(c contender, deno *denoProgram, d time.Duration, profile string) (got cost, err error) {
	sinkProc, err := start("-role", "sink")
	if err != nil {
		return got, err
	}
	defer sinkProc.endInto(&err)
	addr, _, control, err := sinkProc.addresses()
	if err != nil {
		return got, err
	}
	loadBefore := cpu()
	var server *process
	if c.kind == "" {
		server, err = startProgram(deno.command(c, addr))
	} else {
		server, err = startWith(c.env, append([]string{"-role", "server", "-kind", c.kind, "-sink", addr, "-ratio", fmt.Sprint(c.ratio), "-profile", profile}, c.args...)...)
	}
	if err != nil {
		return got, err
	}
	startup, err := server.cpu()
	if err != nil {
		return got, errors.Join(err, server.end())
	}
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	begin := time.Now()
	requests := load(ctx, server.first, saturating, 0)
	got.throughput = float64(requests) / time.Since(begin).Seconds()
	others := cpu() - loadBefore
	if err := server.end(); err != nil {
		return got, err
	}
	used := server.cmd.ProcessState.UserTime() + server.cmd.ProcessState.SystemTime()
	if u, ok := server.cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		got.peakMB = float64(u.Maxrss) / 1024
	}
	got.cpu = (used - startup) / time.Duration(max(requests, 1))
	if c.ratio == 1 {
		got.sampled = requests
	}
	var stats sinkStats
	if err := getJSON("http://"+control+"/", &stats); err != nil {
		return got, err
	}
	got.delivered = stats.Unique
	sinkCPU, err := sinkProc.cpu()
	got.allCPU = got.cpu + (others+sinkCPU)/time.Duration(max(requests, 1))
	return got, err
}

// cpu returns the user and system time of a running process, in hundredths of a
// second (proc_pid_stat(5), utime and stime).
func (p *process) cpu() (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat is %q", p.cmd.Process.Pid, stat)
	}
	var ticks int64
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / 100, nil
}

// denoProgram is Deno and the program it runs.
type denoProgram struct{ program, dir string }

// findDeno looks for Deno on the PATH and where `npm install` in the directory
// above puts it. It returns nil and the reason if there is none.
func findDeno() (*denoProgram, string) {
	installed, _ := filepath.Glob("../node_modules/@deno/*/deno")
	onPath, _ := exec.LookPath("deno")
	program := cmp.Or(slices.Concat(installed, []string{onPath})...)
	if program == "" {
		return nil, "Deno was not measured: it is not on the PATH, nor in ../node_modules (`npm install`)."
	}
	dir, err := os.MkdirTemp("", "deno")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "hello.ts"), helloTS, 0o600)
	}
	if err != nil {
		return nil, "Deno was not measured: " + err.Error()
	}
	return &denoProgram{program, dir}, ""
}

func (d *denoProgram) remove() error {
	if d == nil {
		return nil
	}
	return os.RemoveAll(d.dir)
}

func (d *denoProgram) command(c contender, sink string) *exec.Cmd {
	cmd := exec.CommandContext(context.Background(), d.program, "run", "--quiet", "--allow-net", filepath.Join(d.dir, "hello.ts")) //nolint:gosec // found above
	cmd.Env = append(os.Environ(), "DENO_DIR="+filepath.Join(d.dir, "cache"), "DENO_NO_UPDATE_CHECK=1")
	if c.bare != "" {
		cmd.Env = append(cmd.Env, "OTEL_DENO=true", "OTEL_SERVICE_NAME=hello", "OTEL_EXPORTER_OTLP_ENDPOINT=http://"+sink,
			"OTEL_TRACES_SAMPLER=parentbased_traceidratio", fmt.Sprint("OTEL_TRACES_SAMPLER_ARG=", c.ratio))
	}
	return cmd
}

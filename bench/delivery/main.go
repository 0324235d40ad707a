// Command delivery measures what becomes of spans on their way to a collector
// that is slow, restarting or gone, with the stock pipeline and with clew's. The
// server that is traced and the collector are processes of their own; faults
// happen at the collector's socket.
//
//	go run . -rows 'outage' -scale 0.2
//	go run -race . -scale 0.1 -parallel 4
//	go run . -tracing
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

func main() {
	role := flag.String("role", "", "what this process is; set by the command itself")
	kind := flag.String("kind", "", "pipeline of the server; set by the command itself")
	sinkAddr := flag.String("sink", "", "address of the sink; set by the command itself")
	spool := flag.String("spool", "", "spool directory of the server; set by the command itself")
	deadline := flag.Duration("deadline", 30*time.Second, "of the server's Shutdown; set by the command itself")
	rows := flag.String("rows", ".", "regular expression of the rows to measure")
	scale := flag.Float64("scale", 1, "factor for durations of load and outages")
	parallel := flag.Int("parallel", 1, "rows at a fixed rate measured at the same time")
	out := flag.String("out", "", "file to write the table to, beside standard output")
	ratio := flag.Float64("ratio", 1, "share of requests the server samples; set by the command itself")
	cpuProfile := flag.String("profile", "", "file for the server's CPU profile; set by the command itself")
	tracing := flag.Bool("tracing", false, "measure what a traced service keeps of its throughput, instead of the rows")
	rounds := flag.Int("rounds", 7, "of -tracing")
	length := flag.Duration("length", 3*time.Second, "of a round of -tracing")
	deno := flag.String("deno", "", "Deno's executable for -tracing; without it, Deno is left out")
	flag.Parse()

	var err error
	switch {
	case *role == "sink":
		err = runSink()
	case *role == "server":
		err = profiled(*cpuProfile, func() error { return runServer(*kind, *sinkAddr, *spool, *ratio, *deadline) })
	case *tracing:
		err = compareTracing(*rounds, *length, *deno, *out)
	default:
		err = run(*rows, *scale, *parallel, *out)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// row is one line of the table.
type row struct {
	name     string
	fault    string
	outage   time.Duration // of which the fault lasts
	flaps    bool          // the fault comes and goes every second
	ends     bool          // the fault lasts to the end
	kill     bool          // the server gets kill -9 at the end of the load, and a successor
	latency  time.Duration
	conns    int
	rate     int // 0: saturation
	load     time.Duration
	deadline time.Duration
	kinds    []string
}

func table() []row {
	both := []string{"stock", "clew"}
	var rows []row
	for _, latency := range []time.Duration{0, 20 * time.Millisecond, 200 * time.Millisecond} {
		rows = append(rows, row{name: fmt.Sprintf("saturation, sink answers after %v", latency), latency: latency, conns: 32, load: 10 * time.Second, kinds: both})
	}
	rows = append(rows, row{name: "cost, sink answers at once", conns: 32, load: 10 * time.Second, kinds: []string{"bare", "stock", "clew"}})
	for _, d := range []time.Duration{5 * time.Second, 20 * time.Second, 60 * time.Second} {
		for _, fault := range []string{"refused", "black hole", "503", "503 Retry-After"} {
			rows = append(rows, row{name: fmt.Sprintf("outage %.0f s at 1,000/s, %s", d.Seconds(), fault), fault: fault, outage: d, conns: 4, rate: 1000, load: d + 8*time.Second, kinds: both})
		}
	}
	rows = append(rows,
		row{name: "answers lost for 5 s at 1,000/s", fault: "answer lost", outage: 5 * time.Second, conns: 4, rate: 1000, load: 13 * time.Second, kinds: both},
		row{name: "up 1 s, down 1 s for 60 s at 1,000/s", fault: "refused", flaps: true, outage: 60 * time.Second, conns: 4, rate: 1000, load: 65 * time.Second, kinds: both},
		row{name: "big outage 60 s at 12,000/s, refused", fault: "refused", outage: 60 * time.Second, conns: 8, rate: 12000, load: 68 * time.Second, kinds: both})
	for _, fault := range []string{"refused", "black hole", "503"} {
		rows = append(rows, row{name: "shutdown within 5 s, " + fault, fault: fault, ends: true, conns: 4, rate: 1000, load: 8 * time.Second, deadline: 5 * time.Second, kinds: both})
	}
	for _, d := range []time.Duration{5 * time.Second, 20 * time.Second} {
		for _, fault := range []string{"refused", "black hole", "503"} {
			rows = append(rows, row{name: fmt.Sprintf("gRPC outage %.0f s at 1,000/s, %s", d.Seconds(), fault), fault: fault, outage: d, conns: 4, rate: 1000, load: d + 8*time.Second, kinds: []string{"grpc", "grpc-patient"}})
		}
	}
	killed := []string{"stock", "spool", "journal"}
	rows = append(rows,
		row{name: "kill -9 at 1,000/s, sink up", kill: true, conns: 4, rate: 1000, load: 7300 * time.Millisecond, kinds: killed},
		row{name: "kill -9 at 1,000/s, sink refuses", kill: true, fault: "refused", ends: true, conns: 4, rate: 1000, load: 7300 * time.Millisecond, kinds: killed},
		row{name: "cost of a spool, sink answers at once", conns: 32, load: 10 * time.Second, kinds: []string{"stock", "clew", "spool", "journal"}})
	return rows
}

// result is what a pipeline made of a row.
type result struct {
	serverReport
	sinkStats

	requests int64
	took     time.Duration
}

func run(pattern string, scale float64, parallel int, out string) error {
	match, err := regexp.Compile(pattern)
	if err != nil {
		return err
	}
	var text strings.Builder
	say := func(format string, args ...any) {
		fmt.Printf(format, args...)
		fmt.Fprintf(&text, format, args...)
	}
	say("`go run . -rows '%s' -scale %g -parallel %d` on %d CPUs, %s\n\n", pattern, scale, parallel, runtime.NumCPU(), runtime.Version())
	say("| test | pipeline | spans ended | lost | counted | twice | Shutdown | error | requests/s | CPU per request | rest MB | peak MB |\n")
	say("|---|---|--:|--:|--:|--:|--:|---|--:|--:|--:|--:|\n")

	slots := make(chan struct{}, max(parallel, 1))
	var done []chan string
	var wg sync.WaitGroup
	for _, r := range table() {
		if !match.MatchString(r.name) {
			continue
		}
		for _, kind := range r.kinds {
			line := make(chan string, 1)
			done = append(done, line)
			wg.Go(func() {
				need := 1
				if r.rate != 1000 {
					need = cap(slots) // nothing beside it
				}
				exclusive.Lock()
				for range need {
					slots <- struct{}{}
				}
				exclusive.Unlock()
				line <- measureLine(r, kind, scale)
				for range need {
					<-slots
				}
			})
		}
	}
	for _, line := range done {
		say("%s", <-line)
	}
	wg.Wait()
	if n := raced.Load(); n > 0 {
		return fmt.Errorf("the race detector stopped %d processes", n)
	}
	if out == "" {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return err
	}
	return os.WriteFile(out, []byte(text.String()), 0o644) //nolint:gosec // a table for everyone to read
}

// exclusive lets one row at a time collect the slots it needs.
var exclusive sync.Mutex

func measureLine(r row, kind string, scale float64) string {
	res, err := measure(r, kind, scale)
	if err != nil {
		return fmt.Sprintf("| %s | %s | failed: %v |\n", r.name, kind, err)
	}
	perRequest := fmt.Sprintf("%.1f us", float64(res.CPU.Microseconds())/float64(max(res.requests, 1)))
	if r.kill {
		perRequest = "-" // one process made the requests, another one reports
	}
	message := "-"
	if res.Error != "" {
		message = strings.ReplaceAll(strings.ReplaceAll(res.Error, "\n", "; "), "|", "/")
	}
	return fmt.Sprintf("| %s | %s | %d | %d | %d | %d | %.2f s | %s | %.0f | %s | %d | %d |\n",
		r.name, kind, res.Ended, res.Ended-int64(res.Unique), res.Counted, res.Duplicates, res.Shutdown.Seconds(), message,
		float64(res.requests)/res.took.Seconds(), perRequest, res.RestKB>>10, res.PeakKB>>10)
}

func measure(r row, kind string, scale float64) (res result, err error) {
	scaled := func(d time.Duration) time.Duration { return time.Duration(float64(d) * scale) }
	sinkProc, err := start("-role", "sink")
	if err != nil {
		return res, err
	}
	defer sinkProc.end()
	addr, controlAddr, _ := strings.Cut(sinkProc.first, " ")
	control := func(query string) error {
		return getJSON("http://"+controlAddr+"/?"+query, &res.sinkStats)
	}
	if err := control("latency=" + r.latency.String()); err != nil {
		return res, err
	}
	if r.deadline == 0 {
		r.deadline = 30 * time.Second
	}
	spool, err := os.MkdirTemp("", "spool")
	if err != nil {
		return res, err
	}
	defer os.RemoveAll(spool)
	args := []string{"-role", "server", "-kind", kind, "-sink", addr, "-spool", spool, "-deadline", r.deadline.String()}
	server, err := start(args...)
	if err != nil {
		return res, err
	}
	defer server.end()

	ctx, cancel := context.WithTimeout(context.Background(), scaled(r.load))
	defer cancel()
	faults := make(chan error, 1)
	go func() { faults <- spoil(ctx, r, scaled, control) }()
	begin := time.Now()
	res.requests = load(ctx, server.first, r.conns, r.rate)
	res.took = time.Since(begin)
	if err := <-faults; err != nil {
		return res, err
	}
	var before int64
	if r.kill {
		if err := errors.Join(server.kill(), control("fault=")); err != nil {
			return res, err
		}
		// The successor delivers what it finds when it has something of its own
		// to deliver. Of the one killed, answered requests are all that is known.
		if server, err = start(args...); err != nil {
			return res, err
		}
		defer server.end()
		before = res.requests
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		load(ctx, server.first, 1, 10)
	}
	last, err := server.finish()
	if err != nil {
		return res, err
	}
	if err := json.Unmarshal([]byte(last), &res.serverReport); err != nil {
		return res, fmt.Errorf("report %q: %w", last, err)
	}
	res.Ended += before
	return res, control("")
}

// spoil makes the row's fault come 2 s after the start, and go.
func spoil(ctx context.Context, r row, scaled func(time.Duration) time.Duration, control func(string) error) error {
	if r.fault == "" {
		return nil
	}
	wait := func(d time.Duration) bool {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(d):
			return true
		}
	}
	set := func(fault string) error { return control("fault=" + url.QueryEscape(fault)) }
	wait(scaled(2 * time.Second))
	if r.flaps {
		for end := time.Now().Add(scaled(r.outage)); time.Now().Before(end); {
			if err := set(r.fault); err != nil {
				return err
			}
			wait(time.Second)
			if err := set(""); err != nil {
				return err
			}
			wait(time.Second)
		}
		return nil
	}
	if err := set(r.fault); err != nil || r.ends {
		return err
	}
	wait(scaled(r.outage))
	return set("")
}

// process is a child that prints a line when it is ready, ends when its
// standard input is closed, and may print another line then.
type process struct {
	cmd   *exec.Cmd
	in    io.Closer
	out   *bufio.Scanner
	first string
}

func start(args ...string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return startCommand(exec.CommandContext(context.Background(), self, args...))
}

func startCommand(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd}
	var err error
	p.cmd.Stderr = os.Stderr
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewScanner(stdout)
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	if !p.out.Scan() {
		p.end()
		return nil, errors.New("child process ended before it was ready")
	}
	p.first = p.out.Text()
	return p, nil
}

func (p *process) finish() (string, error) {
	_ = p.in.Close()
	if !p.out.Scan() {
		return "", errors.New("child process ended without a report")
	}
	return p.out.Text(), nil
}

// kill is kill -9. It returns when the process is gone, and its locks with it.
func (p *process) kill() error {
	if err := p.cmd.Process.Kill(); err != nil {
		return err
	}
	_ = p.cmd.Wait() // which says that it was killed
	return nil
}

// raced counts the children in which the race detector found something, which
// it says on standard error and with its exit code.
var raced atomic.Int32

const exitRace = 66

func (p *process) end() {
	_ = p.in.Close()
	_ = p.cmd.Wait()
	if p.cmd.ProcessState.ExitCode() == exitRace {
		raced.Add(1)
	}
}

func decode(text string, into any) error { return json.Unmarshal([]byte(text), into) }

func getJSON(url string, into any) error {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return json.NewDecoder(resp.Body).Decode(into)
}

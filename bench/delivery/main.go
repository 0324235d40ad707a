// Command delivery measures what becomes of spans and log records on their way to
// a collector that is slow, restarting or gone, with the stock pipeline and with
// clew's. The server that is traced and the collector are processes of their own;
// faults happen at the collector's socket.
//
//	go run . -rows 'outage' -scale 0.2
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"
)

func main() {
	role := flag.String("role", "", "what this process is; set by the command itself")
	var server serverConfig
	flag.StringVar(&server.kind, "kind", "", "pipeline of the server; set by the command itself")
	flag.StringVar(&server.sink, "sink", "", "address of the sink; set by the command itself")
	flag.StringVar(&server.spool, "spool", "", "spool directory of the server; set by the command itself")
	flag.Float64Var(&server.ratio, "ratio", 1, "share of traces that the server samples; set by the command itself")
	flag.IntVar(&server.batch, "batch", 0, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE of the server; set by the command itself")
	flag.BoolVar(&server.gzip, "gzip", false, "compress the requests of the server; set by the command itself")
	flag.BoolVar(&server.metrics, "metrics", false, "the server exports metrics too; set by the command itself")
	flag.BoolVar(&server.logs, "logs", false, "the server exports log records instead of spans; set by the command itself")
	flag.DurationVar(&server.deadline, "deadline", 30*time.Second, "of the server's Shutdown; set by the command itself")
	flag.StringVar(&server.profile, "profile", "", "file for a CPU profile of the server; set by the command itself")

	var s selection
	rows := flag.String("rows", ".", "regular expression of the rows to measure")
	kinds := flag.String("kinds", ".", "regular expression of the pipelines to measure")
	flag.Float64Var(&s.scale, "scale", 1, "factor for durations of load and outages")
	flag.Float64Var(&s.load, "load", 1, "factor for connections and requests per second")
	flag.IntVar(&s.parallel, "parallel", 1, "rows at a fixed rate measured at the same time")
	rounds := flag.Int("tracing", 0, "measure what tracing costs instead, in so many rounds")
	out := flag.String("out", "", "file to write the table to, beside standard output")
	flag.Parse()

	var err error
	switch *role {
	case "sink":
		err = runSink()
	case "server":
		err = runServer(server)
	case "recorder":
		err = runRecorder(server)
	default:
		var errRows, errKinds error
		s.rows, errRows = regexp.Compile(*rows)
		s.kinds, errKinds = regexp.Compile(*kinds)
		if err = errors.Join(errRows, errKinds); err != nil {
			break
		}
		t := new(text)
		t.say("`%s` on %d CPUs, %s\n\n", command(), runtime.NumCPU(), runtime.Version())
		if *rounds > 0 {
			err = tracing(t, *rounds, s.scale)
		} else {
			err = run(t, s)
		}
		err = errors.Join(err, t.write(*out))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// command is what this process was started with, as one would type it.
func command() string {
	words := []string{"go run"}
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		words = append(words, "-race")
	}
	words = append(words, ".")
	for _, arg := range os.Args[1:] {
		if strings.ContainsAny(arg, " ^$|()*\\") {
			arg = "'" + arg + "'"
		}
		words = append(words, arg)
	}
	return strings.Join(words, " ")
}

// selection is what of the table is measured, and how.
type selection struct {
	rows, kinds *regexp.Regexp
	scale, load float64
	parallel    int
}

// text is printed as it grows, and written to a file in the end.
type text struct{ strings.Builder }

func (t *text) say(format string, args ...any) {
	fmt.Printf(format, args...)
	fmt.Fprintf(t, format, args...)
}

func (t *text) write(out string) error {
	if out == "" {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return err
	}
	return os.WriteFile(out, []byte(t.String()), 0o644) //nolint:gosec // a table for everyone to read
}

// row is one line of the table.
type row struct {
	name     string
	fault    string
	outage   time.Duration // of which the fault lasts
	flaps    bool          // the fault comes and goes every second
	ends     bool          // the fault lasts to the end
	logs     bool          // of log records, not of spans
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
	all := []string{"stock", "clew", "grpc", "clew grpc"}
	var rows []row
	for _, latency := range []time.Duration{0, 20 * time.Millisecond, 200 * time.Millisecond} {
		rows = append(rows, row{name: fmt.Sprintf("saturation, sink answers after %v", latency), latency: latency, conns: 32, load: 10 * time.Second, kinds: all})
	}
	rows = append(rows, row{name: "cost, sink answers at once", conns: 32, load: 10 * time.Second, kinds: []string{"bare", "stock", "blocking", "clew"}})
	for _, d := range []time.Duration{5 * time.Second, 20 * time.Second, 60 * time.Second} {
		for _, fault := range []string{"refused", "black hole", "503", "503 Retry-After"} {
			kinds := all
			if fault == "503 Retry-After" {
				kinds = both // gRPC has no such answer
			}
			rows = append(rows, row{name: fmt.Sprintf("outage %.0f s at 1,000/s, %s", d.Seconds(), fault), fault: fault, outage: d, conns: 4, rate: 1000, load: d + 8*time.Second, kinds: kinds})
		}
	}
	rows = append(rows,
		row{name: "answers lost for 5 s at 1,000/s", fault: "answer lost", outage: 5 * time.Second, conns: 4, rate: 1000, load: 13 * time.Second, kinds: both},
		row{name: "up 1 s, down 1 s for 60 s at 1,000/s", fault: "refused", flaps: true, outage: 60 * time.Second, conns: 4, rate: 1000, load: 65 * time.Second, kinds: both},
		row{name: "big outage 60 s at 12,000/s, refused", fault: "refused", outage: 60 * time.Second, conns: 8, rate: 12000, load: 68 * time.Second, kinds: all},
		row{name: "log records, outage 60 s at 1,000/s, refused", logs: true, fault: "refused", outage: 60 * time.Second, conns: 4, rate: 1000, load: 68 * time.Second, kinds: all})
	for _, fault := range []string{"refused", "black hole", "503"} {
		rows = append(rows, row{name: "shutdown within 5 s, " + fault, fault: fault, ends: true, conns: 4, rate: 1000, load: 8 * time.Second, deadline: 5 * time.Second, kinds: both})
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

func run(t *text, s selection) error {
	t.say("| test | pipeline | ended | lost | counted | twice | Shutdown | error | requests/s | CPU per request | rest MB | peak MB |\n")
	t.say("|---|---|--:|--:|--:|--:|--:|---|--:|--:|--:|--:|\n")
	slots := make(chan struct{}, max(s.parallel, 1))
	var done []chan string
	var wg sync.WaitGroup
	for _, r := range table() {
		if !s.rows.MatchString(r.name) {
			continue
		}
		r.conns, r.rate = int(math.Ceil(float64(r.conns)*s.load)), int(math.Ceil(float64(r.rate)*s.load))
		for _, kind := range r.kinds {
			if !s.kinds.MatchString(kind) {
				continue
			}
			line := make(chan string, 1)
			done = append(done, line)
			wg.Go(func() {
				need := 1
				if r.rate == 0 || r.rate > 1000 {
					need = cap(slots) // nothing beside it
				}
				exclusive.Lock()
				for range need {
					slots <- struct{}{}
				}
				exclusive.Unlock()
				line <- measureLine(r, kind, s.scale)
				for range need {
					<-slots
				}
			})
		}
	}
	for _, line := range done {
		t.say("%s", <-line)
	}
	wg.Wait()
	return nil
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
	defer sinkProc.endInto(&err)
	addr, grpcAddr, controlAddr, err := sinkProc.addresses()
	if err != nil {
		return res, err
	}
	if strings.HasSuffix(kind, "grpc") {
		addr = grpcAddr
	}
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
	args := []string{"-role", "server", "-kind", kind, "-sink", addr, "-spool", spool, "-deadline", r.deadline.String(), fmt.Sprint("-logs=", r.logs)}
	server, err := start(args...)
	if err != nil {
		return res, err
	}
	defer func() { server.endInto(&err) }()

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

func start(args ...string) (*process, error) { return startWith(nil, args...) }

func startWith(env []string, args ...string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(context.Background(), self, args...)
	cmd.Env = append(os.Environ(), env...)
	return startProgram(cmd)
}

func startProgram(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd}
	p.cmd.Stderr = os.Stderr
	return p, p.run()
}

func (p *process) run() (err error) {
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return err
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	p.out = bufio.NewScanner(stdout)
	if err := p.cmd.Start(); err != nil {
		return err
	}
	if !p.out.Scan() {
		return errors.Join(errors.New("child process ended before it was ready"), p.end())
	}
	p.first = p.out.Text()
	return nil
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

// end ends the process, unless it has ended already, and says if it failed; a
// race that the detector found is a failure.
func (p *process) end() error {
	if p.cmd.ProcessState != nil {
		return nil
	}
	_ = p.in.Close()
	if err := p.cmd.Wait(); err != nil {
		return fmt.Errorf("child process: %w", err)
	}
	return nil
}

func (p *process) endInto(err *error) { *err = errors.Join(*err, p.end()) }

// addresses of a sink.
func (p *process) addresses() (http, grpc, control string, err error) {
	_, err = fmt.Sscan(p.first, &http, &grpc, &control)
	return http, grpc, control, err
}

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

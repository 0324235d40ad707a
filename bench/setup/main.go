// Setup compares ways to set telemetry up: lines of code, what they do with the
// variables of the specification, with bad values and with a collector that is
// away for five seconds, the size of the binary, and the time until the set-up
// has returned. It writes a Markdown page, and fails if a server with otelsetup
// is larger than [maxSize]:
//
//	go run . > RESULTS.md
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// rounds is how often each program is started, in turns.
	rounds = 41
	// maxSize is what the stripped server with otelsetup and clewhttp may have, in
	// bytes.
	maxSize = 10_500_000
)

type program struct {
	dir, name string
	variables bool // it reads the environment
	binary    string
	withWork  string   // the same, built to run and to record
	server    []string // what to build for a server with it
	size      int64    // of the server
	lines     int
	took      []time.Duration
	counts    counts
	lost      lost
}

// counts is what the tests of the variables write.
type counts struct {
	Variables, Honoured int
	BadValues, Reported int
	Died                []string
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "setup:", err)
		os.Exit(1)
	}
}

func run() error {
	bare := &program{dir: "bare", name: "SDK and OTLP/HTTP exporters alone"}
	clew := &program{dir: "clew", name: "otelsetup", variables: true, server: []string{"./hello"}}
	compared := []*program{
		{dir: "plain", name: "plain SDK code", variables: true, server: otherServer("plain")},
		{dir: "auto", name: "autoexport and autoprop", variables: true, server: otherServer("auto")},
		{dir: "conf", name: "otelconf", server: otherServer("conf")},
		clew,
	}
	tmp, err := os.MkdirTemp("", "setup")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	all := append([]*program{bare}, compared...)
	for _, p := range all {
		if err := p.build(tmp); err != nil {
			return err
		}
	}
	if clew.size > maxSize {
		return fmt.Errorf("the server with otelsetup has %d bytes, more than %d", clew.size, maxSize)
	}
	for range rounds {
		for _, p := range all {
			if err := p.start(); err != nil {
				return err
			}
		}
	}
	for _, p := range compared {
		if err := p.count(tmp); err != nil {
			return err
		}
	}
	if err := outage(compared); err != nil {
		return err
	}
	return write(bare, compared)
}

// otherServer builds a program as a server. The set-up is in its directory.
func otherServer(dir string) []string { return []string{"-tags=server", "./" + dir} }

func write(bare *program, compared []*program) error {
	var table strings.Builder
	row := func(what string, value func(*program) string) {
		fmt.Fprintf(&table, "| %s |", what)
		for _, p := range compared {
			fmt.Fprintf(&table, " %s |", value(p))
		}
		table.WriteString("\n")
	}
	row("", func(p *program) string { return p.name })
	table.WriteString("|---|" + strings.Repeat("---|", len(compared)) + "\n")
	unless := func(value func(*program) string) func(*program) string {
		return func(p *program) string {
			if !p.variables {
				return "-"
			}
			return value(p)
		}
	}
	row("lines of set-up code", func(p *program) string { return strconv.Itoa(p.lines) })
	row("variables of the specification honoured", func(p *program) string {
		if !p.variables {
			return fmt.Sprintf("1 of %d", compared[0].counts.Variables)
		}
		return fmt.Sprintf("%d of %d", p.counts.Honoured, p.counts.Variables)
	})
	row("bad values reported", unless(func(p *program) string { return fmt.Sprintf("%d of %d", p.counts.Reported, p.counts.BadValues) }))
	row("bad values that end the program", unless(func(p *program) string { return strconv.Itoa(len(p.counts.Died)) }))
	row("spans lost while the collector is away for 5 s", func(p *program) string { return p.lost.String() })
	row("binary of a server, stripped", func(p *program) string { return fmt.Sprintf("%.1f MB", float64(p.size)/1e6) })
	row("time to set up", func(p *program) string {
		return fmt.Sprintf("%.2f ms, x%.2f", p.median().Seconds()*1e3, p.median().Seconds()/bare.median().Seconds())
	})
	fmt.Printf(`# Ways to set telemetry up

Written by %s in this directory. The programs are the folders beside it; all of them set up traces,
metrics and logs over OTLP/HTTP, the logger, the HTTP client and the runtime metrics.

%s
- A variable is honoured if every row about it in docs/environment.md comes out as it stands there, the rows about names
  and values beyond the specification left out. otelconf reads a file in place of the variables: OTEL_CONFIG_FILE is the one.
  To run them, otelsetup has its opt-in imports for gRPC, client certificates, Zipkin, Prometheus, Jaeger and files; its
  binary above is without, as otelsetup comes.
- Each of %d variables gets each of %d bad values, one at a time, but for -1 where that means no limit. One is reported if the
  program prints the variable's name or the value, whatever else it says.
- The collector is away from the 5th to the 10th second of %d at 1,000 spans per second; what arrives twice counts once.
- The server answers "hello" behind otelhttp, with otelsetup behind clewhttp. Times are the median of %d starts, in turns, of the set-up
  call alone, and beside that of the SDK and its exporters alone. The programs timed are no servers.
`, "`go run . > RESULTS.md`", table.String(), (compared[0].counts.BadValues+len(badValues)-1)/len(badValues), len(badValues), seconds, rounds)
	return writeDocument(table.String())
}

// document is where the table stands too, between marks.
const document = "../../docs/setup.md"

func writeDocument(table string) error {
	text, err := os.ReadFile(document)
	if err != nil {
		return err
	}
	const begin, end = "<!-- begin comparison -->\n", "<!-- end comparison -->"
	before, rest, _ := strings.Cut(string(text), begin)
	_, after, found := strings.Cut(rest, end)
	if !found {
		return fmt.Errorf("%s has no %s", document, end)
	}
	return os.WriteFile(document, []byte(before+begin+table+end+after), 0o644) //nolint:gosec // documentation
}

// badValues is as many as the tests have.
var badValues = [9]struct{}{}

func (p *program) build(tmp string) error {
	p.binary = filepath.Join(tmp, p.dir)
	// unknown_service: is followed by the file's name.
	p.withWork = filepath.Join(tmp, "with-work", p.dir, "conformance.test")
	server := filepath.Join(tmp, p.dir+"-server")
	builds := [][]string{{"-o", p.binary, "./" + p.dir}, {"-tags=conformance", "-o", p.withWork, "./" + p.dir}}
	if p.server != nil {
		builds = append(builds, append([]string{"-o", server}, p.server...))
	}
	for _, args := range builds {
		args = append([]string{"build", "-trimpath", "-ldflags=-s -w"}, args...)
		cmd := exec.Command("go", args...) //nolint:gosec,noctx // the directories above
		cmd.Stderr = os.Stderr
		if err := cmd.Run(); err != nil {
			return err
		}
	}
	if p.server != nil {
		info, err := os.Stat(server)
		if err != nil {
			return err
		}
		p.size = info.Size()
	}
	text, err := os.ReadFile(filepath.Join(p.dir, "main.go"))
	if err != nil {
		return err
	}
	_, code, _ := strings.Cut(string(text), "// begin set-up\n")
	code, _, _ = strings.Cut(code, "// end set-up")
	for line := range strings.Lines(code) {
		if strings.TrimSpace(line) != "" {
			p.lines++
		}
	}
	return nil
}

// env is the environment of the program.
func (p *program) env(more ...string) []string {
	env := append(os.Environ(), more...)
	if !p.variables && p.dir == "conf" {
		env = append(env, "OTEL_CONFIG_FILE="+filepath.Join("conf", "otel.yaml"))
	}
	return env
}

func (p *program) start() error {
	cmd := exec.Command(p.binary) //nolint:gosec,noctx // built above
	cmd.Env = p.env()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", p.dir, err, stderr.String())
	}
	ns, err := strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64)
	p.took = append(p.took, time.Duration(ns))
	return err
}

func (p *program) median() time.Duration {
	sorted := slices.Sorted(slices.Values(p.took))
	return sorted[len(sorted)/2]
}

// count runs the tests of docs/environment.md with the program.
func (p *program) count(tmp string) error {
	if !p.variables {
		return nil
	}
	report := filepath.Join(tmp, p.dir+".json")
	cmd := exec.Command("go", "test", "./otelsetup/internal/conformance", "-run=^TestProgram$", "-count=1", //nolint:gosec,noctx // files of this run
		"-args", "-program="+p.withWork, "-report="+report)
	cmd.Dir = filepath.Join("..", "..")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", p.dir, err, out)
	}
	text, err := os.ReadFile(report)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, &p.counts)
}

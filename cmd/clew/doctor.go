package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/clewtrace/clew/cmd/clew/internal/shadow"
	"github.com/clewtrace/clew/internal/doctor"
	"github.com/clewtrace/clew/internal/plaintext"
	"github.com/clewtrace/clew/internal/settings"
)

const doctorHelp = `Usage: clew doctor [flags]

Prints what otelsetup does with the OTEL_* variables of this environment, and
sends one span, one metric and one log record where they say. Everything that
is wrong is listed with its cure; the exit code is 1 then.

  -tempo url      read the span back from Tempo, such as http://localhost:3200
  -jaeger url     read the span back from Jaeger, such as http://localhost:16686
  -binary path    say instead whether "clew go" has built that program
  -wait duration  most time for the span to appear there (default 30s)
  -json           print the result as JSON

  OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318 clew doctor
`

var errProblems = errors.New("something is wrong")

func runDoctor(ctx context.Context, args []string, std stdio) error {
	var c doctor.Config
	f := newFlagSet("doctor")
	f.Func("tempo", "", baseURL(&c.Tempo))
	f.Func("jaeger", "", baseURL(&c.Jaeger))
	f.DurationVar(&c.Wait, "wait", 30*time.Second, "")
	asJSON := f.Bool("json", false, "")
	binary := f.String("binary", "", "")
	if err := parse(f, args); err != nil {
		return err
	}
	if f.NArg() > 0 {
		return usageError{fmt.Errorf("unexpected argument %q", f.Arg(0))}
	}
	if *binary != "" {
		return examineBinary(*binary, std.out)
	}
	result := doctor.Run(ctx, c)
	if ctx.Err() != nil {
		return errInterrupted
	}
	if *asJSON {
		out := json.NewEncoder(std.out)
		out.SetEscapeHTML(false)
		out.SetIndent("", "  ")
		if err := out.Encode(result); err != nil {
			return err
		}
	} else {
		p := newPrinter(std.out)
		p.examination(result)
	}
	if !result.OK {
		return errProblems
	}
	return nil
}

// examineBinary says whether a program was built by "clew go".
func examineBinary(path string, out io.Writer) error {
	with, err := shadow.BuiltWith(path)
	if err != nil {
		return err
	}
	if with == "" {
		return fmt.Errorf("%s was not built by clew go: it is traced only if its source says so", path)
	}
	toolchain, patches, _ := strings.Cut(with, " ")
	fmt.Fprintf(out, "%s was built by clew go, with %s and hooks %s\n", path, toolchain, patches)
	return nil
}

func baseURL(to **url.URL) func(string) error {
	return func(s string) error {
		u, err := url.Parse(s)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return errors.New("must be a URL such as http://localhost:3200")
		}
		*to = u
		return nil
	}
}

func (p *printer) examination(r *doctor.Result) {
	p.title("Settings", bold)
	name, value := 0, 0
	const widest = 40
	for i := range r.Settings {
		s := &r.Settings[i]
		s.Name, s.Value, s.Source = line(s.Name), line(s.Value), line(s.Source)
		name, value = max(name, len(s.Name)), max(value, min(len(s.Value), widest))
	}
	if p.width > 0 && p.width < 2+name+2+value+2+len(settings.Default) {
		name, value = 0, 0 // the columns do not fit
	}
	for _, s := range r.Settings {
		p.text("  ", 4, "", fmt.Sprintf("%-*s  %-*s  %s", name, s.Name, value, s.Value, s.Source))
	}
	for _, e := range r.Endpoints {
		p.title(fmt.Sprintf("%s  %s: %s", line(e.Address), e.Protocol, strings.Join(e.Signals, ", ")), bold)
		p.steps(e.Steps)
	}
	if len(r.ReadBack) > 0 {
		p.title("Read back", bold)
		p.steps(r.ReadBack)
	}
	if len(r.Notes) > 0 {
		p.title("Notes", bold)
		for _, n := range r.Notes {
			p.text("  ", 4, "", line(n))
		}
	}
	if r.OK {
		p.title("No problems", green)
		return
	}
	p.title("Problems", bold)
	for _, problem := range r.Problems {
		p.text("  ", 4, red, line(problem.Problem))
		p.text("    ", 6, "", "cure: "+line(problem.Cure))
	}
}

// line returns the text of a variable or a server as one line without control
// characters.
func line(text string) string { return plaintext.Line(text, 2000) }

func (p *printer) title(s, style string) {
	if p.printed {
		io.WriteString(p.out, "\n") //nolint:errcheck // as every other line
	}
	p.printed = true
	p.text("", 2, style, s)
}

func (p *printer) steps(steps []doctor.Step) {
	for _, s := range steps {
		state := p.paint(green, "ok  ")
		if !s.OK {
			state = p.paint(red, "FAIL")
		}
		lines := wrap("  xxxx  ", "    ", fmt.Sprintf("%-7s  %8.2f ms  %s", s.Name, s.Milliseconds, line(s.Detail)), p.width)
		lines[0] = "  " + state + strings.TrimPrefix(lines[0], "  xxxx")
		fmt.Fprintln(p.out, strings.Join(lines, "\n"))
	}
}

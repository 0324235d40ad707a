package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/clewtrace/clew/internal/explain"
)

const decodeHelp = `Usage: clew decode [traceparent [tracestate]] ...

Explains W3C trace context headers. Several can follow each other; without
arguments, all that occur on standard input are explained: a log, or what
curl -v prints. The exit code is 1 if one of them is invalid.

  clew decode 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01 'ot=th:c'
  curl -sv http://localhost:8000 2>&1 | clew decode
`

var errInvalid = errors.New("invalid headers")

// decode explains the headers in args, or those on standard input.
func decode(args []string, std stdio, now time.Time) error {
	f := newFlagSet("decode")
	if err := parse(f, args); err != nil {
		return err
	}
	p := newPrinter(std.out)
	p.now = now
	if f.NArg() > 0 {
		for _, header := range f.Args() {
			if looksLikeTracestate(header) {
				p.tracestate(header)
			} else {
				p.traceparent(header)
			}
		}
	} else if err := p.scan(std.in); err != nil {
		return err
	}
	if p.invalid {
		return errInvalid
	}
	return nil
}

// looksLikeTracestate reports whether a header is a tracestate and not a traceparent:
// only tracestate has an equals sign.
func looksLikeTracestate(header string) bool { return strings.Contains(header, "=") }

const longestLine = 1 << 20

// headerPattern matches traceparents anywhere in a line. It also matches the value of
// either header after its name, whether that is the name of a header, a JSON member or
// a log attribute.
var headerPattern = regexp.MustCompile(`(?i)traceparent"?\s*[:=]\s*"?([^\s",;]+)|tracestate"?\s*:\s*(?:"([^"]*)"|(.+))|tracestate=(?:"([^"]*)"|(\S+))|\b([0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2})\b`)

// scan explains each distinct header it reads.
func (p *printer) scan(in io.Reader) error {
	seen := map[string]bool{}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, longestLine)
	for lines.Scan() {
		for _, m := range headerPattern.FindAllStringSubmatch(lines.Text(), -1) {
			parent := m[1] + m[6]
			state := strings.TrimRight(m[2]+m[3]+m[4]+m[5], "\r")
			if seen[parent+state] {
				continue
			}
			seen[parent+state] = true
			if parent != "" {
				p.traceparent(parent)
			} else {
				p.tracestate(state)
			}
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("standard input: %w", err)
	}
	if len(seen) == 0 {
		return errors.New("no traceparent or tracestate on standard input")
	}
	return nil
}

type printer struct {
	out     io.Writer
	colour  bool
	width   int // columns of the terminal, 0 if the output is none
	now     time.Time
	printed bool
	invalid bool
}

func newPrinter(out io.Writer) printer {
	return printer{out: out, colour: wantsColour(out), width: terminalWidth(out)}
}

func (p *printer) traceparent(header string) {
	t := explain.ParseTraceparent(header, p.now)
	p.header("traceparent", header, t.Fault)
	if t.Fault != nil {
		return
	}
	version := t.Version
	if version != "00" {
		version += "  newer than 00: its first four fields are read as 00 has them, and 00 is sent on"
	}
	p.field("version", version)
	p.field("trace id", t.TraceID)
	if t.Started != nil {
		age := p.now.Sub(*t.Started).Round(time.Second)
		p.field("", fmt.Sprintf("begins with a time, as those of AWS X-Ray do: %s, %s ago", t.Started.Format(time.RFC3339), age))
	}
	p.field("parent id", t.ParentID)
	var flags []string
	flags = append(flags, map[bool]string{true: "sampled", false: "not sampled"}[t.Sampled])
	flags = append(flags, map[bool]string{true: "random: the last 7 bytes of the trace id are", false: "not known to be random"}[t.Random])
	if t.Unknown {
		flags = append(flags, "others, which Level 2 does not define and which are not sent on")
	}
	p.field("flags", t.Flags+"  "+strings.Join(flags, "; "))
}

func (p *printer) tracestate(header string) {
	t := explain.ParseTracestate(header)
	p.header("tracestate", header, t.Fault)
	for _, m := range t.Members {
		p.field(m.Key, m.Value)
		if m.Sampling != nil {
			p.sampling(m.Sampling)
		}
	}
}

func (p *printer) sampling(s *explain.Sampling) {
	if s.Threshold != "" {
		p.field("", fmt.Sprintf("sampled with probability %s%%; each span stands for %s", short(100*s.Probability), short(s.AdjustedCount)))
	}
	if s.Randomness != "" {
		p.field("", "randomness "+s.Randomness+", in place of the trace id's")
	}
	if s.Others != "" {
		p.field("", "others: "+s.Others)
	}
	if s.Invalid != "" {
		p.field("", p.paint(red, "invalid: "+s.Invalid))
		p.invalid = true
	}
}

func short(f float64) string { return strconv.FormatFloat(f, 'g', 6, 64) }

// header prints a header, and below it where it is wrong.
func (p *printer) header(name, text string, fault *explain.Fault) {
	if p.printed {
		fmt.Fprintln(p.out)
	}
	p.printed = true
	quoted := strconv.QuoteToASCII(text)
	fmt.Fprintf(p.out, "%s %s\n", p.paint(bold, name), quoted)
	if fault == nil {
		return
	}
	p.invalid = true
	const most = 120
	mark := len(name) + 1 + len(strconv.QuoteToASCII(text[:min(fault.Position, len(text))])) - 1
	if mark <= most {
		fmt.Fprintf(p.out, "%s%s\n", strings.Repeat(" ", mark), p.paint(red, "^"))
	}
	fmt.Fprintf(p.out, "  %s position %d: %s (Trace Context Level 2, %q)\n", p.paint(red, "invalid"), fault.Position, fault.Rule, fault.Section)
}

func (p *printer) field(name, value string) { p.text(fmt.Sprintf("  %-9s  ", name), 13, "", value) }

// text prints a text in a style, broken to fit the terminal: behind a prefix, and where
// it goes on so many columns indented.
func (p *printer) text(prefix string, indent int, style, text string) {
	rest := strings.Repeat(" ", indent)
	for i, line := range wrap(prefix, rest, text, p.width) {
		if i > 0 {
			prefix = rest
		}
		fmt.Fprintln(p.out, prefix+p.paint(style, strings.TrimPrefix(line, prefix)))
	}
}

const (
	bold  = "1"
	red   = "31"
	green = "32"
)

func (p *printer) paint(style, s string) string {
	if !p.colour || style == "" {
		return s
	}
	return "\x1b[" + style + "m" + s + "\x1b[0m"
}

package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/clewtrace/clew/internal/plaintext"
	"github.com/clewtrace/clew/internal/view"
)

// A tailPrinter prints traces for people.
type tailPrinter struct{ printer }

const (
	narrow = 72 // columns below which a line has no time and no id
	// The deepest spans are indented no further than this.
	maxIndent = 24
)

// line prints a trace on one line. The name comes last, so that a narrow terminal cuts
// only that.
func (p *tailPrinter) line(s view.Summary) error {
	status, style := "ok", green
	switch {
	case s.Errors > 0:
		status, style = "error", red
	case s.Partial:
		status, style = "part", bold // the root is missing
	}
	head := ""
	if p.width == 0 || p.width >= narrow {
		head = startTime(s.Start) + "  " + firstDigits(s.ID) + "  "
	}
	head += fmt.Sprintf("%9s  ", duration(0, uint64(max(s.Duration, 0))))
	tail := strings.Repeat(" ", 7-len(status)) + plain(s.Service) + "  " + plain(s.Name)
	tail = p.cut(tail, utf8.RuneCountInString(head)+len(status))
	return p.write(head + p.paint(style, status) + tail)
}

func startTime(nanoseconds string) string {
	n, err := strconv.ParseInt(nanoseconds, 10, 64)
	if err != nil {
		return "        "
	}
	return time.Unix(0, n).Format(time.TimeOnly)
}

func firstDigits(id string) string { return plain(id)[:min(8, len(plain(id)))] }

// tree prints a trace with a line for each span.
func (p *tailPrinter) tree(t wholeTrace) error {
	head := fmt.Sprintf("trace %s: %s, %s, %s", plain(t.ID), count(t.Spans, "span"), count(len(t.Names), "service"), duration(0, uint64(max(t.Duration, 0))))
	if err := p.write(strings.Join(wrap("", "  ", head, p.width), "\n")); err != nil {
		return err
	}
	last := make(map[int]int) // the last child of each span
	for i, row := range t.Rows {
		last[row.Parent] = i
	}
	branch := make([]string, 0, maxIndent) // what stands before the children of each ancestor
	for i, row := range t.Rows {
		depth := min(max(row.Depth, 0), maxIndent, len(branch)+1)
		first, rest := "├─ ", "│  "
		if last[row.Parent] == i {
			first, rest = "└─ ", "   "
		}
		if depth == 0 {
			first, branch = "", branch[:0]
		} else {
			branch = append(branch[:depth-1], rest)
			first = strings.Join(branch[:depth-1], "") + first
		}
		service := ""
		if row.Service >= 0 && row.Service < len(t.Names) {
			service = plain(t.Names[row.Service])
		}
		text := first + service + "  " + plain(row.Name) + "  " + duration(0, uint64(max(row.Duration, 0)))
		text = p.cut(text, 0)
		if row.Error {
			failure := strings.TrimSpace("error " + plain(t.Messages[row.ID]))
			text += "  " + p.paint(red, p.cut(failure, utf8.RuneCountInString(text)+2))
		}
		if err := p.write(text); err != nil {
			return err
		}
	}
	return p.write("")
}

func (p *tailPrinter) write(line string) error {
	if _, err := io.WriteString(p.out, line+"\n"); err != nil {
		return fmt.Errorf("%w: %w", errPrint, err)
	}
	return nil
}

// cut shortens text so that it fits on a line that already has so many columns.
func (p *tailPrinter) cut(text string, columns int) string {
	if p.width == 0 {
		return text
	}
	return fits(text, p.width-columns)
}

// maxText bounds in bytes how much of a name or a message is printed.
const maxText = 1000

// plain returns a text of a program or a server as one line.
func plain(text string) string { return plaintext.Line(text, maxText) }

package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"golang.org/x/sys/unix"

	"github.com/clewtrace/clew/internal/otlpreceiver"
)

// openTerminal opens a terminal of so many columns. What is written to it is read from
// its screen.
func openTerminal(t *testing.T, columns int) (screen, terminal *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { screen.Close() }) //nolint:errcheck // it was read only
	master := int(screen.Fd())
	number, err := unix.IoctlGetInt(master, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(master, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: uint16(columns)}) //nolint:gosec // a small number
	}
	if err == nil {
		terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	return screen, terminal
}

// onTerminal runs the command on a terminal, and returns what is on it in the end. With
// until, it interrupts the command when that is there.
func onTerminal(t *testing.T, columns int, until string, env []string, args ...string) string {
	t.Helper()
	screen, terminal := openTerminal(t, columns)
	cmd := program(t, env, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = terminal, terminal, terminal
	err := cmd.Start()
	terminal.Close() //nolint:errcheck // the command has it
	if err != nil {
		t.Fatal(err)
	}
	printed := read(screen, func(printed string) {
		if until != "" && strings.Contains(printed, until) {
			until = ""
			cmd.Process.Signal(os.Interrupt) //nolint:errcheck // it may have ended
		}
	})
	_ = cmd.Wait() // the exit code is not what is tested here
	return printed
}

// read returns what is written until nobody has the terminal open any more.
func read(screen io.Reader, look func(printed string)) string {
	var printed strings.Builder
	buffer := make([]byte, 4096)
	for {
		n, err := screen.Read(buffer)
		printed.Write(buffer[:n])
		if err != nil {
			return strings.ReplaceAll(printed.String(), "\r\n", "\n")
		}
		look(printed.String())
	}
}

var colours = regexp.MustCompile("\x1b\\[[0-9;]*m")

// TestTerminal runs every command that prints for people in narrow terminals. No line
// is longer than the terminal, unless it is one word that cannot be broken.
func TestTerminal(t *testing.T) {
	v := startTestView(t, "127.0.0.1:0")
	sendTrace(t, v, 1, "shop", "GET /orders/{id}", "the card of the customer was declined by the bank")
	refused := "http://" + listen(t, func(l net.Listener) { l.Close() })
	for _, c := range []struct {
		name  string
		until string
		env   []string
		args  []string
		has   string // in lines that were joined again
	}{
		{"doctor", "", []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + v.httpURL, "OTEL_BSP_SCHEDULE_DELAY=soon"}, []string{"doctor"}, "OTEL_BSP_SCHEDULE_DELAY=\"soon\": must be a whole number of milliseconds from 0 to 2147483647; using 1000"},
		{"doctor", "", []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + refused}, []string{"doctor"}, "cure: start the receiver there, or set OTEL_EXPORTER_OTLP_ENDPOINT to where it is"},
		{"tail", "GET", nil, []string{"tail", "-from", v.pageURL}, "error  shop  GET"},
		{"tail -trace", "", nil, []string{"tail", "-from", v.pageURL, "-trace", traceIDOf(1)}, "└─ shop  last"},
		{"view", "OTLP/gRPC", nil, []string{"view", "-page", "127.0.0.1:0", "-http", "127.0.0.1:0", "-grpc", "127.0.0.1:0"}, "OTLP/HTTP  http://127.0.0.1:"},
		{"view -expose", "loopback.", nil, []string{"view", "-expose", "-page", "127.0.0.1:0", "-http", "127.0.0.1:0", "-grpc", "127.0.0.1:0"}, "Other machines can reach the addresses that are not loopback."},
	} {
		for _, columns := range []int{40, 60, 80} {
			t.Run(fmt.Sprintf("%s, %d columns", c.name, columns), func(t *testing.T) {
				t.Parallel()
				printed := onTerminal(t, columns, c.until, append(c.env, "TERM=xterm"), c.args...)
				plain := colours.ReplaceAllString(printed, "")
				checkWidth(t, plain, columns)
				if joined := regexp.MustCompile(`\n +`).ReplaceAllString(plain, " "); !strings.Contains(joined, c.has) {
					t.Errorf("no %q in:\n%s", c.has, plain)
				}
			})
		}
	}
}

// checkWidth looks for lines that are longer than the terminal. What is one word, or a
// message of main, may be.
func checkWidth(t *testing.T, printed string, columns int) {
	t.Helper()
	for line := range strings.Lines(printed) {
		line = strings.TrimRight(line, "\n")
		if n := utf8.RuneCountInString(line); n > columns && strings.Contains(strings.TrimSpace(line), " ") && !strings.HasPrefix(line, "clew ") {
			t.Errorf("a line of %d columns: %q", n, line)
		}
	}
}

// TestTreeInANarrowTerminal has no bars, and then no kinds, where names would be cut.
func TestTreeInANarrowTerminal(t *testing.T) {
	text := func(key, value string) *commonpb.KeyValue {
		return &commonpb.KeyValue{Key: key, Value: textValue(value)}
	}
	origin := otlpreceiver.Origin{Resource: &resourcepb.Resource{Attributes: []*commonpb.KeyValue{text("service.name", "shop")}}}
	root := otlpreceiver.Span{Origin: origin, Span: &tracepb.Span{
		TraceId: bytes.Repeat([]byte{1}, 16), SpanId: bytes.Repeat([]byte{2}, 8), Name: "GET /orders/{id}", EndTimeUnixNano: 2e6, Kind: tracepb.Span_SPAN_KIND_SERVER,
		Attributes: []*commonpb.KeyValue{text("http.request.method", "GET"), text("http.route", "/orders/{id}"), text("error.type", "500")},
		Status:     &tracepb.Status{Code: tracepb.Status_STATUS_CODE_ERROR, Message: "the card was declined"},
	}}
	child := otlpreceiver.Span{Origin: origin, Span: &tracepb.Span{TraceId: root.TraceId, SpanId: bytes.Repeat([]byte{3}, 8), ParentSpanId: root.SpanId, Name: "POST", EndTimeUnixNano: 1e6}}
	for columns, want := range map[int]string{
		100: `trace 01010101010101010101010101010101: 2 spans, 1 service, 2.0ms

shop  GET /orders/{id}  SERVER       2.0ms  ████████████████████████  ERROR the card was declined
│  http.request.method=GET http.route=/orders/{id} error.type=500
└─ shop  POST           UNSPECIFIED     1.0ms  ████████████············  unset
`,
		60: `trace 01010101010101010101010101010101: 2 spans, 1 service,
  2.0ms

shop  GET /orders/{id}  SERVER       2.0ms  ERROR the card
│    was declined
│  http.request.method=GET http.route=/orders/{id}
│    error.type=500
└─ shop  POST           UNSPECIFIED     1.0ms  unset
`,
		40: `trace 01010101010101010101010101010101:
  2 spans, 1 service, 2.0ms

shop  GET /orders/{id}     2.0ms  ERROR
│    the card was declined
│  http.request.method=GET
│    http.route=/orders/{id}
│    error.type=500
└─ shop  POST              1.0ms  unset
`,
		30: `trace
  01010101010101010101010101010101:
  2 spans, 1 service, 2.0ms

shop  GET /o…     2.0ms  ERROR
│    the card was declined
│  http.request.method=GET
│    http.route=/orders/{id}
│    error.type=500
└─ shop  POST     1.0ms  unset
`,
	} {
		screen, terminal := openTerminal(t, columns)
		for _, tree := range newTraces([]otlpreceiver.Span{root, child}, nil) {
			tree.print(terminal)
		}
		terminal.Close() //nolint:errcheck // what it has shown is checked
		if got := read(screen, func(string) {}); got != want {
			t.Errorf("%d columns: got\n%s\nwant\n%s", columns, got, want)
		}
	}
}

// TestColours are there on a terminal, unless its user does not want any.
func TestColours(t *testing.T) {
	v := startTestView(t, "127.0.0.1:0")
	sendTrace(t, v, 1, "shop", "GET /", "declined")
	for _, args := range [][]string{{"doctor"}, {"tail", "-from", v.pageURL, "-trace", traceIDOf(1)}, {"decode", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03"}} {
		for _, test := range []struct {
			rule string
			env  []string
			want bool
		}{
			{"a terminal", []string{"TERM=xterm"}, true},
			{"NO_COLOR", []string{"TERM=xterm", "NO_COLOR=1"}, false},
			{"an empty NO_COLOR", []string{"TERM=xterm", "NO_COLOR="}, true},
			{"a dumb terminal", []string{"TERM=dumb"}, false},
			{"a terminal of unknown kind", nil, false},
		} {
			t.Run(args[0]+", "+test.rule, func(t *testing.T) {
				t.Parallel()
				env := append(slices.Clone(test.env), "OTEL_EXPORTER_OTLP_ENDPOINT="+v.httpURL)
				if printed := onTerminal(t, 80, "", env, args...); strings.Contains(printed, "\x1b") == !test.want {
					t.Errorf("colours: %v, want %v:\n%s", !test.want, test.want, printed)
				}
			})
		}
		t.Run(args[0]+", a pipe", func(t *testing.T) {
			t.Parallel()
			printed, _ := process(t, []string{"TERM=xterm", "OTEL_EXPORTER_OTLP_ENDPOINT=" + v.httpURL}, args...)
			if strings.Contains(printed, "\x1b") || printed == "" {
				t.Errorf("printed %q", printed)
			}
		})
	}
}

// TestDoctorInAPipe has a line for each thing, however long, for grep.
func TestDoctorInAPipe(t *testing.T) {
	refused := "http://" + listen(t, func(l net.Listener) { l.Close() })
	printed, _ := process(t, []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + refused}, "doctor")
	if !regexp.MustCompile(`(?m)^    cure: start the receiver there, .{60,} itself$`).MatchString(printed) {
		t.Error(printed)
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/netutil"

	"github.com/clewtrace/clew/internal/otlpreceiver"
	"github.com/clewtrace/clew/internal/view"
)

const viewHelp = `Usage: clew view [flags]

Receives traces and logs over OTLP and shows them on a web page.

  -page address     page (default 127.0.0.1:4380)
  -http address     OTLP/HTTP, protobuf or JSON (default 127.0.0.1:4318)
  -grpc address     OTLP/gRPC (default 127.0.0.1:4317)
                    An empty address turns a receiver off.
  -expose           allow addresses that other machines can reach
  -allow-host name  host name the page may be asked under, beside localhost;
                    may be repeated
  -cors-origin url  origin whose pages may send OTLP/HTTP; may be repeated
  -memory size      most memory, 64MiB or more; the oldest traces make room for
                    new ones (default 256MiB)
  -file path        keep the traces there too, across restarts and crashes;
                    path.old and path.lock are used as well
  -open             open the page in the browser

Send to it:  OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 your-program
`

type viewConfig struct {
	page, http, grpc string
	expose, open     bool
	hosts, origins   []string
	memory           int64
	file             string
}

func parseView(args []string) (viewConfig, error) {
	var c viewConfig
	f := newFlagSet("view")
	f.StringVar(&c.page, "page", "127.0.0.1:4380", "")
	f.StringVar(&c.http, "http", "127.0.0.1:4318", "")
	f.StringVar(&c.grpc, "grpc", "127.0.0.1:4317", "")
	f.BoolVar(&c.expose, "expose", false, "")
	f.StringVar(&c.file, "file", "", "")
	f.BoolVar(&c.open, "open", false, "")
	f.Func("allow-host", "", appendTo(&c.hosts, strings.ToLower))
	f.Func("cors-origin", "", appendTo(&c.origins, strings.Clone))
	f.Func("memory", "", func(s string) (err error) { c.memory, err = parseSize(s); return err })
	c.memory = 256 << 20
	if err := parse(f, args); err != nil {
		return c, err
	}
	if f.NArg() > 0 {
		return c, usageError{fmt.Errorf("unexpected argument %q", f.Arg(0))}
	}
	for _, address := range []string{c.page, c.http, c.grpc} {
		if address == "" {
			continue
		}
		if _, _, err := net.SplitHostPort(address); err != nil {
			return c, usageError{fmt.Errorf("%s must be a host and a port, such as 127.0.0.1:4380", strconv.Quote(address))}
		}
		if !c.expose && !isLoopback(address) {
			return c, usageError{fmt.Errorf("%s is not a loopback address: other machines could read the traces; add -expose if that is wanted", address)}
		}
	}
	return c, nil
}

func appendTo(list *[]string, change func(string) string) func(string) error {
	return func(s string) error { *list = append(*list, change(s)); return nil }
}

func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// minMemory is the smallest value of -memory, because the program itself takes a part
// of it.
const (
	minMemory       = 64 << 20
	memoryOfProgram = 28 << 20 // the code, and memory that the runtime does not count
)

// parseSize reads a number of bytes with an optional unit.
func parseSize(s string) (int64, error) {
	number, factor := s, int64(1)
	for i, unit := range []string{"KiB", "MiB", "GiB"} {
		if n, ok := strings.CutSuffix(s, unit); ok {
			number, factor = n, 1<<(10*(i+1))
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n <= 0 || n > 1<<40/factor || n*factor < minMemory {
		return 0, errors.New("must be bytes or have the unit KiB, MiB or GiB, such as 256MiB; at least 64MiB")
	}
	return n * factor, nil
}

// viewer has the servers that are running.
type viewer struct {
	ring    *view.Ring
	pageURL string
	httpURL string // of the OTLP/HTTP receiver
	grpc    string // address of the OTLP/gRPC receiver

	stops []func() // in the order of the starts
	err   error    // of a stop
}

// startView listens and serves, and writes later errors to warn. The caller must call
// stop.
//
// Traces get 9/16 of c.memory, and requests that are handled get 1/4. Answers get a
// quarter of the part of traces, in [view.Handler]. The rest is for connections and the
// program itself.
func startView(ctx context.Context, c viewConfig, warn io.Writer) (*viewer, error) {
	v := &viewer{ring: view.NewRing(c.memory / 16 * 9)}
	var sink otlpreceiver.Sink = v.ring
	if c.file != "" {
		journal, damaged, err := view.OpenJournal(v.ring, c.file, func(err error) {
			fmt.Fprintf(warn, "%s: %v; from now on traces are kept in memory only\n", c.file, err)
		})
		if err != nil {
			return nil, err
		}
		if damaged > 0 {
			fmt.Fprintf(warn, "%s: the last %d bytes are not whole and were left out\n", c.file, damaged)
		}
		sink = journal
		v.stops = append(v.stops, func() { v.err = journal.Close() })
	}
	listen := func(address, flagName string) (net.Listener, error) {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
		if err != nil {
			v.stop() //nolint:errcheck // err says more
			return nil, fmt.Errorf("%w (choose another with -%s)", err, flagName)
		}
		return l, nil
	}
	l, err := listen(c.page, "page")
	if err != nil {
		return nil, err
	}
	v.pageURL = "http://" + l.Addr().String()
	receiver := otlpreceiver.New(sink, otlpreceiver.NewBudget(c.memory/4))
	connections := int(c.memory / memoryOfConnection)
	page := view.Handler(v.ring, c.hosts...)
	v.serve(netutil.LimitListener(l, max(connections/2, minConnections)), &http.Server{Handler: page})
	if c.http != "" {
		if l, err = listen(c.http, "http"); err != nil {
			return nil, err
		}
		v.httpURL = "http://" + l.Addr().String()
		v.serve(netutil.LimitListener(l, connections), &http.Server{Handler: view.AllowOrigins(receiver.HTTP(), c.origins...)})
	}
	if c.grpc != "" {
		if l, err = listen(c.grpc, "grpc"); err != nil {
			return nil, err
		}
		v.grpc = l.Addr().String()
		v.serve(netutil.LimitListener(l, connections), receiver.GRPCServer())
	}
	return v, nil
}

const (
	// memoryOfConnection is the part of -memory that allows a receiver one more
	// connection; further connections wait to be accepted. A connection takes a
	// sixteenth of it.
	memoryOfConnection = 512 << 10
	minConnections     = 32
)

// serve runs a server with the bounds that it does not have yet.
func (v *viewer) serve(l net.Listener, server *http.Server) {
	server.ReadHeaderTimeout, server.ReadTimeout, server.MaxHeaderBytes = 10*time.Second, time.Minute, 16<<10
	ended := make(chan struct{})
	go func() { defer close(ended); server.Serve(l) }() //nolint:errcheck // ends with ErrServerClosed
	v.stops = append(v.stops, func() { server.Close(); <-ended })
}

// stop can be called more than once.
func (v *viewer) stop() error {
	for _, stop := range slices.Backward(v.stops) {
		stop()
	}
	v.stops = nil
	return v.err
}

// runView serves until ctx ends.
func runView(ctx context.Context, c viewConfig, out, warn io.Writer) error {
	// The data that is held stays below c.memory. Together with garbage and the program
	// itself, the process may take half as much again.
	if limit := min(c.memory/4*5, c.memory/2*3-memoryOfProgram); debug.SetMemoryLimit(-1) > limit { // unless GOMEMLIMIT is lower
		defer debug.SetMemoryLimit(debug.SetMemoryLimit(limit))
	}
	v, err := startView(ctx, c, warn)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "Page       %s\n", v.pageURL)
	if v.httpURL != "" {
		fmt.Fprintf(out, "OTLP/HTTP  %s\n", v.httpURL)
	}
	if v.grpc != "" {
		fmt.Fprintf(out, "OTLP/gRPC  %s\n", v.grpc)
	}
	if c.expose {
		printWrapped(out, "Other machines can reach the addresses that are not loopback.")
	}
	if c.open {
		openBrowser(ctx, v.pageURL, out)
	}
	<-ctx.Done()
	return v.stop()
}

// openBrowser may fail, because the address is printed anyway. It does not wait for the
// browser: some stay in the foreground, and they may outlive this program.
func openBrowser(ctx context.Context, url string, out io.Writer) {
	command := map[string][]string{
		"darwin":  {"open"},
		"windows": {"rundll32", "url.dll,FileProtocolHandler"},
	}[runtime.GOOS]
	if command == nil {
		command = []string{"xdg-open"}
	}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), command[0], append(command[1:], url)...)
	err := cmd.Start()
	if err == nil {
		err = cmd.Process.Release()
	}
	if err != nil {
		printWrapped(out, fmt.Sprintf("The browser does not open: %v", err))
	}
}

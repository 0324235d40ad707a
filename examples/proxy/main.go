// Command proxy forwards every request to another service. It records nothing
// and links no SDK, and still the trace goes through it.
//
//	go run ./examples/proxy -to http://localhost:8000
//	OTEL_SERVICE_NAME=client go run ./examples/client -url http://localhost:8080/
package main

import (
	"context"
	"encoding/hex"
	"errors"
	"flag"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/clewtrace/clew/tracecontext"
)

func main() {
	addr := flag.String("addr", "localhost:8080", "`address` to listen on")
	to := flag.String("to", "http://localhost:8000", "`URL` of the service behind the proxy")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *addr, *to); err != nil {
		slog.Error("proxy", slog.Any("error", err))
		os.Exit(1) //nolint:gocritic // stop has nothing left to do
	}
}

func run(ctx context.Context, addr, to string) error {
	target, err := url.Parse(to)
	if err != nil {
		return err
	}
	if target.Host == "" {
		return errors.New("-to " + to + ": want a URL such as http://localhost:8000")
	}
	return serve(ctx, addr, &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		logTrace(r.In)
		lowerCase(r.Out.Header)
	}})
}

// logTrace is all that the proxy does with the trace: its log line is found with
// those of the services on both sides.
func logTrace(r *http.Request) {
	log := slog.With(slog.String("method", r.Method), slog.String("path", r.URL.Path))
	if parent, err := tracecontext.ParseTraceparent(r.Header.Get("Traceparent")); err == nil {
		id := parent.TraceID()
		log = log.With(slog.String("trace_id", hex.EncodeToString(id[:])))
	}
	log.Info("forwarding")
}

// lowerCase restores the names that net/http has changed on the way in: Trace
// Context Level 2, "Header Name", wants them sent in lower case, and there are
// servers that find no others. The values are left alone, valid or not, because
// the proxy does not continue the trace.
func lowerCase(h http.Header) {
	for _, name := range [...]struct{ received, sent string }{
		{"Traceparent", "traceparent"}, {"Tracestate", "tracestate"}, {"Baggage", "baggage"},
	} {
		if values, ok := h[name.received]; ok {
			delete(h, name.received)
			h[name.sent] = values
		}
	}
}

func serve(ctx context.Context, addr string, h http.Handler) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	slog.Info("Listening on http://" + listener.Addr().String() + "/")

	select {
	case err := <-served:
		return err
	case <-ctx.Done():
		deadline, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		return server.Shutdown(deadline)
	}
}

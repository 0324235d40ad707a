package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"strconv"
	"sync"
	"time"

	"github.com/clewtrace/clew/internal/otlpreceiver"
)

const (
	seconds       = 20 // that each program records for
	perSecond     = 1000
	awayAfter     = 5 * time.Second
	awayFor       = 5 * time.Second
	drainedWithin = time.Minute
)

// lost is how many of the recorded spans did not arrive.
type lost struct{ recorded, arrived int }

func (l lost) String() string {
	return fmt.Sprintf("%d of %d", l.recorded-l.arrived, l.recorded)
}

// outage runs all programs at once, each with a collector of its own.
func outage(programs []*program) error {
	errs := make([]error, len(programs))
	var wg sync.WaitGroup
	for i, p := range programs {
		wg.Go(func() { errs[i] = p.outage() })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (p *program) outage() error {
	store := &otlpreceiver.Store{}
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	addr := listener.Addr().String()
	serve := func(l net.Listener) *http.Server {
		server := &http.Server{Handler: store.Handler(), ReadHeaderTimeout: time.Second}
		go server.Serve(l) //nolint:errcheck // it is closed below
		return server
	}
	server := serve(listener)
	ctx, cancel := context.WithTimeout(context.Background(), seconds*time.Second+drainedWithin)
	defer cancel()
	cmd := exec.CommandContext(ctx, p.withWork) //nolint:gosec // built here
	cmd.Env = p.env("SETUP_SECONDS="+strconv.Itoa(seconds), "OTEL_EXPORTER_OTLP_ENDPOINT=http://"+addr)
	if err := cmd.Start(); err != nil {
		return err
	}
	time.Sleep(awayAfter)
	if err := server.Close(); err != nil {
		return err
	}
	time.Sleep(awayFor)
	listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	server = serve(listener)
	defer server.Close() //nolint:errcheck // all has arrived
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("%s: %w", p.dir, err)
	}
	arrived := map[string]bool{}
	for _, s := range store.Spans() {
		if s.GetName() == "work" {
			arrived[string(s.GetSpanId())] = true
		}
	}
	p.lost = lost{seconds * perSecond, len(arrived)}
	return nil
}

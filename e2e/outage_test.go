package e2e_test

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/clewtrace/clew/e2e/internal/process"
	"github.com/clewtrace/clew/internal/otlpreceiver"
)

// TestOutagesLoseNothing: a collector is away for 3 s while a program records 200
// spans a second. Every span arrives, over HTTP and over gRPC. The outages of
// minutes are in bench/delivery.
func TestOutagesLoseNothing(t *testing.T) {
	program := process.Build(t, ".", "./internal/victim")
	for _, protocol := range []string{"http/protobuf", "grpc"} {
		for fault, outage := range map[string]func(*restartable, func()){
			"refused": func(c *restartable, meanwhile func()) {
				c.stop()
				meanwhile()
				c.start(t)
			},
			"unavailable": func(c *restartable, meanwhile func()) {
				c.unavailable.Store(true)
				meanwhile()
				c.unavailable.Store(false)
			},
		} {
			t.Run(protocol+" "+fault, func(t *testing.T) {
				t.Parallel()
				collector := startRestartable(t, protocol)
				server, addr := startVictim(t, program, exportTo("http://"+collector.addr), "OTEL_EXPORTER_OTLP_PROTOCOL="+protocol,
					"OTEL_BSP_SCHEDULE_DELAY=100")
				ended := send(t, addr, "/", "before", 200, time.Second)
				outage(collector, func() { ended += send(t, addr, "/", "during", 200, 3*time.Second) })
				ended += send(t, addr, "/", "after", 200, time.Second)
				process.Eventually(t, 30*time.Second, func() error {
					if arrived := distinct(&collector.store); arrived != int(ended) {
						return fmt.Errorf("%d of %d spans have arrived", arrived, ended)
					}
					return nil
				})
				terminate(t, server)
				if refused := collector.refused.Load(); fault == "unavailable" && refused == 0 {
					t.Error("nothing was refused: there was no outage")
				}
			})
		}
	}
}

// restartable is a collector that can stop and start again at the same address.
type restartable struct {
	addr        string
	store       otlpreceiver.Store
	unavailable atomic.Bool
	refused     atomic.Int64
	server      func() *http.Server
	stop        func()
}

func startRestartable(t *testing.T, protocol string) *restartable {
	t.Helper()
	c := &restartable{addr: "127.0.0.1:0"}
	c.server = func() *http.Server {
		s := &http.Server{Handler: c.store.Handler()}
		if protocol == "grpc" {
			s = otlpreceiver.New(&c.store, nil).GRPCServer()
		}
		s.Handler = c.unlessUnavailable(s.Handler)
		return s
	}
	c.start(t)
	t.Cleanup(func() { c.stop() })
	return c
}

func (c *restartable) start(t *testing.T) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", c.addr)
	if err != nil {
		t.Fatal(err)
	}
	c.addr = l.Addr().String()
	s, done := c.server(), make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	c.stop = func() { _ = s.Close(); <-done }
}

// unlessUnavailable refuses as a collector that is overloaded does: with 503, or
// with UNAVAILABLE (14) over gRPC.
func (c *restartable) unlessUnavailable(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !c.unavailable.Load():
			next.ServeHTTP(w, r)
			return
		case strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc"):
			w.Header().Set("Content-Type", "application/grpc")
			w.Header().Set("Grpc-Status", "14")
		default:
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		c.refused.Add(1)
	})
}

// startVictim starts the server of internal/victim without metrics and logs. It
// returns its address.
func startVictim(t *testing.T, program string, env ...string) (victim *process.Process, addr string) {
	t.Helper()
	victim = process.Start(t, program, nil, append(env, "OTEL_METRICS_EXPORTER=none", "OTEL_LOGS_EXPORTER=none"))
	process.Eventually(t, 10*time.Second, func() error {
		if strings.Count(victim.Stdout(), "\n") == 0 {
			return errors.New("the server does not say where it listens")
		}
		return nil
	})
	return victim, strings.TrimSpace(victim.Stdout())
}

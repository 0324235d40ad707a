package stack_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/clewtrace/clew/e2e/internal/jaeger"
	"github.com/clewtrace/clew/e2e/internal/process"
	"github.com/clewtrace/clew/e2e/internal/shop"
)

const (
	tierTraces = 600
	tierRate   = 20 // traces per second
)

// tiers are a balancer and two gateways at addresses of one name.
type tiers struct {
	stores
	balancer collector
	gateways [2]*process.Process
	addrs    [2]string // with the same port
	storage  [2]string
	*testing.T
}

// TestTiers has balancers send every trace to one of two gateways, and stops one
// of those meanwhile. All traces have an error in them, so that none is dropped
// on purpose.
func TestTiers(t *testing.T) {
	t.Parallel()
	s := startTiers(t, stores{prometheus: startPrometheus(t), loki: "http://127.0.0.1:1", jaeger: jaeger.Start(t, jaeger.Config{})})
	t.Log("case                                traces   whole   in part   lost")
	sent := 0
	for _, c := range []struct {
		name      string
		disturb   func()
		mayBeLost int // facts of earlier measurements: see docs/stack.md
	}{
		{"two gateways", func() {}, 0},
		{"SIGTERM, back at once", func() { s.restart(0, syscall.SIGTERM, 0) }, 0},
		{"kill -9, back after 10 s", func() { s.restart(1, syscall.SIGKILL, 10*time.Second) }, 48},
	} {
		ids := s.send(sent, c.disturb)
		sent += tierTraces
		whole, partly := s.arrived(ids)
		lost := tierTraces - whole - partly
		t.Logf("%-35s %6d  %6d    %6d  %5d", c.name, tierTraces, whole, partly, lost)
		if lost+partly > c.mayBeLost {
			t.Errorf("%s: %d traces are lost and %d in part, want no more than %d", c.name, lost, partly, c.mayBeLost)
		}
		if c.mayBeLost == 0 && sent == tierTraces {
			// A trace that two gateways have seen counts twice.
			awaitValue(t, s.prometheus, `sum(otelcol_processor_tail_sampling_new_trace_id_received_total)`, tierTraces)
		}
	}
}

func startTiers(t *testing.T, into stores) *tiers {
	t.Helper()
	s := &tiers{stores: into, T: t}
	grpc := port(t, process.FreeAddrs(t, 1)[0])
	for i, ip := range []string{"127.0.0.2", "127.0.0.3"} {
		s.addrs[i] = net.JoinHostPort(ip, grpc)
		s.storage[i] = t.TempDir()
		s.startGateway(i)
	}
	s.balancer = startBalancer(t, grpc, s.behind()...)
	return s
}

func (s *tiers) startGateway(i int) {
	s.Helper()
	health := process.FreeAddrs(s.T, 1)[0]
	s.gateways[i] = process.Start(s.T, built(s.T, collectorBinary), []string{"--config=../../collector/gateway.yaml"},
		append(s.behind(), "OTLP_GRPC="+s.addrs[i], "HEALTH="+health, "STORAGE_DIRECTORY="+s.storage[i], fmt.Sprint("HOSTNAME=gateway-", i)))
	awaitReady(s.T, "http://"+health+"/")
}

// startBalancer runs the balancer where the name "gateway" has both addresses:
// in a mount namespace with an /etc/hosts of its own.
func startBalancer(t *testing.T, grpc string, env ...string) collector {
	t.Helper()
	unshare, err := exec.LookPath("unshare")
	if err != nil {
		t.Skip("needs unshare of util-linux, to give a name two addresses")
	}
	hosts := filepath.Join(t.TempDir(), "hosts")
	if err := os.WriteFile(hosts, []byte("127.0.0.1 localhost\n127.0.0.2 gateway\n127.0.0.3 gateway\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	addrs := process.FreeAddrs(t, 3)
	c := collector{grpc: addrs[0], http: addrs[1]}
	args := []string{"--mount"}
	if os.Geteuid() != 0 {
		args = append(args, "--map-root-user")
	}
	args = append(args, "--", "sh", "-c", `mount --bind "$0" /etc/hosts && exec "$@"`, hosts, built(t, collectorBinary),
		"--config=../../collector/balancer.yaml", "--set=exporters::load_balancing::resolver::dns::port='"+grpc+"'")
	c.Process = process.Start(t, unshare, args, append(env, "OTLP_GRPC="+c.grpc, "OTLP_HTTP="+c.http, "HEALTH="+addrs[2]))
	awaitReady(t, "http://"+addrs[2]+"/")
	return c
}

// restart ends a gateway by the signal, and starts it again after a pause.
func (s *tiers) restart(i int, signal syscall.Signal, pause time.Duration) {
	s.Helper()
	s.gateways[i].Signal(s.T, signal)
	s.gateways[i].Wait(s.T, 20*time.Second)
	time.Sleep(pause) // what the case is about
	s.startGateway(i)
}

// send sends traces of a shop at a rate, each in two requests as from two
// services, and disturbs after a third of them. It returns how many spans each
// trace has, by its id.
func (s *tiers) send(seed int, disturb func()) map[string]int {
	s.Helper()
	ids := make(map[string]int)
	var pending sync.WaitGroup
	defer pending.Wait()
	tick := time.NewTicker(time.Second / tierRate)
	defer tick.Stop()
	for n := range tierTraces {
		if n == tierTraces/3 {
			pending.Go(disturb)
		}
		<-tick.C
		trace := shop.Checkout(uint64(seed+n), time.Now().Add(-time.Second), true) //nolint:gosec // small
		spans := trace.Traces.ResourceSpans
		ids[hex.EncodeToString(trace.ID())] = len(spans)
		post(s.T, s.balancer.http, spans[:len(spans)/2])
		pending.Go(func() {
			time.Sleep(300 * time.Millisecond) // the second service's batch
			post(s.T, s.balancer.http, spans[len(spans)/2:])
		})
	}
	return ids
}

// post sends spans to a Collector's receiver.
func post(t *testing.T, addr string, spans []*tracepb.ResourceSpans) {
	t.Helper()
	body, err := proto.Marshal(&coltrace.ExportTraceServiceRequest{ResourceSpans: spans})
	if err != nil {
		t.Error(err)
		return
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+addr+"/v1/traces", bytes.NewReader(body))
	if err != nil {
		t.Error(err)
		return
	}
	req.Header.Set("Content-Type", "application/x-protobuf")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Error(err)
		return
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Errorf("the Collector answers %s", res.Status)
	}
}

// arrived returns how many of the traces the store has whole, and in part, once
// nothing has come for longer than a gateway waits and a balancer pauses.
func (s *tiers) arrived(ids map[string]int) (whole, partly int) {
	s.Helper()
	const quiet = 10 * time.Second
	since := time.Now()
	process.Eventually(s.T, 2*time.Minute, func() error {
		traces, err := s.traces(s.T, "gateway")
		if err != nil {
			return err
		}
		w, p := 0, 0
		for _, trace := range traces {
			switch want := ids[strings.ToLower(trace.TraceID)]; {
			case want == 0: // of a case before
			case distinct(trace.Spans) == want:
				w++
			default:
				p++
			}
		}
		if w != whole || p != partly {
			whole, partly, since = w, p, time.Now()
		}
		if age := time.Since(since); age < quiet {
			return fmt.Errorf("%d traces are whole, %d in part, since %v", whole, partly, age)
		}
		return nil
	})
	return whole, partly
}

// distinct counts spans, those that were sent twice once.
func distinct(spans []span) int {
	ids := make(map[string]bool)
	for _, s := range spans {
		ids[s.SpanID] = true
	}
	return len(ids)
}

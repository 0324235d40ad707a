package stack_test

import (
	"fmt"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/clewtrace/clew/e2e/internal/process"
)

const (
	environment = "test"
	// Metrics and log lines are sent this often, in milliseconds, for the test's
	// sake; spans as often as in compose.
	often = "1000"
)

// runningShop is every service of the shop, and customers to come.
type runningShop struct {
	program string
	env     []string
	addrs   map[string]string
	running []*process.Process
	*testing.T
}

// startShop runs the services of examples/shop with the environment, which says
// where to send telemetry. Nobody comes before [runningShop.customers].
func startShop(t *testing.T, env ...string) *runningShop {
	t.Helper()
	names := []string{"checkout", "inventory", "payment", "worker", "load"}
	s := &runningShop{program: process.Build(t, "../..", "./examples/shop"), addrs: make(map[string]string), T: t}
	s.env = append([]string{
		"OTEL_RESOURCE_ATTRIBUTES=service.namespace=shop,deployment.environment.name=" + environment,
		"OTEL_METRIC_EXPORT_INTERVAL=" + often, "OTEL_BSP_SCHEDULE_DELAY=500", "OTEL_BLRP_SCHEDULE_DELAY=" + often,
	}, env...)
	for i, addr := range process.FreeAddrs(t, len(names)) {
		s.addrs[names[i]] = addr
	}
	for _, service := range []struct{ name, fault string }{
		{"inventory", "slow=0.05,delay=600ms"}, {"payment", "errors=0.1"}, {"worker", "errors=0.1"}, {"checkout", ""},
	} {
		args := []string{service.name, "-addr", s.addrs[service.name]}
		if service.name == "checkout" {
			args = append(args, "-inventory", s.url("inventory"), "-payment", s.url("payment"), "-worker", s.url("worker"))
		}
		s.start(service.name, args, "SHOP_FAULT="+service.fault)
		awaitReady(t, s.url(service.name)+"/healthz")
	}
	return s
}

func (s *runningShop) url(service string) string { return "http://" + s.addrs[service] }

func (s *runningShop) start(name string, args []string, env ...string) *process.Process {
	s.Helper()
	env = append(append(env, s.env...), "OTEL_SERVICE_NAME="+name)
	p := process.Start(s.T, s.program, args, env)
	s.running = append(s.running, p)
	return p
}

// customers lets customers come at a rate per second. Their number is limited,
// or 0.
func (s *runningShop) customers(rate float64, number int) *process.Process {
	s.Helper()
	return s.start("load", []string{
		"load", "-addr", s.addrs["load"], "-checkout", s.url("checkout"),
		"-rate", fmt.Sprint(rate), "-visits", strconv.Itoa(number),
	})
}

// stop ends everything that runs, by which it sends what is left.
func (s *runningShop) stop() {
	s.Helper()
	for _, p := range s.running {
		select {
		case <-p.Exited():
		default:
			p.Signal(s.T, syscall.SIGTERM)
		}
	}
	for _, p := range s.running {
		p.Wait(s.T, 10*time.Second)
	}
	s.running = nil
}

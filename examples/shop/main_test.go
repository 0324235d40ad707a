package main

import (
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"

	"github.com/clewtrace/clew/examples/internal/exampletest"
	"github.com/clewtrace/clew/internal/otlpreceiver"
)

func TestMain(m *testing.M) { exampletest.Main(m, main) }

// shop is the four services as processes.
type shop struct {
	*exampletest.Collector
	path     string
	programs map[string]*exampletest.Program
	urls     map[string]string
}

// openShop starts the services with SHOP_FAULT as told for some.
func openShop(t *testing.T, faults map[string]string) *shop {
	t.Helper()
	s := &shop{
		Collector: exampletest.NewCollector(t), path: exampletest.Path(t),
		programs: make(map[string]*exampletest.Program), urls: make(map[string]string),
	}
	for _, name := range []string{"inventory", "payment", "worker", "checkout"} {
		args := []string{faultVariable + "=" + faults[name], name, "-addr", "localhost:0"}
		if name == "checkout" {
			args = append(args, "-inventory", s.urls["inventory"], "-payment", s.urls["payment"], "-worker", s.urls["worker"])
		}
		s.programs[name] = s.Start(t, s.path, name, args...)
		s.urls[name] = s.programs[name].URL(t)
	}
	return s
}

// close ends the services: what they recorded has arrived then.
func (s *shop) close(t *testing.T) {
	t.Helper()
	for _, name := range []string{"checkout", "worker", "payment", "inventory"} {
		s.programs[name].Stop(t)
	}
}

// request returns the status and the body of the answer.
func request(t *testing.T, method, url, body string) (status int, answer string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true // no goroutine is left
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// order puts that many of the product into a cart, orders, and returns the
// answer's status.
func (s *shop) order(t *testing.T, sku string, quantity int) int {
	t.Helper()
	cart := fmt.Sprintf("%s/carts/%d", s.urls["checkout"], rand.Uint64())
	for range quantity {
		if status, answer := request(t, http.MethodPut, cart+"/items/"+sku, ""); status != http.StatusNoContent {
			t.Fatalf("the cart answers %d %s", status, answer)
		}
	}
	status, _ := request(t, http.MethodPost, cart+"/order", "")
	return status
}

// sum adds up the points of the last export of a metric that have the attribute.
func (s *shop) sum(service, metric, key, value string) float64 {
	var points []*metricspb.NumberDataPoint
	for _, m := range s.Metrics() {
		if m.Service() == service && m.GetName() == metric {
			points = append(m.GetSum().GetDataPoints(), m.GetGauge().GetDataPoints()...)
		}
	}
	var sum float64
	for _, p := range points {
		if key == "" || otlpreceiver.Attribute(p.GetAttributes(), key).GetStringValue() == value {
			sum += float64(p.GetAsInt())
		}
	}
	return sum
}

func TestOrder(t *testing.T) {
	s := openShop(t, nil)
	if status := s.order(t, "lamp", 1); status != http.StatusCreated {
		t.Fatalf("an order is answered with %d", status)
	}
	s.programs["worker"].AwaitLog(t, "order shipped")
	s.Start(t, s.path, "health", "health", s.urls["worker"]+"/").Wait(t, 0)
	s.close(t)
	s.Start(t, s.path, "health", "health", s.urls["worker"]).Wait(t, 1)

	s.Expect(t, `
		checkout POST /carts/{cart}/order SERVER
			checkout POST CLIENT
				inventory POST /reservations SERVER
					inventory UPDATE products INTERNAL
			checkout POST CLIENT
				payment POST /charges SERVER
					payment authorize card INTERNAL
			checkout send shipments PRODUCER
				checkout POST CLIENT
					worker POST /jobs SERVER
				worker process shipments CONSUMER
					worker pack INTERNAL
					worker send confirmation INTERNAL
		checkout PUT /carts/{cart}/items/{sku} SERVER
	`)
	t.Run("log lines are in the traces", func(t *testing.T) {
		order := hex.EncodeToString(s.Find(t, "checkout", "POST /carts/{cart}/order").GetTraceId())
		got := make(map[string]string)
		for _, l := range s.Logs() {
			if len(l.GetTraceId()) > 0 {
				got[l.Service()+" "+l.GetBody().GetStringValue()] = hex.EncodeToString(l.GetTraceId())
			}
		}
		for _, line := range []string{"inventory reserved", "payment charged", "checkout order accepted", "worker order shipped"} {
			if got[line] != order {
				t.Errorf("%q is in trace %q, want %s", line, got[line], order)
			}
		}
	})
	t.Run("metrics", func(t *testing.T) {
		if n := s.sum("checkout", "shop.orders", "outcome", "accepted"); n != 1 {
			t.Errorf("%v orders accepted, want 1", n)
		}
		found := false
		for _, m := range s.Metrics() {
			found = found || m.Service() == "worker" && m.GetName() == "shop.queue.length"
		}
		if !found {
			t.Error("no length of the queue")
		}
	})
}

func TestOutcomes(t *testing.T) {
	s := openShop(t, nil)
	if status, _ := request(t, http.MethodPost, s.urls["checkout"]+"/carts/1/order", ""); status != http.StatusNotFound {
		t.Errorf("an empty cart is answered with %d", status)
	}
	for _, c := range []struct {
		outcome  string
		sku      string
		quantity int
		status   int
	}{
		{"accepted", "mug", 2, http.StatusCreated},
		{"declined", "table", 3, http.StatusPaymentRequired},
		{"sold_out", "candle", delivery + 1, http.StatusConflict},
	} {
		if status := s.order(t, c.sku, c.quantity); status != c.status {
			t.Errorf("%s: %d, want %d", c.outcome, status, c.status)
		}
	}
	if status, answer := request(t, http.MethodPut, s.urls["payment"]+faultPath, "errors=1"); status != http.StatusOK {
		t.Fatalf("the fault switch answers %d %s", status, answer)
	}
	if status := s.order(t, "plate", 1); status != http.StatusBadGateway {
		t.Errorf("failed: %d, want 502", status)
	}
	s.programs["worker"].AwaitLog(t, "order shipped")
	s.close(t)

	for _, outcome := range []string{"accepted", "declined", "sold_out", "failed"} {
		if n := s.sum("checkout", "shop.orders", "outcome", outcome); n != 1 {
			t.Errorf("%v orders are counted as %s, want 1", n, outcome)
		}
	}
	if n := len(s.FindAll("inventory", "DELETE /reservations")); n != 2 {
		t.Errorf("%d reservations are given back, want those of the declined and the failed order", n)
	}
	for _, l := range s.programs["payment"].LogLines("bank does not answer") {
		if !strings.Contains(l, "trace_id=") {
			t.Errorf("%s has no trace id", l)
		}
	}
}

func TestFaults(t *testing.T) {
	s := openShop(t, map[string]string{"inventory": "slow=1,delay=300ms", "worker": "errors=1"})
	if status := s.order(t, "mug", 1); status != http.StatusCreated {
		t.Fatalf("an order is answered with %d", status)
	}
	s.programs["worker"].AwaitLog(t, `level=ERROR msg="shipping failed"`)
	if status, answer := request(t, http.MethodGet, s.urls["worker"]+faultPath, ""); status != http.StatusOK || answer != "errors=1,slow=0,delay=1s\n" {
		t.Errorf("the fault switch shows %d %q", status, answer)
	}
	if status, _ := request(t, http.MethodPut, s.urls["worker"]+faultPath, "errors=2"); status != http.StatusBadRequest {
		t.Errorf("an impossible share is answered with %d", status)
	}
	s.close(t)

	query := s.Find(t, "inventory", "UPDATE products")
	if lasted := time.Duration(query.GetEndTimeUnixNano() - query.GetStartTimeUnixNano()); lasted < 300*time.Millisecond { //nolint:gosec // short
		t.Errorf("the slow query takes %v", lasted)
	}
	attempts := s.FindAll("worker", "process shipments")
	if len(attempts) != maxAttempts {
		t.Errorf("%d attempts, want %d", len(attempts), maxAttempts)
	}
	sent := s.Find(t, "checkout", "send shipments")
	for _, a := range attempts {
		if string(a.GetParentSpanId()) != string(sent.GetSpanId()) || a.GetStatus().GetMessage() != "no carrier available" {
			t.Errorf("an attempt has the parent %x and the status %v", a.GetParentSpanId(), a.GetStatus())
		}
	}

	broken := s.Start(t, s.path, "payment", faultVariable+"=speed=1", "payment", "-addr", "localhost:0")
	broken.Wait(t, 1)
	if len(broken.LogLines(`speed=1: must be errors, slow or delay`)) == 0 {
		t.Error("the log does not say what is wrong with SHOP_FAULT")
	}
}

func TestLoad(t *testing.T) {
	const visits = 30
	s := openShop(t, nil)
	load := s.Start(t, s.path, "load", "load", "-addr", "localhost:0", "-checkout", s.urls["checkout"],
		"-rate", "0.01", "-visits", strconv.Itoa(visits), "-buyers", "0.5")
	if status, answer := request(t, http.MethodPut, load.URL(t)+ratePath, "200"); status != http.StatusOK || answer != "200\n" {
		t.Errorf("the rate is answered with %d %q", status, answer)
	}
	load.Wait(t, 0)
	for _, line := range load.LogLines("msg=bought") {
		_, order, _ := strings.Cut(line, "order=")
		order, _, _ = strings.Cut(order, " ")
		s.programs["worker"].AwaitLog(t, `order shipped" order=`+order)
	}
	s.close(t)

	s.expectWhole(t)
	bought, browsed := len(s.FindAll("load", "buy")), len(s.FindAll("load", "browse"))
	if bought+browsed != visits || bought == 0 || browsed == 0 {
		t.Errorf("%d visits to buy and %d to browse, want some of both and %d in all", bought, browsed, visits)
	}
	if n := s.sum("checkout", "shop.orders", "", ""); int(n) != bought {
		t.Errorf("%v orders are counted, want %d", n, bought)
	}
	sent := make(map[string]bool)
	for _, span := range s.FindAll("checkout", "send shipments") {
		sent[string(span.GetSpanId())] = true
	}
	for _, span := range s.FindAll("worker", "process shipments") {
		delete(sent, string(span.GetParentSpanId()))
	}
	if len(sent) > 0 {
		t.Errorf("%d orders have not been worked on", len(sent))
	}
}

// expectWhole checks that every span's parent has arrived, and that a visit's
// trace has all services in it that it calls.
func (s *shop) expectWhole(t *testing.T) {
	t.Helper()
	ids := make(map[string]bool)
	services := make(map[string]map[string]bool) // by trace
	for _, span := range s.Spans() {
		trace := string(span.GetTraceId())
		ids[trace+string(span.GetSpanId())] = true
		if services[trace] == nil {
			services[trace] = make(map[string]bool)
		}
		services[trace][span.Service()] = true
	}
	for _, span := range s.Spans() {
		parent := string(span.GetParentSpanId())
		if parent != "" && !ids[string(span.GetTraceId())+parent] {
			t.Errorf("%s %s has a parent that did not arrive", span.Service(), span.GetName())
		}
	}
	for _, span := range s.FindAll("checkout", "send shipments") {
		if got := services[string(span.GetTraceId())]; len(got) != 5 {
			t.Errorf("the trace of an order is in %v, want all five", slices.Sorted(maps.Keys(got)))
		}
	}
}

func TestRate(t *testing.T) {
	s := &street{every: time.Minute}
	if err := s.setRate(8); err != nil {
		t.Fatal(err)
	}
	for minute, want := range []float64{8, 16, 8, 4, 8, 16} {
		if got := s.rateAfter(time.Duration(minute)*time.Minute + time.Second); got != want {
			t.Errorf("rate in minute %d is %v, want %v", minute, got, want)
		}
	}
	for _, rate := range []float64{0, -1, math.NaN(), math.Inf(1)} {
		if s.setRate(rate) == nil {
			t.Errorf("rate %v is accepted", rate)
		}
	}
}

func TestAll(t *testing.T) {
	s := &shop{Collector: exampletest.NewCollector(t)}
	all := s.Start(t, exampletest.Path(t), "all", "all", "-port", strconv.Itoa(freePorts(t, 5)), "-rate", "20")
	all.AwaitLog(t, "worker .*order shipped")
	all.Stop(t)

	s.expectWhole(t)
	if len(s.FindAll("load", "buy")) == 0 {
		t.Error("nobody bought anything")
	}
	for _, line := range all.LogLines("telemetry not delivered") {
		t.Error(line)
	}
}

// freePorts returns the first of n consecutive ports on which nobody listens.
func freePorts(t *testing.T, n int) int {
	t.Helper()
search:
	for range 100 {
		first := 20_000 + rand.IntN(10_000)
		for port := first; port < first+n; port++ {
			l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", net.JoinHostPort("localhost", strconv.Itoa(port)))
			if err != nil {
				continue search
			}
			defer l.Close()
		}
		return first
	}
	t.Fatal("no free ports")
	return 0
}

func TestAllEndsWithOne(t *testing.T) {
	port := freePorts(t, 5)
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", net.JoinHostPort("localhost", strconv.Itoa(port+3)))
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	all := exampletest.NewCollector(t).Start(t, exampletest.Path(t), "all", "all", "-port", strconv.Itoa(port))
	all.Wait(t, 1)
	if len(all.LogLines("worker has ended: exit status 1")) != 1 || len(all.LogLines("address already in use")) == 0 {
		t.Error("it does not say what has ended, and why")
	}
}

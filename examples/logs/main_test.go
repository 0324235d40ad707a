package main

import (
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/clewtrace/clew/examples/internal/exampletest"
	"github.com/clewtrace/clew/internal/otlpreceiver"
)

func TestMain(m *testing.M) { exampletest.Main(m, main) }

const orders = 200

// TestOneTraceInAllLogs searches the logs of three programs for the trace id of
// each of the orders that were on their way at the same time.
func TestOneTraceInAllLogs(t *testing.T) {
	c := exampletest.NewCollector(t)
	program := exampletest.Path(t)
	stock := c.Start(t, program, "stock", "-addr", "127.0.0.1:0")
	shop := c.Start(t, program, "shop", "-addr", "127.0.0.1:0", "-next", stock.URL(t))
	client := c.Start(t, program, "client", "-load", shop.URL(t), "-orders", strconv.Itoa(orders))
	client.Wait(t, 0)
	shop.Stop(t)
	stock.Stop(t)

	programs := []*exampletest.Program{client, shop, stock}
	traces := c.FindAll("client", "order")
	if len(traces) != orders || atOnce(traces) != orders {
		t.Fatalf("%d orders, %d at once, want %d", len(traces), atOnce(traces), orders)
	}
	for _, span := range traces {
		order := otlpreceiver.Attribute(span.GetAttributes(), "app.order").GetIntValue()
		outcome := []string{"reserved", "200"}
		if order%10 == 0 {
			outcome = []string{`"sold out"`, "409"}
		}
		want := []string{
			fmt.Sprintf("INFO msg=ordering order=%d", order),
			fmt.Sprintf("INFO msg=answered order=%d status=%s error=<nil>", order, outcome[1]),
			fmt.Sprintf("INFO msg=received order=%d", order),
			fmt.Sprintf(`INFO msg="passed on" order=%d status=%s`, order, outcome[1]),
			fmt.Sprintf("INFO msg=received order=%d", order),
			fmt.Sprintf("%s msg=%s order=%d", map[bool]string{true: "WARN", false: "INFO"}[order%10 == 0], outcome[0], order),
		}
		if got := search(hex.EncodeToString(span.GetTraceId()), programs); !slices.Equal(got, want) {
			t.Errorf("the search for the trace of order %d finds\n%s\nwant\n%s", order, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	for _, p := range programs {
		for _, line := range p.LogLines("") {
			if strings.Contains(line, "order=") != strings.Contains(line, "trace_id=") {
				t.Errorf("order without trace id, or the other way round: %s", line)
			}
		}
	}
}

// notCompared is what differs from run to run.
var notCompared = regexp.MustCompile(`^time=\S+ level=| trace_id=[0-9a-f]{32} span_id=[0-9a-f]{16}$`)

// search returns what grep finds in the logs, program by program.
func search(id string, programs []*exampletest.Program) (found []string) {
	for _, p := range programs {
		for _, line := range p.LogLines(id) {
			found = append(found, notCompared.ReplaceAllString(line, ""))
		}
	}
	return found
}

// atOnce is the number of spans that were going on when the last one started.
func atOnce(spans []otlpreceiver.Span) (n int) {
	var last uint64
	for _, s := range spans {
		last = max(last, s.GetStartTimeUnixNano())
	}
	for _, s := range spans {
		if s.GetEndTimeUnixNano() > last {
			n++
		}
	}
	return n
}

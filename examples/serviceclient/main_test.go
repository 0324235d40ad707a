package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	"github.com/clewtrace/clew/examples/internal/exampletest"
)

func TestMain(m *testing.M) { exampletest.Main(m, main) }

// inventoryService is busy when it is first asked for coffee, and knows no
// juice. It keeps the traceparents it is called with.
func inventoryService(t *testing.T) (url string, traceparents func() []string) {
	t.Helper()
	var mu sync.Mutex
	var seen []string
	coffees := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, r.Header.Get("Traceparent"))
		switch r.URL.Path {
		case "/stock/tea":
			fmt.Fprint(w, 3)
		case "/stock/coffee":
			if coffees++; coffees == 1 {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			fmt.Fprint(w, 5)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(seen)
	}
}

func TestServiceClient(t *testing.T) {
	c := exampletest.NewCollector(t)
	url, traceparents := inventoryService(t)
	shop := c.Start(t, exampletest.Path(t), "shop", "-url", url, "tea", "coffee", "juice")
	shop.Wait(t, 1)

	c.Expect(t, `
		shop take-stock INTERNAL
			shop inventory.Stock INTERNAL
				shop GET CLIENT
			shop inventory.Stock INTERNAL
				shop GET CLIENT
				shop GET CLIENT ERROR
			shop inventory.Stock INTERNAL ERROR
				shop GET CLIENT ERROR
	`)
	var sent []string
	for _, span := range c.FindAll("shop", "GET") {
		sent = append(sent, fmt.Sprintf("00-%x-%x-03", span.GetTraceId(), span.GetSpanId()))
	}
	received := traceparents()
	slices.Sort(sent)
	slices.Sort(received)
	if !slices.Equal(received, sent) {
		t.Errorf("the service received\n%q, want the ids of the client spans\n%q", received, sent)
	}
}

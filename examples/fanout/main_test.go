package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/clewtrace/clew/examples/internal/exampletest"
	"github.com/clewtrace/clew/internal/otlpreceiver"
)

func TestMain(m *testing.M) { exampletest.Main(m, main) }

func TestFanOut(t *testing.T) {
	program := exampletest.Path(t)
	t.Run("the first answer cancels the rest", func(t *testing.T) { testFirstWins(t, program) })
	t.Run("no answer", func(t *testing.T) { testNoAnswer(t, program) })
}

// testFirstWins has one server that answers when the two others have been asked,
// which answer never.
func testFirstWins(t *testing.T, program string) {
	t.Helper()
	var asked, cancelled sync.WaitGroup
	asked.Add(2)
	cancelled.Add(2)
	slow := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		asked.Done()
		<-r.Context().Done()
		cancelled.Done()
	})
	quick := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		asked.Wait()
		fmt.Fprintln(w, "42")
	})
	c := exampletest.NewCollector(t)
	search := c.Start(t, program, "search", slow, quick, slow+"/other")
	search.Wait(t, 0)
	cancelled.Wait()

	if got := search.Stdout(); got != "42\n" {
		t.Errorf("the answer is %q", got)
	}
	c.Expect(t, `
		search ask-all INTERNAL
			search ask INTERNAL
				search GET CLIENT
			search ask INTERNAL
				search GET CLIENT ERROR
			search ask INTERNAL
				search GET CLIENT ERROR
	`)
	all := c.Find(t, "search", "ask-all")
	if by := otlpreceiver.Attribute(all.GetAttributes(), "app.answered_by").GetStringValue(); by != quick {
		t.Errorf("answered by %q, want %q", by, quick)
	}
	n := 0
	for _, span := range c.FindAll("search", "ask") {
		if otlpreceiver.Attribute(span.GetAttributes(), "app.cancelled").GetBoolValue() {
			n++
		}
	}
	if n != 2 {
		t.Errorf("%d calls are marked as cancelled, want 2", n)
	}
	for _, span := range c.Spans() {
		if span.GetEndTimeUnixNano() > all.GetEndTimeUnixNano() {
			t.Errorf("%s ends after the span above it", span.GetName())
		}
	}
}

func testNoAnswer(t *testing.T, program string) {
	t.Helper()
	broken := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	c := exampletest.NewCollector(t)
	search := c.Start(t, program, "search", broken, broken)
	search.Wait(t, 1)
	c.Expect(t, `
		search ask-all INTERNAL ERROR
			search ask INTERNAL ERROR
				search GET CLIENT ERROR
			search ask INTERNAL ERROR
				search GET CLIENT ERROR
	`)
}

func serve(t *testing.T, h http.HandlerFunc) (url string) {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

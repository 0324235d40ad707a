package main

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/clewtrace/clew/examples/internal/exampletest"
)

func TestMain(m *testing.M) { exampletest.Main(m, main) }

func TestJobs(t *testing.T) {
	program := exampletest.Path(t)
	t.Run("the worker links", func(t *testing.T) {
		runJobs(t, program, nil, `
			web send webhooks PRODUCER
			web send webhooks PRODUCER
			worker process webhooks CONSUMER ERROR links: web send webhooks PRODUCER
				worker POST CLIENT ERROR
			worker process webhooks CONSUMER links: web send webhooks PRODUCER
				worker POST CLIENT
			worker process webhooks CONSUMER links: web send webhooks PRODUCER
				worker POST CLIENT
		`)
	})
	t.Run("the worker continues", func(t *testing.T) {
		runJobs(t, program, []string{"-continue"}, `
			web send webhooks PRODUCER
				worker process webhooks CONSUMER
					worker POST CLIENT
			web send webhooks PRODUCER
				worker process webhooks CONSUMER
					worker POST CLIENT
				worker process webhooks CONSUMER ERROR
					worker POST CLIENT ERROR
		`)
	})
	t.Run("the worker is killed", func(t *testing.T) { testKilled(t, program) })
}

// runJobs adds two jobs and runs three workers: one job fails at first, and the
// third worker finds nothing to do.
func runJobs(t *testing.T, program string, flags []string, want string) {
	t.Helper()
	var mu sync.Mutex
	var delivered []string
	hooks := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if delivered = append(delivered, r.URL.Path); len(delivered) == 1 {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	defer hooks.Close()
	c := exampletest.NewCollector(t)
	flags = append(flags, "-db", filepath.Join(t.TempDir(), "jobs.db"))
	c.Start(t, program, "web", append(flags, "add", hooks.URL+"/a", hooks.URL+"/b")...).Wait(t, 0)
	for range 3 {
		c.Start(t, program, "worker", append(flags, "work")...).Wait(t, 0)
	}
	mu.Lock()
	defer mu.Unlock()
	if want := []string{"/a", "/b", "/a"}; !slices.Equal(delivered, want) {
		t.Errorf("delivered %q, want %q", delivered, want)
	}
	c.Expect(t, want)
}

// testKilled has a worker die over a job; another one finds the job and the
// trace it belongs to.
func testKilled(t *testing.T, program string) {
	t.Helper()
	started := make(chan struct{}, 2)
	proceed := make(chan struct{})
	hooks := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		started <- struct{}{}
		<-proceed
	}))
	defer hooks.Close()
	c := exampletest.NewCollector(t)
	db := filepath.Join(t.TempDir(), "jobs.db")
	c.Start(t, program, "web", "-db", db, "add", hooks.URL).Wait(t, 0)
	killed := c.Start(t, program, "killed", "-db", db, "work")
	<-started
	killed.Kill(t)
	close(proceed)
	c.Start(t, program, "worker", "-db", db, "work").Wait(t, 0)
	c.Expect(t, `
		web send webhooks PRODUCER
		worker process webhooks CONSUMER links: web send webhooks PRODUCER
			worker POST CLIENT
	`)
}

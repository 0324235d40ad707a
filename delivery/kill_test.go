package delivery_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/clewtrace/clew/delivery"
)

var kills = flag.Int("kills", 8, "how often TestHostileKills kills the process")

const killEnv = "CLEW_TEST_KILLED"

// TestHostileKills kills a process that journals its spans, again and again, at
// random times, and lets the last one end. Nothing that was journalled is lost,
// and of what is delivered, less than one in twenty is delivered twice: what was
// under way in the moment of a kill.
func TestHostileKills(t *testing.T) {
	if url := os.Getenv(killEnv); url != "" {
		journalUntilKilled(t, url, os.Getenv(killEnv+"_DIR"), os.Getenv(killEnv+"_LIFE"))
		return
	}
	t.Parallel()
	s := newStoppedSink(t)
	s.fault = func(_ http.ResponseWriter, _ *http.Request, body []byte) bool {
		time.Sleep(time.Duration(len(spanNames(body))) * 100 * time.Microsecond) // a server that takes its time for each span
		return false
	}
	s.Start()
	dir := t.TempDir()
	last := make(map[string]int) // by life: the last span that was journalled
	for life := range *kills + 1 {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestHostileKills$") //nolint:gosec // this program
		name := strconv.Itoa(life)
		cmd.Env = append(os.Environ(), killEnv+"="+s.URL, killEnv+"_DIR="+dir, killEnv+"_LIFE="+name)
		if life == *kills {
			cmd.Env = append(cmd.Env, killEnv+"_END=1")
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if life < *kills {
			time.AfterFunc(400*time.Millisecond+rand.N(1200*time.Millisecond), func() { _ = cmd.Process.Kill() })
		}
		for {
			var n int
			if _, err := fmt.Fscanln(out, &n); err != nil {
				break
			}
			last[name] = n
		}
		if err := cmd.Wait(); err != nil && life == *kills {
			t.Fatal(err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	lost, twice := 0, 0
	for life, n := range last {
		for i := range n {
			if s.spans[fmt.Sprint(life, " ", i+1)] == 0 {
				lost++
			}
		}
	}
	for _, times := range s.spans {
		if times > 1 {
			twice++
		}
	}
	t.Logf("%d kills, %d spans, %d delivered more than once", *kills, len(s.spans), twice)
	if lost > 0 {
		t.Errorf("%d journalled spans are lost", lost)
	}
	if twice*20 > len(s.spans) {
		t.Errorf("%d of %d spans were delivered more than once: more than one in twenty", twice, len(s.spans))
	}
}

// journalUntilKilled is the process: it ends spans that are journalled, and prints the number of the last.
func journalUntilKilled(t *testing.T, url, dir, life string) {
	t.Helper()
	cfg := quick(new(handled))
	cfg.SpoolDir, cfg.Journal = dir, true
	tr, err := delivery.New(cfg)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	p := tr.SpanProcessor(delivery.Route{URL: url + "/v1/traces"}, delivery.Batch{})
	ends := os.Getenv(killEnv+"_END") != ""
	for n := 1; !ends || n < 100; n++ {
		p.OnEnd(named(fmt.Sprint(life, " ", n)))
		fmt.Println(n)
		if n%8 == 0 {
			time.Sleep(2 * time.Millisecond)
		}
	}
	if err := tr.Shutdown(t.Context()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// Package doctor finds out what otelsetup would do in the environment of this
// process, and whether what it would export arrives.
//
// Every address is tested by a request of its own, made from the settings that
// otelsetup would use. A program's exporter would not do, because its queue
// answers at once and hides what the receiver says.
package doctor

import (
	"context"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/clewtrace/clew/internal/settings"
)

// Config says where a test span is read back. The zero value reads none.
type Config struct {
	Tempo, Jaeger *url.URL      // base URLs of query APIs; nil: not asked
	Wait          time.Duration // most time for the span to appear
}

// Result is what was found. It marshals as JSON; secrets in it are masked.
type Result struct {
	OK        bool               `json:"ok"` // no problems
	Settings  []settings.Setting `json:"settings"`
	Notes     []string           `json:"notes"` // worth knowing, and not wrong
	Endpoints []*Endpoint        `json:"endpoints"`
	TraceID   string             `json:"traceId,omitempty"` // of the test span, if one was sent
	ReadBack  []Step             `json:"readBack"`
	Problems  []Problem          `json:"problems"`
}

// Endpoint is an address that one or more signals are sent to.
type Endpoint struct {
	Address  string   `json:"address"` // scheme, host and port
	Protocol string   `json:"protocol"`
	Signals  []string `json:"signals"`
	Steps    []Step   `json:"steps"`
}

// Step is one test. The steps of an [Endpoint] are "resolve", "connect", "tls"
// and one for each signal. A step that fails is the last one, except that every
// signal is tried.
type Step struct {
	Name         string  `json:"name"`
	OK           bool    `json:"ok"`
	Detail       string  `json:"detail"`
	Milliseconds float64 `json:"milliseconds"`
}

// Problem is something that is wrong, and what to do about it.
type Problem struct {
	Problem string `json:"problem"`
	Cure    string `json:"cure"`
}

// Run reads the settings and makes the tests. It takes at most a few times the
// timeout of the exporters, and the wait for reading back. It ends early with ctx.
func Run(ctx context.Context, c Config) *Result {
	r := &Result{Notes: []string{}, Endpoints: []*Endpoint{}, ReadBack: []Step{}, Problems: []Problem{}}
	env := resolve(r)
	sample := newSample(env.resource, time.Now())
	targets := group(env)
	tested := make([][]Problem, len(targets))
	var wait sync.WaitGroup
	for i, t := range targets {
		r.Endpoints = append(r.Endpoints, t.endpoint)
		wait.Go(func() { tested[i] = t.test(ctx, sample) })
	}
	wait.Wait()
	r.Problems = append(r.Problems, slices.Concat(tested...)...)
	for _, t := range targets {
		r.Notes = append(r.Notes, t.notes...)
	}
	r.readBack(ctx, c, env, sample)
	r.OK = len(r.Problems) == 0
	return r
}

func (r *Result) note(text string) { r.Notes = append(r.Notes, text) }
func (r *Result) problem(problem, cure string) {
	r.Problems = append(r.Problems, Problem{problem, cure})
}

// milliseconds since start, to a hundredth.
func milliseconds(start time.Time) float64 {
	return float64(time.Since(start).Round(10*time.Microsecond)) / float64(time.Millisecond)
}

package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/clewtrace/clew/internal/redact"
)

// readBack looks for the test span in trace stores.
func (r *Result) readBack(ctx context.Context, c Config, env *environment, sample *sample) {
	var headers map[string]string
	for _, s := range env.sends {
		if s.Signal == signalTraces {
			headers = s.Headers
		}
	}
	sent, tested := r.sent(signalTraces)
	if sent {
		r.TraceID = sample.id()
	}
	for _, store := range []store{
		{"tempo", "Tempo", "3200", c.Tempo, "/api/v2/traces/", spansOfTempo, headers["X-Scope-Orgid"]},
		{"jaeger", "Jaeger", "16686", c.Jaeger, "/api/traces/", spansOfJaeger, ""},
	} {
		switch {
		case store.base == nil:
		case sent:
			step, wrong := store.wait(ctx, sample.id(), c.Wait)
			r.ReadBack = append(r.ReadBack, step)
			if wrong != nil {
				r.Problems = append(r.Problems, *wrong)
			}
		default:
			r.ReadBack = append(r.ReadBack, Step{Name: store.name, Detail: "not tried: no span was accepted"})
			if !tested {
				r.problem(store.title+" cannot be asked for the span: traces are not sent over OTLP", "set OTEL_TRACES_EXPORTER=otlp, or leave -"+store.name+" out")
			}
		}
	}
}

// sent reports whether the sample of a signal was accepted, and whether one was
// to be sent at all.
func (r *Result) sent(signal string) (ok, tested bool) {
	for _, e := range r.Endpoints {
		for _, s := range e.Signals {
			tested = tested || s == signal
		}
		for _, s := range e.Steps {
			ok = ok || s.Name == signal && s.OK
		}
	}
	return ok, tested
}

// store is the query API of a trace store.
type store struct {
	name, title, port string
	base              *url.URL
	path              string                         // before the trace id
	spans             func(body []byte) (int, error) // in an answer with status 200
	tenant            string
}

var errNotFound = errors.New("not found")

const (
	firstPause = 100 * time.Millisecond
	maxPause   = time.Second
)

// wait asks until the trace is there, the answer cannot be right, or the time
// is over.
func (s store) wait(ctx context.Context, traceID string, limit time.Duration) (Step, *Problem) {
	start := time.Now()
	asking, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	pause := firstPause
	for {
		err := s.ask(asking, traceID)
		step := Step{Name: s.name, OK: err == nil, Milliseconds: milliseconds(start)}
		if err == nil {
			step.Detail = "the span is there, trace " + traceID
			return step, nil
		}
		if !errors.Is(err, errNotFound) && asking.Err() == nil {
			step.Detail = "failed"
			return step, &Problem{fmt.Sprintf("%s at %s: %s", s.title, redact.URL(s.base, nil), redact.Text(err.Error())),
				fmt.Sprintf("correct the URL of -%s: it is that of the query API, on port %s by default", s.name, s.port)}
		}
		select {
		case <-asking.Done():
			step.Detail = "not there, trace " + traceID
			return step, &Problem{fmt.Sprintf("%s at %s does not have the span that was accepted, trace %s, after %v", s.title, redact.URL(s.base, nil), traceID, limit),
				"look at what lies between: a Collector's log and sampling, and whether the store is the one it sends to"}
		case <-time.After(pause):
			pause = min(2*pause, maxPause)
		}
	}
}

func (s store) ask(ctx context.Context, traceID string) error {
	status, body, err := s.get(ctx, s.path, traceID)
	if err != nil {
		return err
	}
	if status == http.StatusNotFound && s.missing(ctx, body) {
		return errNotFound
	}
	var object map[string]json.RawMessage
	if json.Unmarshal(body, &object) != nil || status != http.StatusOK {
		return fmt.Errorf("GET %s answers %d %s, which is not its API", redact.URL(s.base.JoinPath(s.path, traceID), nil), status, http.StatusText(status))
	}
	n, err := s.spans(body)
	if err == nil && n == 0 {
		err = errNotFound
	}
	return err
}

// missing reports whether a 404 means that the trace is not there, and not that
// another server answers. Jaeger sends an object with errors then. Tempo is asked
// at an address that only Tempo has.
func (s store) missing(ctx context.Context, body []byte) bool {
	if s.name == "tempo" {
		status, _, err := s.get(ctx, "/api/echo")
		return err == nil && status == http.StatusOK
	}
	var answer struct{ Errors []json.RawMessage }
	return json.Unmarshal(body, &answer) == nil && len(answer.Errors) > 0
}

func (s store) get(ctx context.Context, path ...string) (status int, body []byte, err error) {
	u := s.base.JoinPath(path...)
	u.User = nil
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), http.NoBody)
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Accept", typeJSON)
	if s.base.User != nil {
		password, _ := s.base.User.Password()
		req.SetBasicAuth(s.base.User.Username(), password)
	}
	if s.tenant != "" {
		req.Header.Set("X-Scope-OrgID", s.tenant)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	return resp.StatusCode, body, err
}

// spansOfTempo counts the spans in an answer of /api/v2/traces, which is empty
// when there is no such trace.
func spansOfTempo(body []byte) (n int, err error) {
	var answer struct {
		Trace struct {
			ResourceSpans []struct {
				ScopeSpans []struct{ Spans []json.RawMessage }
			}
		}
	}
	err = json.Unmarshal(body, &answer)
	for _, r := range answer.Trace.ResourceSpans {
		for _, s := range r.ScopeSpans {
			n += len(s.Spans)
		}
	}
	return n, err
}

// spansOfJaeger counts the spans in an answer of /api/traces.
func spansOfJaeger(body []byte) (n int, err error) {
	var answer struct {
		Data []struct{ Spans []json.RawMessage }
	}
	err = json.Unmarshal(body, &answer)
	for _, t := range answer.Data {
		n += len(t.Spans)
	}
	return n, err
}

package tail_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/sampler"
	"github.com/clewtrace/clew/sampler/tail"
)

// The model is the processor as slow and plain as it can be written: one list
// of traces, searched from the start, and policies spelled out. It is told what
// happens to spans and says which are handed on, in order.

const (
	modelSlow    = 40 * time.Second
	modelTimeout = 8 * time.Minute
	modelShare   = 0.25
)

var modelPolicies = []tail.Policy{
	failedPolicy,
	{Root: tail.Condition{SlowerThan: modelSlow}},
	{Name: "named", Root: tail.Condition{Match: sampler.Match{Name: "*7"}}, Span: tail.Condition{Match: sampler.Match{Name: "*3"}}},
	{Probability: modelShare},
}

type modelSpan struct {
	span       trace.Span
	name       string
	trace      trace.TraceID
	root, head bool // a local root; kept by the head sampler
	failed, ok bool
	start      time.Time
	end        time.Time // zero while open
}

type modelTrace struct {
	id      trace.TraceID
	started int // in eighths of the timeout
	open    []*modelSpan
	spans   []*modelSpan
	decided bool
	keep    bool
	reason  string // a policy, or empty
	th      bool   // kept by probability alone
}

type model struct {
	maxTraces, maxSpans, maxSpansPerTrace, maxDecisions int

	clock  int
	traces []*modelTrace // undecided ones by start, decided ones by decision
	out    []string
}

func (m *model) find(id trace.TraceID) *modelTrace {
	for _, t := range m.traces {
		if t.id == id {
			return t
		}
	}
	return nil
}

func (m *model) start(s *modelSpan) {
	if !s.root {
		return
	}
	t := m.find(s.trace)
	if t != nil && t.decided && t.keep {
		return
	}
	if t != nil && t.decided {
		m.remove(t)
		t = nil
	}
	if t == nil {
		t = &modelTrace{id: s.trace, started: m.clock}
		m.traces = append(m.traces, t)
	}
	t.open = append(t.open, s)
	m.enforce()
}

func (m *model) end(s *modelSpan) {
	t := m.find(s.trace)
	switch {
	case t == nil:
		alone := &modelTrace{spans: []*modelSpan{s}}
		m.judge(alone)
		m.pass(alone, s)
		return
	case t.decided:
		m.pass(t, s)
		return
	}
	t.spans = append(t.spans, s)
	if i := slices.Index(t.open, s); i >= 0 {
		if t.open = slices.Delete(t.open, i, i+1); len(t.open) == 0 {
			m.decide(t)
			return
		}
	}
	if len(t.spans) == m.maxSpansPerTrace {
		m.decide(t)
		return
	}
	m.enforce()
}

func (m *model) enforce() {
	for {
		undecided := m.undecided()
		spans := 0
		for _, t := range undecided {
			spans += len(t.spans)
		}
		if len(undecided) <= m.maxTraces && spans <= m.maxSpans {
			return
		}
		m.decide(undecided[0])
	}
}

func (m *model) tick() {
	m.clock++
	for _, t := range m.undecided() {
		if m.clock-t.started > 8 {
			m.decide(t)
		}
	}
}

func (m *model) flush() {
	for _, t := range m.undecided() {
		m.decide(t)
	}
}

func (m *model) undecided() []*modelTrace {
	var list []*modelTrace
	for _, t := range m.traces {
		if !t.decided {
			list = append(list, t)
		}
	}
	return list
}

func (m *model) remove(t *modelTrace) {
	i := slices.Index(m.traces, t)
	m.traces = slices.Delete(m.traces, i, i+1)
}

func (m *model) decide(t *modelTrace) {
	m.judge(t)
	for _, s := range t.spans {
		m.pass(t, s)
	}
	t.spans, t.open, t.decided = nil, nil, true
	m.remove(t)
	m.traces = append(m.traces, t)
	if len(m.traces)-len(m.undecided()) > m.maxDecisions {
		m.remove(m.traces[slices.IndexFunc(m.traces, func(t *modelTrace) bool { return t.decided })])
	}
}

func (m *model) judge(t *modelTrace) {
	var failed, slow, root7, any3 bool
	allHead := true
	all := slices.Concat(t.spans, t.open)
	for _, s := range all {
		end := s.end
		if end.IsZero() {
			end = time.Now()
		}
		allHead = allHead && s.head
		failed = failed || s.failed
		slow = slow || s.root && end.Sub(s.start) > modelSlow
		last := s.name[len(s.name)-1]
		root7 = root7 || s.root && last == '7'
		any3 = any3 || last == '3'
	}
	id := all[0].trace
	r := float64(binary.BigEndian.Uint64(id[8:])&(1<<56-1)) / (1 << 56)
	switch {
	case failed:
		t.reason = "error"
	case slow:
		t.reason = "slow"
	case root7 && any3:
		t.reason = "named"
	case r >= 1-modelShare:
		t.reason, t.th = "probability", true
	}
	t.keep = t.reason != "" && !allHead
}

func (m *model) pass(t *modelTrace, s *modelSpan) {
	if !t.keep && !s.head {
		return
	}
	state, reason := "", ""
	if t.th {
		state = "ot=th:c"
	}
	if s.root && !s.head {
		reason = t.reason
	}
	m.out = append(m.out, describe(s.name, state, reason))
}

func describe(name, state, reason string) string {
	return fmt.Sprintf("%s [%s] %s", name, state, reason)
}

// modelHead keeps the spans it is told to.
type modelHead struct{ keep *bool }

func (h modelHead) ShouldSample(sdktrace.SamplingParameters) sdktrace.SamplingResult {
	if *h.keep {
		return sdktrace.SamplingResult{Decision: sdktrace.RecordAndSample}
	}
	return sdktrace.SamplingResult{Decision: sdktrace.Drop}
}

func (modelHead) Description() string { return "model" }

// TestModel compares the processor with the model over random forests whose
// spans start and end in any order. CLEW_TAIL_MODEL_SEEDS sets for how many.
func TestModel(t *testing.T) {
	handledErrors(t) // bounds are exceeded all the time
	for seed := range envInt(t, "CLEW_TAIL_MODEL_SEEDS", 150) {
		synctest.Test(t, func(t *testing.T) { checkAgainstModel(t, uint64(seed)) })
		if t.Failed() {
			return
		}
	}
}

func FuzzModel(f *testing.F) {
	previous := otel.GetErrorHandler()
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(error) {}))
	f.Cleanup(func() { otel.SetErrorHandler(previous) })
	f.Add(uint64(1000))
	f.Add(uint64(1001))
	f.Fuzz(func(t *testing.T, seed uint64) {
		synctest.Test(t, func(t *testing.T) { checkAgainstModel(t, seed) })
	})
}

func checkAgainstModel(t *testing.T, seed uint64) {
	t.Helper()
	rnd := rand.New(rand.NewPCG(seed, 0))
	m := &model{
		maxTraces: 1 + rnd.IntN(12), maxSpans: 1 + rnd.IntN(40),
		maxSpansPerTrace: 1 + rnd.IntN(15), maxDecisions: 1 + rnd.IntN(8), // one set, exact
	}
	var keep bool
	s := start(t, tail.Record(modelHead{&keep}), tail.Config{
		Policies: modelPolicies, Timeout: modelTimeout,
		MaxTraces: m.maxTraces, MaxSpans: m.maxSpans, MaxSpansPerTrace: m.maxSpansPerTrace, MaxDecisions: m.maxDecisions,
	})
	heads := rnd.IntN(3) // never, by trace, by span
	var open, known []*modelSpan
	for step := range 400 {
		switch action := rnd.IntN(20); {
		case action < 9 || len(open) == 0:
			span := &modelSpan{name: fmt.Sprintf("span %d", step), root: true, start: time.Now()}
			ctx := context.Background()
			if len(known) > 0 && action < 7 { // else a new trace
				parent := known[max(0, len(known)-1-rnd.IntN(30))]
				sc := parent.span.SpanContext()
				if span.root = rnd.IntN(5) == 0; span.root {
					ctx = trace.ContextWithRemoteSpanContext(ctx, sc)
				} else {
					ctx = trace.ContextWithSpan(ctx, parent.span)
				}
				keep = heads == 1 && sc.IsSampled() || heads == 2 && rnd.IntN(4) == 0
			} else {
				ctx = from(t, traceID(rnd.Uint64()), 0, "")
				keep = heads > 0 && rnd.IntN(4) == 0
			}
			span.head = keep
			_, span.span = s.Start(ctx, span.name)
			span.trace = span.span.SpanContext().TraceID()
			open, known = append(open, span), append(known, span)
			m.start(span)
		case action < 18:
			i := rnd.IntN(len(open))
			span := open[i]
			open = slices.Delete(open, i, i+1)
			span.end = time.Now()
			span.span.End()
			m.end(span)
		case action < 19:
			span := open[rnd.IntN(len(open))]
			if rnd.IntN(3) == 0 {
				span.span.SetStatus(codes.Error, "")
				span.failed = !span.ok // which is final
			} else {
				span.span.SetStatus(codes.Ok, "")
				span.failed, span.ok = false, true
			}
		case rnd.IntN(20) > 0:
			for range 1 + rnd.IntN(3) { // fake time
				time.Sleep(modelTimeout / 8)
				synctest.Wait()
				m.tick()
			}
		default:
			if err := s.ForceFlush(context.Background()); err != nil {
				t.Fatal(err)
			}
			m.flush()
		}
		if len(s.kept.Ended()) != len(m.out) {
			break // below
		}
	}
	var got []string
	for _, span := range s.kept.Ended() {
		if !span.SpanContext().IsSampled() {
			t.Errorf("%s is handed on without the sampled flag", span.Name())
		}
		got = append(got, describe(span.Name(), span.SpanContext().TraceState().String(), attr(span, tail.PolicyKey)))
	}
	if !slices.Equal(got, m.out) {
		n := 0
		for n < min(len(got), len(m.out)) && got[n] == m.out[n] {
			n++
		}
		t.Errorf("seed %d: after %d equal spans\ngot  %q\nwant %q", seed, n, got[n:], m.out[n:])
	}
	st := s.Stats()
	if st.UndecidedTraces > m.maxTraces || st.UndecidedSpans > m.maxSpans || len(m.undecided()) != st.UndecidedTraces {
		t.Errorf("seed %d: %d traces and %d spans undecided, bounds %d and %d, the model has %d traces",
			seed, st.UndecidedTraces, st.UndecidedSpans, m.maxTraces, m.maxSpans, len(m.undecided()))
	}
	if uint64(len(got)) != st.KeptSpans {
		t.Errorf("seed %d: counted %d spans kept, handed on %d", seed, st.KeptSpans, len(got))
	}
	for _, span := range open {
		span.span.End()
	}
}

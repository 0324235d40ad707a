package tail_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/sampler"
	"github.com/clewtrace/clew/sampler/tail"
)

// Each test is one of the rules that the package documentation states.

func TestKeepsTheFailedWhole(t *testing.T) {
	s := start(t, dropAll, tail.Config{Policies: []tail.Policy{failedPolicy}})
	for _, fails := range []bool{false, true, false} {
		ctx, root := s.Start(context.Background(), "root")
		_, child := s.Start(ctx, "child")
		if fails {
			child.SetStatus(codes.Error, "")
		}
		child.End()
		_, sibling := s.Start(ctx, "sibling")
		sibling.End()
		root.End()
	}
	s.wantKept(t, "child", "sibling", "root")
	for _, span := range s.kept.Ended() {
		if !span.SpanContext().IsSampled() {
			t.Errorf("%s is handed on without the sampled flag", span.Name())
		}
		want := ""
		if span.Name() == "root" {
			want = "error"
		}
		if p, r := attr(span, tail.PolicyKey), attr(span, tail.ReasonKey); p != want || r != want {
			t.Errorf("%s has policy %q and reason %q, want %q", span.Name(), p, r, want)
		}
	}
	st := s.Stats()
	if st.Kept["error"] != 1 || st.Dropped != 2 || st.KeptSpans != 3 || st.DroppedSpans != 6 {
		t.Errorf("counted %+v", st)
	}
}

func TestExceptionEventIsAnError(t *testing.T) {
	s := start(t, dropAll, tail.Config{Policies: []tail.Policy{failedPolicy}})
	_, root := s.Start(context.Background(), "root")
	root.RecordError(errors.New("x"))
	root.End()
	s.wantKept(t, "root")
}

func TestLateSpansFollow(t *testing.T) {
	s := start(t, dropAll, tail.Config{Policies: []tail.Policy{failedPolicy}})
	for _, fails := range []bool{true, false} {
		ctx, root := s.Start(context.Background(), "root")
		_, async := s.Start(ctx, "outlives root")
		if fails {
			root.SetStatus(codes.Error, "")
		}
		root.End()
		_, after := s.Start(ctx, "starts after root")
		after.SetStatus(codes.Error, "") // too late
		after.End()
		async.End()
	}
	s.wantKept(t, "root", "starts after root", "outlives root")
	if st := s.Stats(); st.LateSpans != 4 {
		t.Errorf("counted %d late spans, want 4", st.LateSpans)
	}
}

func TestForgottenSpansAreDecidedAlone(t *testing.T) {
	s := start(t, dropAll, tail.Config{MaxDecisions: 1, Policies: []tail.Policy{failedPolicy}})
	ctx, root := s.Start(context.Background(), "root")
	root.End()
	_, other := s.Start(context.Background(), "another trace")
	other.End()
	for _, code := range []codes.Code{codes.Ok, codes.Error} {
		_, late := s.Start(ctx, "late "+code.String())
		late.SetStatus(code, "")
		late.End()
	}
	s.wantKept(t, "late Error")
	if st := s.Stats(); st.ForgottenSpans != 2 {
		t.Errorf("counted %d forgotten spans, want 2", st.ForgottenSpans)
	}
}

func TestNestedLocalRootsAreOneFragment(t *testing.T) {
	s := start(t, dropAll, tail.Config{Policies: []tail.Policy{failedPolicy}})
	ctx, outer := s.Start(context.Background(), "outer")
	ctx, client := s.Start(ctx, "client")
	_, inner := s.Start(throughHTTP(ctx), "inner")
	inner.SetStatus(codes.Error, "")
	inner.End()
	s.wantKept(t)
	client.End()
	outer.End()
	s.wantKept(t, "inner", "client", "outer")
}

// throughHTTP returns what a handler of the same process finds.
func throughHTTP(ctx context.Context) context.Context {
	return trace.ContextWithRemoteSpanContext(context.Background(), trace.SpanContextFromContext(ctx))
}

func TestConsumerOfOwnMessages(t *testing.T) {
	s := start(t, dropAll, tail.Config{Policies: []tail.Policy{failedPolicy}})

	// Consumed while the producer's root is open: one fragment, which waits.
	ctx, root := s.Start(context.Background(), "root 1")
	ctx, send := s.Start(ctx, "send 1", trace.WithSpanKind(trace.SpanKindProducer))
	send.End()
	_, process := s.Start(throughHTTP(ctx), "process 1", trace.WithSpanKind(trace.SpanKindConsumer))
	root.End()
	s.wantKept(t)
	process.SetStatus(codes.Error, "")
	process.End()
	s.wantKept(t, "send 1", "root 1", "process 1")

	// Consumed later: the part before has been dropped, that after can be kept.
	ctx, root = s.Start(context.Background(), "root 2")
	root.End()
	_, process = s.Start(throughHTTP(ctx), "process 2")
	process.SetStatus(codes.Error, "")
	process.End()

	// Consumed later, the part before having been kept: kept.
	ctx, root = s.Start(context.Background(), "root 3")
	root.SetStatus(codes.Error, "")
	root.End()
	_, process = s.Start(throughHTTP(ctx), "process 3")
	process.End()

	s.wantKept(t, "send 1", "root 1", "process 1", "process 2", "root 3", "process 3")
	if got := attr(s.kept.Ended()[5], tail.ReasonKey); got != "error" {
		t.Errorf("process 3 has reason %q, want that of its trace", got)
	}
}

func TestLinksDoNotJoin(t *testing.T) {
	s := start(t, dropAll, tail.Config{Policies: []tail.Policy{failedPolicy}})
	ctx, root := s.Start(context.Background(), "root")
	linkedCtx, linked := s.Start(ctx, "linked", trace.WithNewRoot(), trace.WithLinks(trace.LinkFromContext(ctx)))
	_, child := s.Start(linkedCtx, "child of linked")
	child.SetStatus(codes.Error, "")
	child.End()
	linked.End()
	root.End()
	s.wantKept(t, "child of linked", "linked")
}

func TestManyOpenTraces(t *testing.T) {
	s := start(t, dropAll, tail.Config{Policies: []tail.Policy{failedPolicy}})
	const n = 2000
	var contexts []context.Context
	for range n {
		ctx, _ := s.Start(context.Background(), "root")
		contexts = append(contexts, ctx)
	}
	for _, ctx := range contexts {
		_, child := s.Start(ctx, "child")
		child.SetStatus(codes.Error, "")
		child.End()
	}
	for _, ctx := range contexts {
		trace.SpanFromContext(ctx).End()
	}
	if st := s.Stats(); st.Kept["error"] != n || st.KeptSpans != 2*n || st.ForgottenSpans+st.LateSpans != 0 || st.UndecidedTraces != 0 {
		t.Errorf("of %d failed traces of two spans: %+v", n, st)
	}
}

// elsewhere starts spans in another context than theirs.
type elsewhere struct{ *tail.Processor }

func (e elsewhere) OnStart(_ context.Context, s sdktrace.ReadWriteSpan) {
	e.Processor.OnStart(context.Background(), s)
}

func TestStartedInAnotherContext(t *testing.T) {
	s := start(t, dropAll, tail.Config{Policies: []tail.Policy{failedPolicy}})
	provider := sdktrace.NewTracerProvider(sdktrace.WithSampler(dropAll), sdktrace.WithSpanProcessor(elsewhere{s.Processor}))
	ctx, root := provider.Tracer("").Start(context.Background(), "root")
	_, child := provider.Tracer("").Start(ctx, "child")
	child.SetStatus(codes.Error, "")
	child.End()
	root.End()
	s.wantKept(t, "child", "root")
}

func TestRootThatNeverEnds(t *testing.T) {
	for name, tt := range map[string]struct {
		policy tail.Policy
		want   []string
	}{
		"counts as lasting until now":        {tail.Policy{Root: tail.Condition{SlowerThan: 8 * time.Second}}, []string{"child", "late child", "root"}},
		"is seen with its status so far":     {tail.Policy{Root: tail.Condition{Error: true}}, []string{"child", "late child", "root"}},
		"is dropped if nothing is known yet": {tail.Policy{Root: tail.Condition{SlowerThan: time.Hour}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := start(t, dropAll, tail.Config{Timeout: 8 * time.Second, Policies: []tail.Policy{tt.policy}})
				ctx, root := s.Start(context.Background(), "root")
				root.SetStatus(codes.Error, "")
				_, child := s.Start(ctx, "child")
				child.End()
				time.Sleep(8 * time.Second)
				synctest.Wait()
				s.wantKept(t)
				time.Sleep(2 * time.Second)
				synctest.Wait()
				if st := s.Stats(); st.Early["timeout"] != 1 || st.UndecidedTraces != 0 || st.UndecidedSpans != 0 || st.UndecidedBytes != 0 {
					t.Errorf("counted %+v", st)
				}
				_, late := s.Start(ctx, "late child")
				late.End()
				root.End()
				s.wantKept(t, tt.want...)
			})
		})
	}
}

func TestBoundsDecideOnTheOldest(t *testing.T) {
	for bound, cfg := range map[string]tail.Config{
		"max_traces": {MaxTraces: 2},
		"max_spans":  {MaxSpans: 2},
		"max_bytes":  {MaxBytes: 3000},
	} {
		t.Run(bound, func(t *testing.T) {
			errs := handledErrors(t)
			cfg.Policies = []tail.Policy{failedPolicy}
			s := start(t, dropAll, cfg)
			var roots []trace.Span
			for _, name := range []string{"1", "2", "3"} {
				ctx, root := s.Start(context.Background(), "root "+name)
				_, child := s.Start(ctx, "child "+name)
				child.SetStatus(codes.Error, "")
				child.End()
				roots = append(roots, root)
			}
			s.wantKept(t, "child 1")
			for _, root := range roots {
				root.End()
			}
			st := s.Stats()
			if st.Early[bound] == 0 || st.UndecidedTraces+st.UndecidedSpans+st.UndecidedBytes != 0 {
				t.Errorf("counted %+v", st)
			}
			if len(*errs) != 1 {
				t.Errorf("reported %v, want it told once", *errs)
			}
		})
	}
}

// TestOpenRootsCount: local roots that nobody ends are as large as others, as
// they started or as they have become since.
func TestOpenRootsCount(t *testing.T) {
	large := attribute.String("payload", strings.Repeat("x", 1<<20))
	for name, open := range map[string]func(service){
		"at the start": func(s service) { s.Start(context.Background(), "root", trace.WithAttributes(large)) },
		"set later": func(s service) {
			_, root := s.Start(context.Background(), "root")
			root.SetAttributes(large)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				handledErrors(t)
				s := start(t, dropAll, tail.Config{MaxBytes: 8 << 20, Timeout: time.Minute, Policies: []tail.Policy{failedPolicy}})
				for range 100 {
					open(s)
				}
				time.Sleep(time.Minute / 4) // an eighth, and what is left of the one before
				synctest.Wait()
				if st := s.Stats(); st.UndecidedBytes > 8<<20 || st.UndecidedTraces > 8 || st.Early["max_bytes"] < 92 {
					t.Errorf("counted %+v", st)
				}
			})
		})
	}
}

func TestMaxSpansPerTrace(t *testing.T) {
	errs := handledErrors(t)
	s := start(t, dropAll, tail.Config{MaxSpansPerTrace: 3, Policies: []tail.Policy{failedPolicy}})
	ctx, root := s.Start(context.Background(), "root")
	for _, name := range []string{"1", "2", "3", "4"} {
		_, child := s.Start(ctx, name)
		child.SetStatus(codes.Error, "")
		child.End()
	}
	s.wantKept(t, "1", "2", "3", "4")
	root.End()
	s.wantKept(t, "1", "2", "3", "4", "root")
	if st := s.Stats(); st.Early["max_spans_per_trace"] != 1 || st.LateSpans != 2 {
		t.Errorf("counted %+v", st)
	}
	if len(*errs) != 1 {
		t.Errorf("reported %v, want it told once", *errs)
	}
}

func TestFlushDecidesWhatIsPending(t *testing.T) {
	s := start(t, dropAll, tail.Config{Policies: []tail.Policy{failedPolicy}})
	ctx, root := s.Start(context.Background(), "root")
	_, child := s.Start(ctx, "child")
	child.SetStatus(codes.Error, "")
	child.End()
	if err := s.ForceFlush(context.Background()); err != nil {
		t.Fatal(err)
	}
	s.wantKept(t, "child")
	root.End()
	s.wantKept(t, "child", "root")
}

func TestFlushWaitsForWhatIsBeingHandedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		next := &blocking{release: make(chan struct{})}
		p, err := tail.NewProcessor(next, tail.Config{Policies: []tail.Policy{{Probability: 1}}})
		if err != nil {
			t.Fatal(err)
		}
		provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(p))
		tracer := provider.Tracer("")
		_, root := tracer.Start(context.Background(), "root")
		go root.End()
		synctest.Wait()

		// No lock is held meanwhile: another trace goes on in the same shard.
		for range 100 {
			_, other := tracer.Start(context.Background(), "open")
			defer other.End()
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := p.ForceFlush(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("ForceFlush returns %v before the span is handed on", err)
		}
		flushed := make(chan error)
		go func() { flushed <- p.ForceFlush(context.Background()) }()
		synctest.Wait()
		close(next.release)
		if err := <-flushed; err != nil {
			t.Error(err)
		}
		if err := provider.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

func TestFlushAndShutdownLeaveASlowProcessorBehind(t *testing.T) {
	for name, end := range map[string]func(*tail.Processor, context.Context) error{
		"ForceFlush": (*tail.Processor).ForceFlush,
		"Shutdown":   (*tail.Processor).Shutdown,
	} {
		for _, who := range []string{"itself", "the timeout"} {
			t.Run(name+" while "+who+" hands on", func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					next := &blocking{release: make(chan struct{})}
					p, err := tail.NewProcessor(next, tail.Config{Timeout: 8 * time.Second, Policies: []tail.Policy{{Probability: 1}}})
					if err != nil {
						t.Fatal(err)
					}
					tracer := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(p)).Tracer("")
					parent, _ := tracer.Start(context.Background(), "root")
					_, child := tracer.Start(parent, "child")
					child.End()
					if who == "the timeout" {
						time.Sleep(10 * time.Second)
						synctest.Wait()
					}
					began := time.Now()
					ctx, cancel := context.WithTimeout(context.Background(), time.Second)
					defer cancel()
					err = end(p, ctx)
					if took := time.Since(began); !errors.Is(err, context.DeadlineExceeded) || took != time.Second {
						t.Errorf("returned %v after %v", err, took)
					}
					close(next.release)
					synctest.Wait()
					if err := p.Shutdown(context.Background()); err != nil {
						t.Error(err)
					}
				})
			})
		}
	}
}

// asking tells when a policy looks at a span, and waits for leave.
type asking struct {
	sdktrace.ReadOnlySpan
	asked, leave chan struct{}
}

func (a asking) SpanKind() trace.SpanKind {
	close(a.asked)
	<-a.leave
	return a.ReadOnlySpan.SpanKind()
}

// slowToAnswer makes the policies wait for spans named "slow to answer".
type slowToAnswer struct {
	*tail.Processor
	asked, leave chan struct{}
}

func (p slowToAnswer) OnEnd(s sdktrace.ReadOnlySpan) {
	if s.Name() == "slow to answer" {
		s = asking{s, p.asked, p.leave}
	}
	p.Processor.OnEnd(s)
}

func TestFlushDecidesWhatBeganDuringADecision(t *testing.T) {
	for name, end := range map[string]func(*tail.Processor, context.Context) error{
		"ForceFlush": (*tail.Processor).ForceFlush,
		"Shutdown":   (*tail.Processor).Shutdown,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := start(t, dropAll, tail.Config{Policies: []tail.Policy{
					failedPolicy,
					{Name: "asks", Span: tail.Condition{Match: sampler.Match{Kind: trace.SpanKindServer}}},
				}})
				front := slowToAnswer{s.Processor, make(chan struct{}), make(chan struct{})}
				tracer := sdktrace.NewTracerProvider(sdktrace.WithSampler(dropAll), sdktrace.WithSpanProcessor(front)).Tracer("")
				ctx, root := tracer.Start(context.Background(), "root")
				_, slow := tracer.Start(ctx, "slow to answer")
				slow.End()
				go root.End()
				<-front.asked
				ctx, nested := tracer.Start(throughHTTP(ctx), "nested")
				_, failed := tracer.Start(ctx, "failed")
				failed.SetStatus(codes.Error, "")
				failed.End()
				ended := make(chan error)
				go func() { ended <- end(s.Processor, context.Background()) }()
				synctest.Wait()
				close(front.leave)
				if err := <-ended; err != nil {
					t.Error(err)
				}
				s.wantKept(t, "failed")
				nested.End()
			})
		})
	}
}

// blocking blocks in OnEnd.
type blocking struct {
	sdktrace.SpanProcessor
	release chan struct{}
}

func (*blocking) OnStart(context.Context, sdktrace.ReadWriteSpan) {}
func (b *blocking) OnEnd(sdktrace.ReadOnlySpan)                   { <-b.release }
func (*blocking) ForceFlush(context.Context) error                { return nil }
func (*blocking) Shutdown(context.Context) error                  { return nil }

func TestShutdownHandsOnAndRefuses(t *testing.T) {
	s := start(t, dropAll, tail.Config{Policies: []tail.Policy{failedPolicy}})
	ctx, root := s.Start(context.Background(), "root")
	_, child := s.Start(ctx, "child")
	child.SetStatus(codes.Error, "")
	child.End()
	for range 2 {
		if err := s.Shutdown(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	root.End()
	s.wantKept(t, "child")
	if st := s.Stats(); st.RefusedSpans != 1 {
		t.Errorf("counted %d refused spans, want 1", st.RefusedSpans)
	}
}

func TestFlushKeepsTheDeadline(t *testing.T) {
	s := start(t, dropAll, tail.Config{Policies: []tail.Policy{{Probability: 1}}})
	_, root := s.Start(context.Background(), "root")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.ForceFlush(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("ForceFlush returns %v", err)
	}
	if st := s.Stats(); st.UndecidedTraces != 1 {
		t.Errorf("%d traces are undecided, want 1", st.UndecidedTraces)
	}
	root.End()
	s.wantKept(t, "root")
}

func TestShutdownPastTheDeadlineRefusesWhatIsLeft(t *testing.T) {
	s := start(t, dropAll, tail.Config{Policies: []tail.Policy{failedPolicy}})
	_, root := s.Start(context.Background(), "root")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown returns %v", err)
	}
	root.End()
	if st := s.Stats(); st.RefusedSpans != 1 || st.DroppedSpans != 0 {
		t.Errorf("counted %d refused spans and %d dropped ones, want 1 and 0", st.RefusedSpans, st.DroppedSpans)
	}
}

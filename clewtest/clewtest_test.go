package clewtest_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"

	"github.com/clewtrace/clew/clewtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// packageTracer was obtained before any provider was set, as in most programs.
var packageTracer = otel.Tracer("package")

// spans starts and ends spans of these names, each the child of the one before.
func spans(ctx context.Context, tracer trace.Tracer, names ...string) {
	if len(names) == 0 {
		return
	}
	ctx, span := tracer.Start(ctx, names[0])
	defer span.End()
	spans(ctx, tracer, names[1:]...)
}

// A verdict is a testing.TB that remembers failures instead of failing.
type verdict struct {
	testing.TB
	mu       sync.Mutex
	failures []string
}

func (v *verdict) Helper() {}

func (v *verdict) Errorf(format string, args ...any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.failures = append(v.failures, fmt.Sprintf(format, args...))
}

func (v *verdict) Fatalf(format string, args ...any) {
	v.Errorf(format, args...)
	panic(v)
}

func TestWant(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, want, failure string }{
		{"the same", "a\n  b\n    c\n  d\n\ne", ""},
		{"indented by tabs, with empty lines around", "\n\t\ta\n\t\t  b\n\t\t    c\n\t\t  d\n\n\t\te\n\t", ""},
		{"nothing wanted", "", "traces differ (- want, + got):\n+ a\n+   b\n+     c\n+   d\n+ \n+ e\n"},
		{"another name", "a\n  b\n    x\n  d\n\ne", "traces differ (- want, + got):\n  a\n    b\n-     x\n+     c\n    d\n  \n  e\n"},
		{"another parent", "a\n  b\n  c\n  d\n\ne", "traces differ (- want, + got):\n  a\n    b\n-   c\n+     c\n    d\n  \n  e\n"},
		{"one missing", "a\n  b\n    c\n  d\n  f\n\ne", "traces differ (- want, + got):\n  a\n    b\n      c\n    d\n-   f\n  \n  e\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := &verdict{TB: t}
			rec := clewtest.Record(v)
			tracer := rec.TracerProvider().Tracer("")
			ctx, a := tracer.Start(t.Context(), "a")
			spans(ctx, tracer, "b", "c")
			spans(ctx, tracer, "d")
			a.End()
			spans(t.Context(), tracer, "e")
			rec.Want(c.want)
			if got := strings.Join(v.failures, "\n"); got != c.failure {
				t.Errorf("got %q\nwant %q", got, c.failure)
			}
		})
	}
}

func TestAttributes(t *testing.T) {
	t.Parallel()
	rec := clewtest.Record(t, clewtest.Attributes("code", "route"))
	_, span := rec.TracerProvider().Tracer("").Start(t.Context(), "GET", trace.WithAttributes(
		attribute.String("route", "/x"), attribute.Int("code", 404), attribute.Bool("other", true)))
	span.End()
	rec.Want("GET code=404 route=/x")
	s := rec.Span("GET")
	if got := s.Attr("code").AsInt64(); got != 404 {
		t.Errorf("code is %d", got)
	}
	if got := s.Attr("absent").Type(); got != attribute.EMPTY {
		t.Errorf("an absent attribute has type %v", got)
	}
}

func TestSortedSiblings(t *testing.T) {
	t.Parallel()
	rec := clewtest.Record(t, clewtest.Sorted())
	tracer := rec.TracerProvider().Tracer("")
	ctx, parent := tracer.Start(t.Context(), "parent")
	for _, name := range []string{"c", "a", "b"} {
		spans(ctx, tracer, name)
	}
	parent.End()
	rec.Want("parent\n  a\n  b\n  c")
}

func TestASpanThatDoesNotEndFailsTheTest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &verdict{TB: t}
		rec := clewtest.Record(v)
		ctx, span := rec.TracerProvider().Tracer("").Start(t.Context(), "open")
		spans(ctx, rec.TracerProvider().Tracer(""), "closed")
		rec.Want("closed")
		if got, want := strings.Join(v.failures, "\n"), `spans that have not ended: "open"`; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		rec.Reset()
		span.End()
		rec.Want("")
		if len(v.failures) != 1 {
			t.Errorf("after Reset: %q", v.failures)
		}
	})
}

func TestASpanThatStartsAsAnotherEndsIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &verdict{TB: t}
		rec := clewtest.Record(v)
		tracer := rec.TracerProvider().Tracer("")
		_, span := tracer.Start(t.Context(), "first")
		go func() {
			for range 100 {
				time.Sleep(time.Millisecond) // while the recorder waits
				span.End()
				_, span = tracer.Start(t.Context(), "next")
			}
			time.Sleep(time.Millisecond)
			span.End()
		}()
		rec.Traces()
		synctest.Wait()
		if len(v.failures) > 0 {
			t.Errorf("failures %q", v.failures)
		}
		time.Sleep(time.Second) // for the goroutine
	})
}

func TestSpanFailsUnlessThereIsOne(t *testing.T) {
	t.Parallel()
	for name, failure := range map[string]string{
		"missing": "0 spans are called \"missing\", want one; recorded:\ntwice\n  twice",
		"twice":   "2 spans are called \"twice\", want one; recorded:\ntwice\n  twice",
	} {
		v := &verdict{TB: t}
		rec := clewtest.Record(v)
		spans(t.Context(), rec.TracerProvider().Tracer(""), "twice", "twice")
		func() {
			defer func() {
				if recover() != v {
					t.Errorf("%s: Span returned", name)
				}
			}()
			rec.Span(name)
		}()
		if got := strings.Join(v.failures, "\n"); got != failure {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

// A server's span ends after its client has read the answer, and the server's
// context does not come from the test.
func TestGlobalFollowsATraceThroughAServer(t *testing.T) {
	for _, route := range []string{"/one", "/two", "/three"} {
		t.Run(route, func(t *testing.T) {
			t.Parallel()
			rec := clewtest.Record(t, clewtest.Global())
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				ctx := otel.GetTextMapPropagator().Extract(r.Context(), propagation.HeaderCarrier(r.Header))
				ctx, span := packageTracer.Start(ctx, "server")
				defer span.End()
				spans(ctx, packageTracer, "work for "+route)
				w.WriteHeader(http.StatusNoContent)
				w.(http.Flusher).Flush()
			}))
			defer server.Close()
			ctx, span := packageTracer.Start(rec.Context(), "client")
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			otel.GetTextMapPropagator().Inject(ctx, propagation.HeaderCarrier(req.Header))
			resp, err := server.Client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			span.End()
			rec.Want("client\n  server\n    work for " + route)
		})
	}
}

func TestGlobal(t *testing.T) {
	before := otel.GetTracerProvider()
	t.Run("the only recorder needs no context", func(t *testing.T) {
		rec := clewtest.Record(t, clewtest.Global())
		spans(t.Context(), packageTracer, "a", "b")
		spans(context.Background(), otel.Tracer("late"), "c")
		rec.Want("a\n  b\n\nc")
	})
	t.Run("with two, the context decides", func(t *testing.T) {
		one, two := clewtest.Record(t, clewtest.Global()), clewtest.Record(t, clewtest.Global())
		spans(one.Context(), packageTracer, "one")
		spans(two.Context(), packageTracer, "two")
		spans(t.Context(), packageTracer, "whose?")
		one.Want("one")
		two.Want("two")
	})
	t.Run("what belongs to no test is named on failure", func(t *testing.T) {
		v := &verdict{TB: t}
		one := clewtest.Record(v, clewtest.Global())
		clewtest.Record(t, clewtest.Global())
		spans(t.Context(), packageTracer, "whose?")
		one.Want("whose?")
		const want = "traces differ (- want, + got):\n- whose?\nspans that belong to no test, because several run and the context names none: \"whose?\"; begin with Recorder.Context\n"
		if got := strings.Join(v.failures, "\n"); got != want {
			t.Errorf("got %q", got)
		}
	})
	t.Run("a recorder that the code does not use says so", func(t *testing.T) {
		v := &verdict{TB: t}
		rec := clewtest.Record(v)
		spans(t.Context(), packageTracer, "elsewhere")
		rec.Want("elsewhere")
		const want = "traces differ (- want, + got):\n- elsewhere\nnothing was recorded: the code is to use Recorder.TracerProvider, or the test the option Global\n"
		if got := strings.Join(v.failures, "\n"); got != want {
			t.Errorf("got %q", got)
		}
	})
	t.Run("without the option nothing is recorded", func(t *testing.T) {
		rec := clewtest.Record(t)
		spans(rec.Context(), packageTracer, "elsewhere")
		rec.Want("")
	})
	if otel.GetTracerProvider() != before {
		t.Error("the global provider is not the previous one")
	}
}

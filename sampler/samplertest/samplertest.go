// Package samplertest checks implementations of [sampler.Composable] against
// the rules that its documentation gives to implementers.
package samplertest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/sampler"
)

// Run reports every rule that c breaks as an error of t.
func Run(t *testing.T, c sampler.Composable) {
	t.Helper()
	if err := Check(c); err != nil {
		t.Error(err)
	}
}

// Check returns the rules that c breaks, joined into one error, or nil. It asks c about
// some ten thousand spans.
func Check(c sampler.Composable) error {
	spans := examples()
	return errors.Join(
		checkDescription(c),
		checkIntents(c, spans),
		checkRandomness(c, spans),
		checkConcurrency(c, spans),
	)
}

// examples are spans of many sorts, odd ones included.
func examples() []sdktrace.SamplingParameters {
	contexts := []context.Context{nil, context.Background()}
	for _, state := range []string{"", "vendor=1", "ot=th:8", "ot=th:0;rv:ffffffffffffff;k:v,vendor=1", "ot=th:", "ot=rv:zz"} {
		for _, flags := range []trace.TraceFlags{0, 1, 3} {
			for _, remote := range []bool{false, true} {
				ts, err := trace.ParseTraceState(state)
				if err != nil {
					panic(err) // the list above is wrong
				}
				contexts = append(contexts, trace.ContextWithSpanContext(context.Background(), trace.NewSpanContext(trace.SpanContextConfig{
					TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}, TraceFlags: flags, Remote: remote, TraceState: ts,
				})))
			}
		}
	}
	var spans []sdktrace.SamplingParameters
	for i, ctx := range contexts {
		for _, name := range []string{"", "GET /", "\xff\x00", "a long name that no rule is likely to mention"} {
			spans = append(spans, sdktrace.SamplingParameters{
				ParentContext: ctx,
				TraceID:       trace.TraceID{1},
				Name:          name,
				Kind:          trace.SpanKind(i % 7),
				Attributes: []attribute.KeyValue{
					attribute.String("http.route", "/"), attribute.Int("n", i), attribute.StringSlice("s", []string{"a"}), {},
				}[:i%5],
			})
		}
	}
	return spans
}

func checkDescription(c sampler.Composable) error {
	if c.Description() == "" {
		return errors.New("samplertest: Description is empty")
	}
	return nil
}

// ask returns the intent for a span, or an error if c panics.
func ask(c sampler.Composable, p sdktrace.SamplingParameters) (intent sampler.Intent, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("samplertest: SamplingIntent panics for span %q: %v", p.Name, v)
		}
	}()
	return c.SamplingIntent(sampler.NewParameters(p)), nil
}

func checkIntents(c sampler.Composable, spans []sdktrace.SamplingParameters) error {
	for _, p := range spans {
		intent, err := ask(c, p)
		if err != nil {
			return err
		}
		if intent.Threshold.IsNone() && intent.Reliable {
			return fmt.Errorf("samplertest: span %q: a missing threshold is said to be reliable", p.Name)
		}
		before := slices.Clone(intent.Attributes)
		if intent.TraceState != nil {
			if err := checkTraceState(intent.TraceState); err != nil {
				return err
			}
		}
		if _, err := ask(c, p); err != nil {
			return err
		}
		if !slices.Equal(before, intent.Attributes) {
			return fmt.Errorf("samplertest: span %q: Attributes changed after they were returned", p.Name)
		}
	}
	return nil
}

func checkTraceState(change func(trace.TraceState) trace.TraceState) error {
	for _, text := range []string{"", "ot=th:8;rv:ffffffffffffff;k:v", "vendor=1,ot=k:v"} {
		before, err := trace.ParseTraceState(text)
		if err != nil {
			return err
		}
		if after := change(before); after.Get("ot") != before.Get("ot") {
			return fmt.Errorf("samplertest: TraceState changed ot from %q to %q", before.Get("ot"), after.Get("ot"))
		}
	}
	return nil
}

// checkRandomness asks about traces with low or high randomness, as a random bit
// decides. The bit is drawn anew each time, so that no threshold can depend on it, not
// even that of a policy that learns from the past.
func checkRandomness(c sampler.Composable, spans []sdktrace.SamplingParameters) error {
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, p := range spans[:8] { // spans without a parent
		var last, sum, squares float64
		for range 500 {
			coin := rnd.Uint64N(2)
			binary.BigEndian.PutUint64(p.TraceID[8:], rnd.Uint64N(1<<52)|coin*0xf<<52)
			intent, err := ask(c, p)
			if err != nil {
				return err
			}
			probability := intent.Threshold.Probability()
			change := (probability - last) * (2*float64(coin) - 1)
			sum += change
			squares += change * change
			last = probability
		}
		if math.Abs(sum) > 6*math.Sqrt(squares) { // standard errors
			return fmt.Errorf("samplertest: span %q: the threshold depends on the trace id", p.Name)
		}
	}
	return nil
}

// checkConcurrency calls c from several goroutines, so that the race detector can find
// races.
func checkConcurrency(c sampler.Composable, spans []sdktrace.SamplingParameters) error {
	errs := make([]error, 4)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			for _, p := range spans {
				if _, err := ask(c, p); err != nil {
					errs[i] = err
					return
				}
				c.Description()
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

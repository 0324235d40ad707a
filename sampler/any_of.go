package sampler

import (
	"slices"
	"strings"

	"go.opentelemetry.io/otel/trace"
)

// AnyOf keeps what at least one of the delegates would keep: the lowest threshold
// decides. That threshold is reliable if one of the delegates that returned it says so.
// The span gets the attributes of all delegates, and their changes of the tracestate
// one after the other. Without delegates everything is dropped.
//
// It follows ConsistentAnyOf of OTEP 250.
func AnyOf(delegates ...Composable) Composable {
	return &anyOf{slices.Clone(delegates)}
}

type anyOf struct{ delegates []Composable }

func (s *anyOf) SamplingIntent(p Parameters) Intent {
	var all Intent
	for _, d := range s.delegates {
		intent := d.SamplingIntent(p)
		all.TraceState = chain(all.TraceState, intent.TraceState)
		switch {
		case intent.Threshold.kept > all.Threshold.kept:
			all.Threshold, all.Reliable = intent.Threshold, intent.Reliable
		case intent.Threshold == all.Threshold:
			all.Reliable = all.Reliable || intent.Reliable
		}
		if len(all.Attributes) == 0 {
			all.Attributes = intent.Attributes
		} else if len(intent.Attributes) > 0 {
			all.Attributes = slices.Concat(all.Attributes, intent.Attributes)
		}
	}
	return all
}

func (s *anyOf) Description() string { return "AnyOf{" + describe(s.delegates) + "}" }

func describe(delegates []Composable) string {
	names := make([]string, len(delegates))
	for i, d := range delegates {
		names[i] = d.Description()
	}
	return strings.Join(names, ",")
}

// chain returns a function that makes the first change and then the second. Nil is no
// change.
func chain(first, second func(trace.TraceState) trace.TraceState) func(trace.TraceState) trace.TraceState {
	switch {
	case first == nil:
		return second
	case second == nil:
		return first
	default:
		return func(ts trace.TraceState) trace.TraceState { return second(first(ts)) }
	}
}

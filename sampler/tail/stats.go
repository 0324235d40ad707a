package tail

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// A bound is a limit that makes the processor decide early.
type bound uint8

const (
	maxTraces bound = iota
	maxSpansPerTrace
	maxSpans
	maxBytes
	timeout
	numBounds
)

var boundNames = [numBounds]string{"max_traces", "max_spans_per_trace", "max_spans", "max_bytes", "timeout"}

func (c *Config) exceeded(b bound) string {
	switch b {
	case maxTraces:
		return fmt.Sprintf("MaxTraces (%d) exceeded", c.MaxTraces)
	case maxSpansPerTrace:
		return fmt.Sprintf("MaxSpansPerTrace (%d) reached", c.MaxSpansPerTrace)
	case maxSpans:
		return fmt.Sprintf("MaxSpans (%d) exceeded", c.MaxSpans)
	default:
		return fmt.Sprintf("MaxBytes (%d) exceeded", c.MaxBytes)
	}
}

// headPolicy is the name of the head sampler among the names of policies.
const headPolicy = "head"

// Stats are counts since the start, except for those of what is undecided now.
type Stats struct {
	// Kept counts fragments by the name of the policy that kept them. "head" counts the
	// fragments of which the head sampler kept every span.
	Kept map[string]uint64
	// Dropped counts fragments that no policy kept.
	Dropped uint64
	// KeptSpans were handed on, DroppedSpans were not.
	KeptSpans, DroppedSpans uint64
	// LateSpans are the spans, kept or dropped, that followed an earlier decision.
	LateSpans uint64
	// ForgottenSpans are the spans of unknown or forgotten traces. Each counts as a
	// fragment of its own.
	ForgottenSpans uint64
	// RefusedSpans ended after Shutdown.
	RefusedSpans uint64
	// Early counts the fragments that were decided before their end, by the bound that
	// was the cause: max_traces, max_spans_per_trace, max_spans, max_bytes or timeout.
	Early map[string]uint64
	// IgnoredDurations are the durations of operations beyond MaxOperations.
	IgnoredDurations uint64
	// These wait for a decision.
	UndecidedTraces, UndecidedSpans, UndecidedBytes int
}

// counts are the counts of one shard.
type counts struct {
	kept                     []uint64 // by policy, and by the head sampler
	dropped                  uint64
	keptSpans, droppedSpans  uint64
	late, forgotten, refused uint64
	early                    [numBounds]uint64
}

func (c *counts) trace(d decision, headKept bool) {
	switch {
	case headKept:
		c.kept[len(c.kept)-1]++
	case d.keep:
		c.kept[d.policy]++
	default:
		c.dropped++
	}
}

func (c *counts) spans(d decision, n int, sampled bool) {
	if d.keep || sampled {
		c.keptSpans += uint64(n)
	} else {
		c.droppedSpans += uint64(n)
	}
}

// Stats returns what has been counted so far.
func (p *Processor) Stats() Stats {
	st := Stats{
		Kept:             make(map[string]uint64, len(p.policies.list)+1),
		Early:            make(map[string]uint64, numBounds),
		IgnoredDurations: p.policies.ignoredOperations(),
	}
	for i := range p.shards {
		sh := &p.shards[i]
		sh.mu.Lock()
		c := &sh.counts
		for j, n := range c.kept {
			st.Kept[p.policyName(j)] += n
		}
		for j, n := range c.early {
			st.Early[boundNames[j]] += n
		}
		st.Dropped += c.dropped
		st.KeptSpans += c.keptSpans
		st.DroppedSpans += c.droppedSpans
		st.LateSpans += c.late
		st.ForgottenSpans += c.forgotten
		st.RefusedSpans += c.refused
		st.UndecidedTraces += sh.undecided.len
		st.UndecidedSpans += sh.spans
		st.UndecidedBytes += sh.bytes
		sh.mu.Unlock()
	}
	return st
}

func (p *Processor) policyName(i int) string {
	if i == len(p.policies.list) {
		return headPolicy
	}
	return p.policies.list[i].name
}

// observe registers metrics that report Stats.
func (p *Processor) observe(mp metric.MeterProvider) (err error) {
	if mp == nil {
		mp = otel.GetMeterProvider()
	}
	m := instruments{meter: mp.Meter("github.com/clewtrace/clew/sampler/tail")}
	kept := m.counter("clew.tail.traces.kept", "{trace}", "Fragments of traces that were kept, by policy.")
	dropped := m.counter("clew.tail.traces.dropped", "{trace}", "Fragments of traces that no policy kept.")
	early := m.counter("clew.tail.early", "{trace}", "Fragments decided before their end, by the bound that made them so.")
	keptSpans := m.counter("clew.tail.spans.kept", "{span}", "Spans handed on.")
	droppedSpans := m.counter("clew.tail.spans.dropped", "{span}", "Spans not handed on.")
	late := m.counter("clew.tail.spans.late", "{span}", "Spans that followed an earlier decision.")
	forgotten := m.counter("clew.tail.spans.forgotten", "{span}", "Spans of traces that are not known.")
	refused := m.counter("clew.tail.spans.refused", "{span}", "Spans that ended after Shutdown.")
	ignored := m.counter("clew.tail.durations.ignored", "{span}", "Durations of operations beyond MaxOperations.")
	traces := m.gauge("clew.tail.undecided.traces", "{trace}", "Fragments that wait for a decision.")
	spans := m.gauge("clew.tail.undecided.spans", "{span}", "Spans that wait for a decision.")
	bytes := m.gauge("clew.tail.undecided.size", "By", "Estimated memory of spans that wait for a decision.")
	if m.err != nil {
		return m.err
	}
	p.metrics, err = m.meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		st := p.Stats()
		for name, n := range st.Kept {
			o.ObserveInt64(kept, int64(n), metric.WithAttributes(PolicyKey.String(name)))
		}
		for name, n := range st.Early {
			o.ObserveInt64(early, int64(n), metric.WithAttributes(attribute.String("clew.tail.bound", name)))
		}
		o.ObserveInt64(dropped, int64(st.Dropped))
		o.ObserveInt64(keptSpans, int64(st.KeptSpans))
		o.ObserveInt64(droppedSpans, int64(st.DroppedSpans))
		o.ObserveInt64(late, int64(st.LateSpans))
		o.ObserveInt64(forgotten, int64(st.ForgottenSpans))
		o.ObserveInt64(refused, int64(st.RefusedSpans))
		o.ObserveInt64(ignored, int64(st.IgnoredDurations))
		o.ObserveInt64(traces, int64(st.UndecidedTraces))
		o.ObserveInt64(spans, int64(st.UndecidedSpans))
		o.ObserveInt64(bytes, int64(st.UndecidedBytes))
		return nil
	}, m.all...)
	return err
}

// instruments makes instruments and keeps the first error.
type instruments struct {
	meter metric.Meter
	all   []metric.Observable
	err   error
}

func (m *instruments) counter(name, unit, description string) metric.Int64ObservableCounter {
	c, err := m.meter.Int64ObservableCounter(name, metric.WithUnit(unit), metric.WithDescription(description))
	m.add(c, err)
	return c
}

func (m *instruments) gauge(name, unit, description string) metric.Int64ObservableUpDownCounter {
	c, err := m.meter.Int64ObservableUpDownCounter(name, metric.WithUnit(unit), metric.WithDescription(description))
	m.add(c, err)
	return c
}

func (m *instruments) add(o metric.Observable, err error) {
	m.all = append(m.all, o)
	if m.err == nil {
		m.err = err
	}
}

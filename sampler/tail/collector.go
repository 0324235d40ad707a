package tail

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/sampler"
)

// CollectorConfig returns a configuration, in YAML, of the OpenTelemetry Collector's
// tail_sampling processor. That processor decides on whole traces as cfg does on
// fragments. The text belongs below processors in the Collector's configuration.
//
// It needs a Collector of version 0.161 or later. Where the two differ:
//
//   - The Collector has no SlowerThanQuantile and no TracesPerSecond: an error.
//   - A local root is known by the flags of the OTLP span, which Go's SDK sets.
//   - By default the Collector keeps another share of the traces, of the same
//     size, for Probability. With its feature gate
//     processor.tailsamplingprocessor.usetracestate it keeps the same traces if
//     their ot member of tracestate has rv or th.
//   - The Collector asks every policy, unless sample_on_first_match is set, so
//     that traces which an earlier one keeps use up SpansPerSecond, too.
//   - A trace with more spans than SpansPerSecond never passes the Collector's limit.
//   - The Collector writes floating-point attributes without exponent before it
//     compares them with a pattern.
func CollectorConfig(cfg Config) (string, error) {
	if err := cfg.validate(); err != nil {
		return "", err
	}
	cfg = cfg.withDefaults()
	var w yaml
	w.line(0, "tail_sampling:")
	w.line(1, "decision_wait: %s", cfg.Timeout)
	w.line(1, "num_traces: %d", cfg.MaxTraces)
	w.line(1, "decision_cache:")
	w.line(2, "sampled_cache_size: %d", cfg.MaxDecisions)
	w.line(2, "non_sampled_cache_size: %d", cfg.MaxDecisions)
	w.line(1, "policies:")
	for i := range cfg.Policies {
		p := &cfg.Policies[i]
		parts, err := p.collector()
		if err != nil {
			return "", fmt.Errorf("tail: Config.Policies[%d] (%q): %w", i, p.name(), err)
		}
		w.line(2, "- name: %q", p.name())
		if len(parts) == 1 {
			w.part(3, parts[0])
			continue
		}
		w.line(3, "type: and")
		w.line(3, "and:")
		w.line(4, "and_sub_policy:")
		for j, part := range parts {
			w.line(5, "- name: %q", p.name()+" "+strconv.Itoa(j+1))
			w.part(6, part)
		}
	}
	return w.String(), nil
}

type yaml struct{ strings.Builder }

func (w *yaml) line(depth int, format string, args ...any) {
	w.WriteString(strings.Repeat("  ", depth))
	fmt.Fprintf(w, format+"\n", args...)
}

func (w *yaml) part(depth int, p collectorPolicy) {
	w.line(depth, "type: %s", p.kind)
	w.line(depth, "%s:", p.kind)
	for _, s := range p.settings {
		w.line(depth+1, "%s", s)
	}
}

// A collectorPolicy is a policy of the Collector. Its settings are lines of YAML.
type collectorPolicy struct {
	kind     string
	settings []string
}

// collector returns the policies of the Collector that must all match.
func (p *Policy) collector() ([]collectorPolicy, error) {
	if p.TracesPerSecond > 0 {
		return nil, errors.New("the Collector has no TracesPerSecond; use SpansPerSecond")
	}
	var parts []collectorPolicy
	for _, c := range []struct {
		*Condition
		name string
		root bool
	}{{&p.Root, "Root", true}, {&p.Span, "Span", false}} {
		if c.isZero() {
			continue
		}
		if c.SlowerThanQuantile > 0 {
			return nil, fmt.Errorf("the Collector has no %s.SlowerThanQuantile; use SlowerThan", c.name)
		}
		parts = append(parts, c.collector(c.root))
	}
	if p.Probability > 0 {
		percentage := strconv.FormatFloat(100*p.Probability, 'f', -1, 64)
		parts = append(parts, collectorPolicy{"probabilistic", []string{"sampling_percentage: " + percentage}})
	}
	if p.SpansPerSecond > 0 {
		limit := strconv.FormatFloat(math.Ceil(p.SpansPerSecond), 'f', -1, 64)
		parts = append(parts, collectorPolicy{"rate_limiting", []string{"spans_per_second: " + limit, "burst_capacity: " + limit}})
	}
	return parts, nil
}

// Conditions on the parent in the OpenTelemetry Transformation Language. The flags are
// SpanFlags of OTLP: 256 says that the bit 512 is valid, and 512 that the parent is
// remote. OTLP sets no higher bits.
const (
	ottlNoParent = "span.parent_span_id == SpanID(0x0000000000000000)"
	ottlParent   = "span.parent_span_id != SpanID(0x0000000000000000)"
	ottlRemote   = "(" + ottlParent + " and span.flags >= 768)"
	ottlLocal    = "(" + ottlParent + " and span.flags < 768)"
	ottlRoot     = "(" + ottlNoParent + " or span.flags >= 768)"
)

func (c *Condition) collector(root bool) collectorPolicy {
	var all []string
	if root {
		all = append(all, ottlRoot)
	}
	all = append(all, ottlMatch(c.Match)...)
	switch c.Status {
	case codes.Ok:
		all = append(all, "span.status.code == STATUS_CODE_OK")
	case codes.Error:
		all = append(all, "span.status.code == STATUS_CODE_ERROR")
	}
	if c.SlowerThan > 0 {
		all = append(all, fmt.Sprintf("span.end_time_unix_nano - span.start_time_unix_nano > %d", c.SlowerThan.Nanoseconds()))
	}
	settings := []string{"error_mode: ignore", "span:"}
	if !c.Error {
		return collectorPolicy{"ottl_condition", append(settings, "  - "+strconv.Quote(strings.Join(all, " and ")))}
	}
	failed := slices.Concat(all, []string{"span.status.code == STATUS_CODE_ERROR"})
	thrown := slices.Concat(all, []string{fmt.Sprintf("spanevent.name == %q", semconv.ExceptionEventName)})
	return collectorPolicy{"ottl_condition", append(settings,
		"  - "+strconv.Quote(strings.Join(failed, " and ")),
		"spanevent:",
		"  - "+strconv.Quote(strings.Join(thrown, " and ")))}
}

func ottlMatch(m sampler.Match) []string {
	var all []string
	if m.Name != "" {
		all = append(all, ottlPattern("span.name", m.Name))
	}
	if m.Kind != trace.SpanKindUnspecified {
		all = append(all, "span.kind == SPAN_KIND_"+strings.ToUpper(m.Kind.String()))
	}
	var parents []string
	for _, kind := range []struct {
		parent sampler.Parent
		ottl   string
	}{{sampler.NoParent, ottlNoParent}, {sampler.LocalParent, ottlLocal}, {sampler.RemoteParent, ottlRemote}} {
		if m.Parent&kind.parent != 0 {
			parents = append(parents, kind.ottl)
		}
	}
	if parents != nil {
		all = append(all, "("+strings.Join(parents, " or ")+")")
	}
	for _, key := range slices.Sorted(maps.Keys(m.Attributes)) {
		path := "span.attributes[" + strconv.Quote(string(key)) + "]"
		all = append(all, path+" != nil", ottlPattern(path, m.Attributes[key]))
	}
	return all
}

// ottlPattern compares with a pattern of sampler.Match, written as a regular
// expression. Numbers and truth values are compared by their text, too.
func ottlPattern(path, pattern string) string {
	var b strings.Builder
	b.WriteString("(?s)^")
	escaped := false
	for _, r := range pattern {
		switch {
		case escaped || !strings.ContainsRune(`*?\`, r):
			b.WriteString(regexpQuote(r))
			escaped = false
		case r == '*':
			b.WriteString(".*")
		case r == '?':
			b.WriteString(".")
		default:
			escaped = true
		}
	}
	if escaped { // a backslash at the end stands for itself
		b.WriteString(`\\`)
	}
	b.WriteString("$")
	return "IsMatch(" + path + ", " + strconv.Quote(b.String()) + ")"
}

func regexpQuote(r rune) string {
	if strings.ContainsRune(`\.+*?()|[]{}^$`, r) {
		return `\` + string(r)
	}
	return string(r)
}

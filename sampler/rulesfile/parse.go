package rulesfile

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"go.yaml.in/yaml/v3"

	"github.com/clewtrace/clew/sampler"
)

// An Error says what is wrong with a rules file, and where.
type Error struct {
	Line   int // 1 is the first line
	Reason string
}

func (e *Error) Error() string { return "line " + strconv.Itoa(e.Line) + ": " + e.Reason }

func errorAt(n *yaml.Node, format string, args ...any) error {
	return &Error{Line: max(1, n.Line), Reason: fmt.Sprintf(format, args...)}
}

// Parse reads rules. The error joins one [*Error] for each mistake. If the text is not
// YAML, it is the error of the YAML parser.
func Parse(text []byte) ([]sampler.Rule, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, err
	}
	if len(doc.Content) == 0 {
		return nil, &Error{1, "the file is empty: want a list under rules"}
	}
	fields, err := mapping(followed(doc.Content[0]), "rules")
	if err != nil {
		return nil, err
	}
	list, ok := fields["rules"]
	if !ok || list.Kind != yaml.SequenceNode {
		return nil, errorAt(doc.Content[0], "want a list under rules")
	}
	var rules []sampler.Rule
	var errs []error
	for _, n := range list.Content {
		rule, err := parseRule(followed(n))
		rules = append(rules, rule)
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return rules, nil
}

// followed returns what an alias stands for, at the line of the alias. Any other
// node is returned as it is.
func followed(n *yaml.Node) *yaml.Node {
	if n.Kind != yaml.AliasNode {
		return n
	}
	target := *n.Alias
	target.Line, target.Column = n.Line, n.Column
	return &target
}

// mapping returns the values of a mapping. Each key may occur once, and only the given
// keys are allowed; without any given, all are. The key << brings the keys of other
// mappings, for which the mapping's own count: YAML, "Merge Key Language-Independent
// Type".
func mapping(n *yaml.Node, keys ...string) (map[string]*yaml.Node, error) {
	values := make(map[string]*yaml.Node)
	return values, merge(values, n, keys, map[*yaml.Node]bool{})
}

// merge adds the keys of a mapping that values does not have yet, and those of what it
// merges itself. What was seen has been added, and may lead in a circle.
func merge(values map[string]*yaml.Node, n *yaml.Node, keys []string, seen map[*yaml.Node]bool) error {
	at := n
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind != yaml.MappingNode {
		return errorAt(at, "want a mapping")
	}
	if seen[n] {
		return nil
	}
	seen[n] = true
	own := make(map[string]bool)
	var merged []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := followed(n.Content[i]), followed(n.Content[i+1])
		if key.ShortTag() == "!!merge" {
			merged = append(merged, n.Content[i+1])
			continue
		}
		if len(keys) > 0 && !slices.Contains(keys, key.Value) {
			return errorAt(key, "%s: unknown key, want one of %s", key.Value, strings.Join(keys, ", "))
		}
		if own[key.Value] {
			return errorAt(key, "%s: given twice", key.Value)
		}
		own[key.Value] = true
		if values[key.Value] == nil {
			values[key.Value] = value
		}
	}
	for _, from := range merged {
		mappings := []*yaml.Node{from}
		if list := followed(from); list.Kind == yaml.SequenceNode {
			mappings = list.Content
		}
		for _, m := range mappings {
			if err := merge(values, m, keys, seen); err != nil {
				return err
			}
		}
	}
	return nil
}

func parseRule(n *yaml.Node) (rule sampler.Rule, err error) {
	fields, err := mapping(n, "name", "kind", "parent", "attributes", "sample", "per_second")
	if err != nil {
		return rule, err
	}
	var errs []error
	report := func(err error) { errs = append(errs, err) }
	if name, ok := fields["name"]; ok {
		rule.Match.Name, err = text(name, "name")
		report(err)
	}
	if kind, ok := fields["kind"]; ok {
		rule.Match.Kind, err = parseKind(kind)
		report(err)
	}
	if parent, ok := fields["parent"]; ok {
		rule.Match.Parent, err = parseParent(parent)
		report(err)
	}
	if attrs, ok := fields["attributes"]; ok {
		rule.Match.Attributes, err = parseAttributes(attrs)
		report(err)
	}
	rule.Sampler, err = parseSampler(n, fields["sample"], fields["per_second"])
	report(err)
	return rule, errors.Join(errs...)
}

func text(n *yaml.Node, key string) (string, error) {
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" || n.Value == "" {
		return "", errorAt(n, "%s: want a text that is not empty", key)
	}
	return n.Value, nil
}

var kinds = map[string]trace.SpanKind{
	"internal": trace.SpanKindInternal,
	"server":   trace.SpanKindServer,
	"client":   trace.SpanKindClient,
	"producer": trace.SpanKindProducer,
	"consumer": trace.SpanKindConsumer,
}

func parseKind(n *yaml.Node) (trace.SpanKind, error) {
	kind, ok := kinds[n.Value]
	if !ok {
		return 0, errorAt(n, "kind: %q: want one of %s", n.Value, strings.Join(slices.Sorted(maps.Keys(kinds)), ", "))
	}
	return kind, nil
}

func parseParent(n *yaml.Node) (set sampler.Parent, err error) {
	names := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		names = n.Content
	}
	for _, name := range names {
		name = followed(name)
		switch name.Value {
		case "none":
			set |= sampler.NoParent
		case "local":
			set |= sampler.LocalParent
		case "remote":
			set |= sampler.RemoteParent
		default:
			return 0, errorAt(name, "parent: %q: want one or several of none, local, remote", name.Value)
		}
	}
	if set == 0 {
		return 0, errorAt(n, "parent: want one or several of none, local, remote")
	}
	return set, nil
}

func parseAttributes(n *yaml.Node) (map[attribute.Key]string, error) {
	values, err := mapping(n)
	if err != nil {
		return nil, err
	}
	attrs := make(map[attribute.Key]string)
	for key, value := range values {
		if value.Kind != yaml.ScalarNode {
			return nil, errorAt(value, "attributes: %s: want a text, a number or a truth value", key)
		}
		attrs[attribute.Key(key)] = value.Value
	}
	return attrs, nil
}

func parseSampler(rule, sample, perSecond *yaml.Node) (sampler.Composable, error) {
	switch {
	case sample != nil && perSecond != nil:
		return nil, errorAt(perSecond, "per_second: given beside sample: want one of them")
	case perSecond != nil:
		rate, err := strconv.ParseFloat(perSecond.Value, 64)
		if err != nil || !(rate > 0 && rate <= 1e9) {
			return nil, errorAt(perSecond, "per_second: %q: want a positive number", perSecond.Value)
		}
		return sampler.RateLimit(rate), nil
	case sample == nil:
		return nil, errorAt(rule, "want sample or per_second")
	case sample.Value == "always":
		return sampler.AlwaysOn(), nil
	case sample.Value == "never":
		return sampler.AlwaysOff(), nil
	}
	ratio, err := strconv.ParseFloat(sample.Value, 64)
	if err != nil || !(ratio >= 0 && ratio <= 1) {
		return nil, errorAt(sample, "sample: %q: want always, never, or a share from 0 to 1", sample.Value)
	}
	return sampler.Probability(ratio), nil
}

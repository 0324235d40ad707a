package stack_test

import (
	"encoding/hex"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	logspb "go.opentelemetry.io/proto/otlp/logs/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	"go.yaml.in/yaml/v3"

	"github.com/clewtrace/clew/internal/otlpreceiver"
)

// logQL is a query of the part of LogQL that the dashboards, the data sources and
// the documents use, as Loki's documentation has it. What it does not know it
// refuses:
//
//	query    = log | [ "sum" [ by ] "(" ] range [ ")" [ by ] ]
//	by       = "by" "(" label { "," label } ")"
//	range    = ( "rate" | "count_over_time" ) "(" log "[" duration "]" ")"
//	log      = "{" matcher { "," matcher } "}" { "|" matcher }
//	matcher  = label ( "=" | "!=" | "=~" | "!~" ) string
//
// https://grafana.com/docs/loki/latest/query/log_queries/ and
// https://grafana.com/docs/loki/latest/query/metric_queries/
type logQL struct {
	selector, filters []matcher
	by                []string // of a metric query
	metric            bool
}

// matcher compares a label. One that is absent is empty.
type matcher struct {
	label   string
	negated bool
	pattern *regexp.Regexp
}

func (m matcher) matches(labels map[string]string) bool {
	return m.pattern.MatchString(labels[m.label]) != m.negated
}

var (
	logQLToken = regexp.MustCompile("^(?:\\s+|\"(?:[^\"\\\\]|\\\\.)*\"|=~|!~|!=|[{}()|,=\\[\\]]|[0-9]+(?:ms|[smhdwy])|[A-Za-z_][A-Za-z0-9_]*)")
	logQLLabel = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// parseLogQL reads a query. Labels of the selector must be among the index labels.
func parseLogQL(query string, index []string) (q logQL, err error) {
	tokens, err := logQLTokens(query)
	if err != nil {
		return q, err
	}
	p := logQLParser{tokens: tokens}
	p.query(&q)
	p.check(len(p.tokens) == 0, "does not end")
	p.check(slices.ContainsFunc(q.selector, func(m matcher) bool { return !m.matches(nil) }), "selects by nothing that must be there")
	for _, m := range q.selector {
		p.check(slices.Contains(index, m.label), m.label+" is no index label")
	}
	if p.problem != "" {
		return q, fmt.Errorf("LogQL %q: %s", query, p.problem)
	}
	return q, nil
}

func logQLTokens(query string) (tokens []string, err error) {
	for rest := query; rest != ""; {
		t := logQLToken.FindString(rest)
		if t == "" {
			return nil, fmt.Errorf("LogQL %q: %.10q is no token", query, rest)
		}
		if strings.TrimSpace(t) != "" {
			tokens = append(tokens, t)
		}
		rest = rest[len(t):]
	}
	return tokens, nil
}

// logQLParser keeps the first problem, and reads on.
type logQLParser struct {
	tokens  []string
	problem string
}

func (p *logQLParser) check(ok bool, problem string) {
	if !ok && p.problem == "" {
		p.problem = fmt.Sprintf("%s at %.3q", problem, p.tokens)
	}
}

func (p *logQLParser) next() (t string) {
	if len(p.tokens) > 0 {
		t, p.tokens = p.tokens[0], p.tokens[1:]
	}
	return t
}

func (p *logQLParser) accept(t string) bool {
	if len(p.tokens) == 0 || p.tokens[0] != t {
		return false
	}
	p.next()
	return true
}

func (p *logQLParser) expect(t string) { p.check(p.accept(t), "wants "+t) }

func (p *logQLParser) query(q *logQL) {
	if len(p.tokens) > 0 && p.tokens[0] == "{" {
		p.log(q)
		return
	}
	q.metric = true
	sum := p.accept("sum")
	if sum {
		p.by(q)
		p.expect("(")
	}
	function := p.next()
	p.check(function == "rate" || function == "count_over_time", function+" is no function")
	p.expect("(")
	p.log(q)
	p.expect("[")
	duration := p.next()
	p.check(duration != "" && strings.ContainsAny(duration[:1], "0123456789"), duration+" is no duration")
	p.expect("]")
	p.expect(")")
	if sum {
		p.expect(")")
		p.by(q)
	}
}

func (p *logQLParser) by(q *logQL) {
	if !p.accept("by") {
		return
	}
	p.check(q.by == nil, "groups twice")
	p.expect("(")
	for q.by = append(q.by, p.label()); p.accept(","); {
		q.by = append(q.by, p.label())
	}
	p.expect(")")
}

func (p *logQLParser) label() string {
	label := p.next()
	p.check(logQLLabel.MatchString(label), strconv.Quote(label)+" is no label")
	return label
}

func (p *logQLParser) log(q *logQL) {
	p.expect("{")
	for q.selector = append(q.selector, p.matcher()); p.accept(","); {
		q.selector = append(q.selector, p.matcher())
	}
	p.expect("}")
	for p.accept("|") {
		q.filters = append(q.filters, p.matcher())
	}
}

func (p *logQLParser) matcher() matcher {
	m := matcher{label: p.label()}
	operator := p.next()
	text, err := strconv.Unquote(p.next())
	p.check(err == nil, "wants a string")
	switch operator {
	case "=", "!=":
		text = regexp.QuoteMeta(text)
	case "=~", "!~":
	default:
		p.check(false, strconv.Quote(operator)+" is no comparison")
	}
	m.negated = strings.HasPrefix(operator, "!")
	// Loki anchors regular expressions.
	if m.pattern, err = regexp.Compile("^(?:" + text + ")$"); err != nil {
		p.check(false, err.Error())
		m.pattern = regexp.MustCompile("^$")
	}
	return m
}

// count returns how many records the query finds: all together under "", or by
// the labels that it groups by, joined by commas.
func (q logQL) count(records []otlpreceiver.Log) map[string]int {
	found := make(map[string]int)
	for _, record := range records {
		labels := lokiLabels(record)
		no := func(m matcher) bool { return !m.matches(labels) }
		if slices.ContainsFunc(q.selector, no) || slices.ContainsFunc(q.filters, no) {
			continue
		}
		var group []string
		for _, label := range q.by {
			group = append(group, labels[label])
		}
		found[strings.Join(group, ",")]++
	}
	return found
}

// lokiLabels are the labels and the structured metadata that Loki gives to a log
// record: https://grafana.com/docs/loki/latest/send-data/otel/
func lokiLabels(record otlpreceiver.Log) map[string]string {
	labels := map[string]string{
		"trace_id": hex.EncodeToString(record.TraceId), "span_id": hex.EncodeToString(record.SpanId),
		"severity_text": record.SeverityText, "detected_level": detectedLevel(record.SeverityNumber),
	}
	for _, attributes := range [][]*commonpb.KeyValue{record.Resource.GetAttributes(), record.Attributes} {
		for _, a := range attributes {
			labels[lokiName(a.Key)] = a.Value.GetStringValue()
		}
	}
	return labels
}

func detectedLevel(severity logspb.SeverityNumber) string {
	levels := []string{"trace", "debug", "info", "warn", "error", "fatal"} // four numbers each, from 1
	if severity < 1 || severity > 24 {
		return "unknown"
	}
	return levels[(severity-1)/4]
}

var notInLabels = regexp.MustCompile(`[^A-Za-z0-9_]`)

func lokiName(attribute string) string { return notInLabels.ReplaceAllString(attribute, "_") }

// indexLabels are those by which loki.yaml lets streams be selected.
func indexLabels(t *testing.T) (names []string) {
	t.Helper()
	content, err := os.ReadFile("../../loki/loki.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		Limits struct {
			OTLP struct {
				Resource struct {
					Config []struct {
						Action     string
						Attributes []string
					} `yaml:"attributes_config"`
				} `yaml:"resource_attributes"`
			} `yaml:"otlp_config"`
		} `yaml:"limits_config"`
	}
	if err := yaml.Unmarshal(content, &config); err != nil {
		t.Fatal(err)
	}
	for _, c := range config.Limits.OTLP.Resource.Config {
		if c.Action == "index_label" {
			for _, a := range c.Attributes {
				names = append(names, lokiName(a))
			}
		}
	}
	return names
}

func TestLogQL(t *testing.T) {
	record := func(service string, severity logspb.SeverityNumber, trace byte) otlpreceiver.Log {
		return otlpreceiver.Log{
			Origin: otlpreceiver.Origin{Resource: &resourcepb.Resource{Attributes: []*commonpb.KeyValue{
				{Key: "service.name", Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: service}}},
			}}},
			LogRecord: &logspb.LogRecord{SeverityNumber: severity, TraceId: []byte{trace}},
		}
	}
	records := []otlpreceiver.Log{
		record("a", logspb.SeverityNumber_SEVERITY_NUMBER_INFO, 1),
		record("a", logspb.SeverityNumber_SEVERITY_NUMBER_ERROR, 2),
		record("ab", logspb.SeverityNumber_SEVERITY_NUMBER_ERROR2, 2),
	}
	for query, want := range map[string]string{ // "" is not valid
		`{service_name="a"}`:                                                     "map[:2]",
		`{service_name=~"a"}`:                                                    "map[:2]",
		`{service_name=~"a.*"} | trace_id="02"`:                                  "map[:2]",
		`{service_name=~"(a|ab)"} | trace_id != "02"`:                            "map[:1]",
		`{service_name=~".+", deployment_environment_name=~".*"}`:                "map[:3]",
		`{service_name=~".+", deployment_environment_name="b"}`:                  "map[]",
		`{service_name!~"", service_name!="a"} | detected_level="error"`:         "map[:1]",
		`sum by (detected_level) (rate({service_name=~".+"}[1m]))`:               "map[error:2 info:1]",
		`sum(count_over_time({service_name="a"} | trace_id="01" [15m]))`:         "map[:1]",
		`sum(rate({service_name=~".+"}[1m])) by (service_name, severity_number)`: "map[a,:2 ab,:1]",

		``:                                 "",
		`{}`:                               "",
		`{service_name=~".*"}`:             "",
		`{service_name!="a"}`:              "", // so does what has no name
		`{trace_id="01"}`:                  "",
		`{service.name="a"}`:               "",
		`{service_name=a}`:                 "",
		`{service_name=="a"}`:              "",
		`{service_name=~"("}`:              "",
		`{service_name="a"`:                "",
		`{service_name="a"} trace_id="01"`: "",
		`{service_name="a"} | "x"`:         "",
		`rate({service_name="a"})`:         "",
		`rate({service_name="a"}[1])`:      "",
		`{service_name="a"}[1m]`:           "",
		`sum by detected_level (rate({service_name="a"}[1m]))`:        "",
		`sum by (a) (rate({service_name="a"}[1m])) by (b)`:            "",
		`avg(rate({service_name="a"}[1m]))`:                           "",
		`sum by (detected_level) ({service_name="a"})`:                "",
		`sum by (detected_level) (rate({service_name="a"}[$__auto]))`: "",
		`histogram_quantile(0.95, rate({service_name="a"}[1m]))`:      "",
	} {
		got := ""
		if q, err := parseLogQL(query, indexLabels(t)); err == nil {
			got = fmt.Sprint(q.count(records))
		}
		if got != want {
			t.Errorf("%s finds %q, want %q", query, got, want)
		}
	}
}

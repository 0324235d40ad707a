package view

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/clewtrace/clew/internal/otlpreceiver"
)

// Query selects the traces that have a span for which all terms hold. The zero value
// selects every trace.
type Query struct {
	terms []term
	trace string // a trace id in hex, or its beginning
}

type term struct {
	not        bool
	key        string // empty for a bare word
	op         string // one of operators
	value      string
	number     float64 // the value, if isNumber; nanoseconds for a duration
	isNumber   bool
	isDuration bool
}

// operators are in the order in which they are tried: longer ones first.
var operators = []string{">=", "<=", "!=", "=", "~", ">", "<"}

// ParseQuery reads terms separated by spaces. A value with spaces must be in double
// quotes.
//
//	error                     the span's status is an error
//	service=shop name="GET /" exactly
//	name~cart                 contains, upper and lower case alike
//	kind=server               internal, server, client, producer or consumer
//	duration>100ms            also >=, < and <=
//	http.route=/cart          an attribute of the span or its resource
//	http.response.status_code>=500
//	-service=shop             not
//	cart                      in the span's name or service
//	4bf92f35...               a trace id, or at least 8 digits of its beginning
func ParseQuery(s string) (Query, error) {
	var q Query
	words, err := splitWords(s)
	if err != nil {
		return q, err
	}
	for _, word := range words {
		if isTraceID(word) {
			q.trace = strings.ToLower(word)
			continue
		}
		t, err := parseTerm(word)
		if err != nil {
			return Query{}, err
		}
		if t.key == "trace" {
			q.trace = strings.ToLower(t.value)
			continue
		}
		q.terms = append(q.terms, t)
	}
	return q, nil
}

// splitWords splits at spaces outside double quotes, and removes the quotes.
func splitWords(s string) ([]string, error) {
	var words []string
	var word strings.Builder
	quoted, inWord := false, false
	for _, c := range s {
		switch {
		case c == '"':
			quoted, inWord = !quoted, true
		case !quoted && (c == ' ' || c == '\t' || c == '\n'):
			if inWord {
				words = append(words, word.String())
			}
			word.Reset()
			inWord = false
		default:
			word.WriteRune(c)
			inWord = true
		}
	}
	if quoted {
		return nil, fmt.Errorf("%s: closing quote is missing", s)
	}
	if inWord {
		words = append(words, word.String())
	}
	return words, nil
}

func isTraceID(word string) bool {
	if len(word) < 8 || len(word) > 32 {
		return false
	}
	_, err := hex.DecodeString(word[:len(word)&^1])
	return err == nil && strings.ContainsAny(word, "0123456789")
}

func parseTerm(word string) (term, error) {
	var t term
	if rest, ok := strings.CutPrefix(word, "-"); ok && rest != "" {
		t.not, word = true, rest
	}
	at := strings.IndexAny(word, "=~<>!")
	if at <= 0 {
		t.value = word
		return t, nil
	}
	t.key = word[:at]
	for _, op := range operators {
		if value, ok := strings.CutPrefix(word[at:], op); ok {
			t.op, t.value = op, value
			break
		}
	}
	if t.op == "" {
		return t, fmt.Errorf("%s: the operator must be one of %s", word, strings.Join(operators, " "))
	}
	if t.op == "!=" {
		t.op, t.not = "=", !t.not
	}
	if t.key == "duration" {
		d, err := time.ParseDuration(t.value)
		if err != nil {
			return t, fmt.Errorf("%s: the value must be a duration such as 100ms or 1.5s", word)
		}
		t.number, t.isNumber, t.isDuration = float64(d), true, true
		return t, nil
	}
	n, err := strconv.ParseFloat(t.value, 64)
	t.number, t.isNumber = n, err == nil
	if (t.op[0] == '<' || t.op[0] == '>') && !t.isNumber {
		return t, fmt.Errorf("%s: the value must be a number", word)
	}
	return t, nil
}

// matches reports whether a trace is selected.
func (q Query) matches(t *stored) bool {
	if !strings.HasPrefix(hex.EncodeToString(t.id[:]), q.trace) {
		return false
	}
	return len(q.terms) == 0 || slices.ContainsFunc(t.spans, q.matchesSpan)
}

func (q Query) matchesSpan(s otlpreceiver.Span) bool {
	for _, t := range q.terms {
		if t.holds(s) == t.not {
			return false
		}
	}
	return true
}

func (t term) holds(s otlpreceiver.Span) bool {
	switch t.key {
	case "":
		if t.value == "error" {
			return isError(s)
		}
		return contains(s.GetName(), t.value) || contains(s.Service(), t.value)
	case "service":
		return t.compare(s.Service())
	case "name":
		return t.compare(s.GetName())
	case "kind":
		return t.compare(kind(s))
	case "duration":
		return t.compareNumber(float64(duration(s)))
	}
	v := otlpreceiver.Attribute(s.GetAttributes(), t.key)
	if v == nil {
		v = otlpreceiver.Attribute(s.Resource.GetAttributes(), t.key)
	}
	if v == nil {
		return false
	}
	if n, ok := number(v); ok && t.isNumber {
		return t.compareNumber(n)
	}
	return t.compare(valueText(v))
}

func (t term) compare(s string) bool {
	if t.op == "~" {
		return contains(s, t.value)
	}
	return t.op == "=" && s == t.value
}

func (t term) compareNumber(n float64) bool {
	switch t.op {
	case ">":
		return n > t.number
	case ">=":
		return n >= t.number
	case "<":
		return n < t.number
	case "<=":
		return n <= t.number
	case "=":
		return n == t.number
	default:
		return false
	}
}

func contains(s, part string) bool {
	return strings.Contains(strings.ToLower(s), strings.ToLower(part))
}

func number(v *commonpb.AnyValue) (float64, bool) {
	switch v := v.GetValue().(type) {
	case *commonpb.AnyValue_IntValue:
		return float64(v.IntValue), true
	case *commonpb.AnyValue_DoubleValue:
		return v.DoubleValue, true
	}
	return 0, false
}

func isError(s otlpreceiver.Span) bool {
	return s.GetStatus().GetCode() == tracepb.Status_STATUS_CODE_ERROR
}

// kind is a span kind in lower case.
func kind(s otlpreceiver.Span) string {
	return strings.ToLower(strings.TrimPrefix(s.GetKind().String(), "SPAN_KIND_"))
}

// duration returns nanoseconds, and zero for a span that ends before it starts.
func duration(s otlpreceiver.Span) int64 {
	start, end := times(s)
	return end - start
}

// times returns nanoseconds since 1970, limited so that the sum of two cannot overflow,
// whatever was received.
func times(s otlpreceiver.Span) (start, end int64) {
	const most = 1 << 62
	start = int64(min(s.GetStartTimeUnixNano(), most))
	return start, max(start, int64(min(s.GetEndTimeUnixNano(), most)))
}

package stack_test

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Tempo's own parser is not published. This one knows the part of TraceQL that
// the dashboards use, as its documentation has it, and refuses what it does not
// know:
//
//	query    = spansets { "|" stage }
//	spansets = spanset { ("&&" | "||" | ">>" | ">" | "<<" | "<" | "~") spanset }
//	spanset  = "{" [ or ] "}" | "(" spansets ")"
//	or       = and { "||" and }
//	and      = compare { "&&" compare }
//	compare  = "(" or ")" | field operator literal
//	stage    = function "(" [ argument { "," argument } ] ")" [ "by" "(" field { "," field } ")" ]
//
// https://grafana.com/docs/tempo/latest/traceql/
type traceQL struct {
	tokens []string
	metric bool // a metrics function was met
}

// intrinsics are fields of a span, with what they can be compared with.
var intrinsics = map[string][]string{
	"name":            {"string"},
	"kind":            {"kind"},
	"status":          {"status"},
	"duration":        {"duration"},
	"nestedSetParent": {"number"},
}

var keywords = map[string]string{
	"server": "kind", "client": "kind", "internal": "kind", "producer": "kind", "consumer": "kind",
	"error": "status", "ok": "status", "unset": "status",
	"nil": "nil", // what an absent attribute is, and only that: no regular expression matches it
}

// functions of a pipeline: how many arguments they take, of which type. "field"
// stands for a number or a duration of a span.
var functions = map[string]struct {
	arguments       []string
	repeats, second bool // the last argument may be repeated; it comes after a metrics function
}{
	"rate":               {},
	"count_over_time":    {},
	"sum_over_time":      {arguments: []string{"field"}},
	"quantile_over_time": {arguments: []string{"field", "number"}, repeats: true},
	"topk":               {arguments: []string{"number"}, second: true},
}

var (
	token  = regexp.MustCompile("^(?:\\s+|\"(?:[^\"\\\\]|\\\\.)*\"|>>|<<|=~|!~|!=|>=|<=|&&|\\|\\||[{}()|,=<>~]|-?[0-9.]+(?:ns|us|ms|s|m|h)?|[A-Za-z_][A-Za-z0-9_.]*)")
	scoped = regexp.MustCompile(`^(?:span|resource)\.[a-z][a-z0-9_.]*[a-z0-9]$`)
)

// checkTraceQL returns an error unless the query is of the grammar above.
func checkTraceQL(query string) (err error) {
	var p traceQL
	for rest := query; rest != ""; {
		t := token.FindString(rest)
		if t == "" {
			return fmt.Errorf("TraceQL %q: %.10q is no token", query, rest)
		}
		if strings.TrimSpace(t) != "" {
			p.tokens = append(p.tokens, t)
		}
		rest = rest[len(t):]
	}
	defer func() {
		if problem, ok := recover().(traceQLError); ok {
			err = fmt.Errorf("TraceQL %q: %s", query, string(problem))
		}
	}()
	p.spansets()
	for p.accept("|") {
		p.stage()
	}
	if p.peek() != "" {
		p.fail("does not end")
	}
	return nil
}

type traceQLError string

func (p *traceQL) fail(problem string) {
	panic(traceQLError(problem + " at " + strconv.Quote(p.peek())))
}

func (p *traceQL) peek() string {
	if len(p.tokens) == 0 {
		return ""
	}
	return p.tokens[0]
}

func (p *traceQL) next() (t string) {
	if t = p.peek(); t != "" {
		p.tokens = p.tokens[1:]
	}
	return t
}

func (p *traceQL) accept(tokens ...string) bool {
	if t := p.peek(); t != "" && slices.Contains(tokens, t) {
		p.next()
		return true
	}
	return false
}

func (p *traceQL) expect(t string) {
	if !p.accept(t) {
		p.fail("wants " + t)
	}
}

func (p *traceQL) spansets() {
	for p.spanset(); p.accept("&&", "||", ">>", ">", "<<", "<", "~"); {
		p.spanset()
	}
}

func (p *traceQL) spanset() {
	if p.accept("(") {
		p.spansets()
		p.expect(")")
		return
	}
	p.expect("{")
	if !p.accept("}") {
		p.or()
		p.expect("}")
	}
}

func (p *traceQL) or() {
	for p.and(); p.accept("||"); {
		p.and()
	}
}

func (p *traceQL) and() {
	for p.compare(); p.accept("&&"); {
		p.compare()
	}
}

func (p *traceQL) compare() {
	if p.accept("(") {
		p.or()
		p.expect(")")
		return
	}
	types := p.field()
	operator := p.next()
	literal := p.literal()
	if types != nil && !slices.Contains(types, literal) { // a field that is always there is never nil
		p.fail("compares with a " + literal)
	}
	allowed := map[string][]string{
		"string": {"=", "!=", "=~", "!~"}, "kind": {"=", "!="}, "status": {"=", "!="}, "nil": {"=", "!="},
		"number": {"=", "!=", "<", ">", "<=", ">="}, "duration": {"=", "!=", "<", ">", "<=", ">="},
	}
	if !slices.Contains(allowed[literal], operator) {
		p.fail("a " + literal + " cannot be compared by " + operator)
	}
}

// field returns what can be compared with it: nil is anything.
func (p *traceQL) field() []string {
	name := p.next()
	if types := intrinsics[name]; types != nil || scoped.MatchString(name) {
		return types
	}
	p.fail(strconv.Quote(name) + " is no field")
	return nil
}

func (p *traceQL) literal() string {
	t := p.next()
	switch {
	case keywords[t] != "":
		return keywords[t]
	case strings.HasPrefix(t, `"`):
		return "string"
	case t != "" && strings.ContainsAny(t[:1], "-.0123456789"):
		if strings.ContainsAny(t, "numsh") {
			return "duration"
		}
		return "number"
	}
	p.fail(strconv.Quote(t) + " is no value")
	return ""
}

func (p *traceQL) stage() {
	name := p.next()
	f, known := functions[name]
	if !known {
		p.fail(strconv.Quote(name) + " is no function")
	}
	if f.second != p.metric {
		p.fail(name + " is not in its place")
	}
	p.metric = true
	p.expect("(")
	for i, argument := range f.arguments {
		if i > 0 {
			p.expect(",")
		}
		p.argument(argument)
	}
	for f.repeats && p.accept(",") {
		p.argument(f.arguments[len(f.arguments)-1])
	}
	p.expect(")")
	if !f.second && p.accept("by") {
		p.expect("(")
		for p.field(); p.accept(","); {
			p.field()
		}
		p.expect(")")
	}
}

func (p *traceQL) argument(kind string) {
	if kind == "field" {
		if types := p.field(); types != nil && types[0] != "duration" && types[0] != "number" {
			p.fail("wants a number or a duration")
		}
	} else if p.literal() != kind {
		p.fail("wants a " + kind)
	}
}

func TestTraceQL(t *testing.T) {
	for query, valid := range map[string]bool{
		`{ }`:            true,
		`{ name = "a" }`: true,
		`{ resource.service.name =~ ".*" && (kind = server || kind = consumer) } | rate() by (name) | topk(10)`: true,
		`{ nestedSetParent < 0 && duration > 500ms } >> { kind = internal } | sum_over_time(duration)`:          true,
		`{ resource.ab =~ ".*" || resource.ab = nil }`:                                                          true,
		`{ status = error } | quantile_over_time(duration, .5, .95) by (span.http.route)`:                       true,

		``:                                   false,
		`{ name = a }`:                       false,
		`{ name = "a" `:                      false,
		`{ kind = "server" }`:                false,
		`{ kind > server }`:                  false,
		`{ duration > 500 }`:                 false,
		`{ service.name = "a" }`:             false,
		`{ } | rate`:                         false,
		`{ } | rate(duration)`:               false,
		`{ } | sum_over_time()`:              false,
		`{ } | sum_over_time(name)`:          false,
		`{ } | topk(10)`:                     false,
		`{ } | rate() | rate()`:              false,
		`{ } | rate() by name`:               false,
		`{ } | rate() | topk(a)`:             false,
		`{ } | quantile_over_time(duration)`: false,
		`{ } { }`:                            false,
		`{ name = "a" && }`:                  false,
		`{ name = nil }`:                     false,
		`{ resource.ab =~ nil }`:             false,
	} {
		if err := checkTraceQL(query); (err == nil) != valid {
			t.Errorf("%q: %v", query, err)
		}
	}
}

package sloghandler_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/big"
	"net"
	"net/netip"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/attribute"

	"github.com/clewtrace/clew/internal/sloghandler"
)

// exportedValue is what is exported for the attribute v, and printed what slog's handlers
// print for it.
func exportedValue(tb testing.TB, v any) (value attribute.Value, asJSON, asText string) {
	tb.Helper()
	exported := &recorder{}
	slog.New(sloghandler.New(exported, "test", nil)).Info("m", "v", v)
	all := attrs(exported.one(tb))
	for _, kv := range all {
		if kv.Key != "v" {
			tb.Errorf("exported %v as well", kv)
		}
	}
	if len(all) > 0 {
		value = all[0].Value
	}
	return value, printedAs(v, func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) }, `"v":`, "}\n"),
		unquoted(printedAs(v, func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) }, " v=", "\n"))
}

func printedAs(v any, to func(*bytes.Buffer) slog.Handler, before, after string) string {
	var b bytes.Buffer
	slog.New(to(&b)).Info("m", "v", v)
	_, rest, _ := strings.Cut(b.String(), before)
	return strings.TrimSuffix(rest, after)
}

func unquoted(s string) string {
	if u, err := strconv.Unquote(s); err == nil {
		return u
	}
	return s
}

// tree is a value as encoding/json decodes it, a number that is a text for lack
// of a type included.
func tree(v attribute.Value) any {
	switch v.Type() {
	case attribute.MAP:
		m := map[string]any{}
		for _, kv := range v.AsMap() {
			m[string(kv.Key)] = tree(kv.Value)
		}
		return m
	case attribute.SLICE:
		l := []any{}
		for _, e := range v.AsSlice() {
			l = append(l, tree(e))
		}
		return l
	case attribute.EMPTY:
		return nil
	default:
		text, _ := json.Marshal(v.AsInterface())
		return decoded(string(text))
	}
}

func decoded(text string) any {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return "not JSON: " + text
	}
	return texts(v)
}

// texts turns numbers into texts.
func texts(v any) any {
	switch v := v.(type) {
	case json.Number:
		return string(v)
	case []any:
		for i := range v {
			v[i] = texts(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = texts(v[k])
		}
	}
	return v
}

type (
	person struct {
		Name  string            `json:"name"`
		Born  time.Time         `json:"born,omitzero"`
		Tags  []string          `json:"tags,omitempty"`
		Extra map[string]any    `json:"extra"`
		Next  *person           `json:"next"`
		by    map[string]string //nolint:unused // not to be seen
	}
	bytesOf    []byte
	inJSON     struct{ A int }
	nilError   struct{ text string }
	badError   struct{}
	badText    struct{}
	failedText struct{}
	badString  struct{}
	loop       struct{}
	badValuer  struct{}
)

func (inJSON) MarshalJSON() ([]byte, error)     { return []byte(`{"a":[1,2.5,"x",null,true]}`), nil }
func (e *nilError) Error() string               { return e.text }
func (badError) Error() string                  { panic("no text") }
func (badText) MarshalText() ([]byte, error)    { panic("no text") }
func (failedText) MarshalText() ([]byte, error) { return nil, errors.New("no text") }
func (*badString) String() string               { panic("no text") }
func (l loop) LogValue() slog.Value             { return slog.AnyValue(l) }
func (badValuer) LogValue() slog.Value          { panic("no value") }

// cycles are values that contain themselves.
func cycles() (list []any, mapping map[string]any, p *person) {
	list = []any{nil, nil}
	list[0], list[1] = list, list
	mapping = map[string]any{}
	mapping["a"], mapping["b"] = mapping, mapping
	p = &person{}
	p.Next = p
	return list, mapping, p
}

func TestValuesAreWhatSlogPrints(t *testing.T) {
	id := uuid.MustParse("0af76519-16cd-43dd-8448-eb211c80319c")
	address, _ := url.Parse("https://u@example.com/p?q=1#f")
	number, _ := new(big.Int).SetString("123456789012345678901234567890", 10)
	for _, test := range []struct {
		name       string
		v          any
		want       string // of what is exported
		json, text bool   // whether the handler of slog shows the same
	}{
		{"string", "x y", "x y", true, true},
		{"named string", text("x"), "x", true, true},
		{"named int", kind(7), "7", true, true},
		{"int8", int8(-7), "-7", true, true},
		{"uint64", uint64(math.MaxUint64), "18446744073709551615", true, true},
		{"uintptr", uintptr(7), "7", true, true},
		{"float32", float32(0.1), "0.10000000149011612", true, true},
		{"list of float32", []float32{0.1}, "[0.1]", true, true},
		{"bool", true, "true", true, true},
		{"nil", nil, "", true, false},
		{"nil pointer", (*int)(nil), "", true, false},
		{"pointer to a pointer", func() **int { p := new(int); return &p }(), "0", true, false},
		{"duration", 1500 * time.Millisecond, "1500000000", true, false},
		{"time", time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC), "2026-01-02T03:04:05.006Z", true, true},
		{"month, a Stringer", time.May, "May", false, true},
		{"level, a TextMarshaler", slog.LevelWarn, "WARN", true, true},
		{"uuid", id, id.String(), true, true},
		{"list of uuids", []uuid.UUID{id}, `["` + id.String() + `"]`, true, false},
		{"IP", net.IPv4(10, 0, 0, 1), "10.0.0.1", true, true},
		{"netip", netip.MustParseAddr("::1"), "::1", true, true},
		{"nil IP", net.IP(nil), "", true, true},
		{"URL", address, "https://u@example.com/p?q=1#f", false, true},
		{"nil URL", (*url.URL)(nil), "<nil>", false, true},
		{"list of URLs", []*url.URL{address}, `["https://u@example.com/p?q=1#f"]`, false, false},
		{"big int", number, number.String(), true, true},
		{"nil big int", (*big.Int)(nil), "<nil>", false, true},
		{"map with keys that are numbers", map[int]bool{1: true}, `{"1":true}`, true, false},
		{"map with keys that are texts", map[netip.Addr]int{netip.MustParseAddr("::1"): 1}, `{"::1":1}`, true, false},
		{"map with keys that are not", map[bool]int{true: 1}, `{"true":1}`, false, false},
		{"map with structs as keys", map[struct{ A int }]int{{1}: 1}, "!ERROR:unsupported type of a key: struct { A int }", false, false},
		{"struct", person{Name: "x", Extra: map[string]any{"a": 1}, Next: &person{Name: "y"}}, `{"extra":{"a":1},"name":"x","next":{"extra":null,"name":"y","next":null}}`, true, false},
		{"pointer to a struct", &person{Name: "x"}, `{"extra":null,"name":"x","next":null}`, true, false},
		{"Marshaler", inJSON{}, `{"a":[1,2.5,"x",null,true]}`, true, false},
		{"raw JSON", json.RawMessage(`{"a":1}`), `{"a":1}`, true, true},
		{"bad JSON", json.RawMessage(`{`), "!ERROR:json: error calling MarshalJSON for type json.RawMessage: unexpected end of JSON input", true, false},
		{"number of JSON", json.Number("1.50"), "1.50", true, true},
		{"bytes", []byte("hello"), "aGVsbG8=", true, false},
		{"nil raw JSON", json.RawMessage(nil), "", true, true},
		{"named bytes", bytesOf("hello"), "aGVsbG8=", true, false},
		{"list", []any{1, "x", nil, 2.5}, `[1,"x",null,2.5]`, true, false},
		{"array", [2]int8{1, 2}, `[1,2]`, true, false},
		{"empty list", []int{}, `[]`, true, true},
		{"nil list", []int(nil), "", true, false},
		{"error", errors.New("x"), "x", true, true},
		{"joined errors", errors.Join(errors.New("x"), errors.New("y")), "x\ny", true, true},
		{"errors in a list", []error{errors.New("x")}, `["x"]`, false, false},
		{"nil error", (*nilError)(nil), "<nil>", true, true},
		{"error that panics", badError{}, "!PANIC: no text", true, false},
		{"TextMarshaler that panics", badText{}, "!PANIC: no text", true, true},
		{"TextMarshaler that fails", failedText{}, "!ERROR:no text", false, true},
		{"Stringer that panics", &badString{}, "!PANIC: no text", false, false},
		{"nil Stringer that panics", (*badString)(nil), "<nil>", false, true},
		{"LogValuer without an end", loop{}, "LogValue called too many times on Value of type sloghandler_test.loop", true, true},
		{"attributes", []slog.Attr{slog.Int("a", 1)}, `{"a":1}`, true, false},
		{"source", &slog.Source{Function: "f", File: "x.go", Line: 1}, `{"file":"x.go","function":"f","line":1}`, true, false},
		{"complex number", 1 + 2i, "(1+2i)", false, true},
		{"nil channel", (chan int)(nil), "<nil>", false, true},
		{"nil function", (func())(nil), "<nil>", false, true},
		{"struct with a channel", struct{ C chan int }{}, "!ERROR:json: unsupported type: chan int", true, false},
		{"infinite", math.Inf(1), "Infinity", false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			value, asJSON, asText := exportedValue(t, test.v)
			if got := value.String(); got != test.want {
				t.Errorf("exported %s, want %s", got, test.want)
			}
			if same := reflect.DeepEqual(tree(value), decoded(asJSON)); same != test.json {
				t.Errorf("exported %#v, slog.JSONHandler prints %s: the same %v, want %v", tree(value), asJSON, same, test.json)
			}
			if same := value.String() == asText; same != test.text {
				t.Errorf("exported %s, slog.TextHandler prints %s: the same %v, want %v", value, asText, same, test.text)
			}
		})
	}
}

// TestAnElementThatPanicsIsOneOfSeveral: the others are exported.
func TestAnElementThatPanicsIsOneOfSeveral(t *testing.T) {
	for _, test := range []struct {
		v    any
		want string
	}{
		{[]error{errors.New("x"), (*nilError)(nil), badError{}}, `["x","<nil>","!PANIC: no text"]`},
		{map[string]any{"a": 1, "b": (*url.URL)(nil)}, `{"a":1,"b":"<nil>"}`},
	} {
		if value, _, _ := exportedValue(t, test.v); value.String() != test.want {
			t.Errorf("exported %s, want %s", value, test.want)
		}
	}
}

func TestValuesHaveABound(t *testing.T) {
	list, mapping, p := cycles()
	deep := slog.AnyValue(nested(1000))
	for name, v := range map[string]any{
		"a list in itself": list, "a map in itself": mapping, "a struct in itself": p, "groups in groups": deep,
		"a LogValuer that returns a group of itself": selfGroup{}, "a long list": make([]any, 1<<20), "a LogValuer that panics": badValuer{},
		"raw JSON": json.RawMessage(strings.Repeat("[", 9000) + strings.Repeat("]", 9000)),
	} {
		t.Run(name, func(t *testing.T) {
			exported := &recorder{}
			slog.New(sloghandler.New(exported, "test", nil)).Info("m", "v", v, "w", 1)
			all := attrs(exported.one(t))
			text := all[0].Value.AsString()
			if len(all) != 2 || !strings.HasPrefix(text, "!ERROR:") && !strings.HasPrefix(text, "LogValue panicked") {
				t.Errorf("exported %v", all)
			}
		})
	}
	exported := &recorder{}
	slog.New(sloghandler.New(exported, "test", nil)).Info("m", slog.Any("", selfGroup{}))
	if all := attrs(exported.one(t)); len(all) != 1 {
		t.Errorf("exported %v", all)
	}
}

func nested(depth int) slog.Value {
	v := slog.IntValue(1)
	for range depth {
		v = slog.GroupValue(slog.Attr{Key: "g", Value: v})
	}
	return v
}

type selfGroup struct{}

func (g selfGroup) LogValue() slog.Value {
	return slog.GroupValue(slog.Any("a", g), slog.Any("b", g))
}

func TestErrorsThatPanicAreNoException(t *testing.T) {
	exported := &recorder{}
	slog.New(sloghandler.New(exported, "test", nil)).With("a", badError{}).Info("m", "b", (*nilError)(nil), "c", &typed{}, "d", errors.New("x"))
	r := exported.one(t)
	err := r.Err()
	if err == nil || err.Error() != "typed" {
		t.Fatalf("the exception is %v, want the first whose text is known", err)
	}
	if _, ok := errors.AsType[*typed](err); !ok {
		t.Error("the error that was logged is not in the exception")
	}
	if says, ok := err.(interface{ ErrorType() string }); !ok || says.ErrorType() != "*sloghandler_test.typed" {
		t.Errorf("the type of the exception is not that of the error, though ErrorType panics")
	}
}

type typed struct{}

func (*typed) Error() string     { return "typed" }
func (*typed) ErrorType() string { panic("no type") }

// generator makes values of the bytes of a fuzz test.
type generator struct{ data []byte }

func (g *generator) next() byte {
	if len(g.data) == 0 {
		return 0
	}
	b := g.data[0]
	g.data = g.data[1:]
	return b
}

func (g *generator) text() string {
	n := min(int(g.next()%8), len(g.data))
	s := string(g.data[:n])
	g.data = g.data[n:]
	return strings.ToValidUTF8(s, "?")
}

func (g *generator) number() (n uint64) {
	for range g.next() % 9 {
		n = n<<8 | uint64(g.next())
	}
	return n
}

// value makes a value that this package shows as slog.JSONHandler does.
func (g *generator) value(depth int) any {
	choice := g.next() % 20
	if depth > 5 {
		choice %= 13
	}
	switch choice {
	case 0:
		return nil
	case 1:
		return g.text()
	case 2:
		return int64(g.number())
	case 3:
		return g.number()
	case 4:
		if f := math.Float64frombits(g.number()); f != 0 && !math.IsNaN(f) && !math.IsInf(f, 0) {
			return f
		}
		return 1.5
	case 5:
		return g.next()%2 == 0
	case 6:
		return time.Unix(int64(g.number()%1e10), int64(g.next())).UTC()
	case 7:
		return time.Duration(g.number())
	case 8:
		return kind(g.next())
	case 9:
		return text(g.text())
	case 10:
		return net.IP([]byte{g.next(), g.next(), g.next(), g.next()})
	case 11:
		return []byte(g.text())
	case 12:
		return new(big.Int).SetUint64(g.number())
	case 13, 14:
		list := make([]any, g.next()%5)
		for i := range list {
			list[i] = g.value(depth + 1)
		}
		return list
	case 15, 16:
		m := map[string]any{}
		for range g.next() % 5 {
			m[g.text()] = g.value(depth + 1)
		}
		return m
	case 17:
		return person{Name: g.text(), Born: time.Unix(int64(g.next()), 0).UTC(), Tags: []string{g.text()}, Extra: map[string]any{g.text(): g.value(depth + 1)}}
	case 18:
		v := g.value(depth + 1)
		return &v
	default:
		return struct {
			A any
			B int16 `json:",string"`
			person
		}{g.value(depth + 1), int16(g.next()), person{Name: g.text()}}
	}
}

func FuzzValue(f *testing.F) {
	for i := range byte(20) {
		f.Add([]byte{i, 3, 1, 'x', 2, 8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
		f.Add([]byte{15, 4, 1, 'k', i, 3, 13, 1, 4, 8, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0, 2, 'a', '"', 17, 1, 'n'})
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v := (&generator{data}).value(0)
		value, asJSON, _ := exportedValue(t, v)
		if got, want := tree(value), decoded(asJSON); !reflect.DeepEqual(got, want) {
			t.Errorf("%s is exported as %#v\nslog.JSONHandler prints %#v", fmt.Sprintf("%#v", v), got, want)
		}
	})
}

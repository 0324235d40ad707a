package otlp_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	colmetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/clewtrace/clew/internal/otlp"
	"github.com/clewtrace/clew/internal/otlpjson"
)

// requestMessages are the messages of each [otlp.Request].
var requestMessages = []proto.Message{
	otlp.TraceRequest:   &coltrace.ExportTraceServiceRequest{},
	otlp.MetricsRequest: &colmetrics.ExportMetricsServiceRequest{},
	otlp.LogsRequest:    &collogs.ExportLogsServiceRequest{},
}

// compareJSON compares the JSON of a request with that of protojson, in which ids are
// hexadecimal, decodes it, and reports whether protobuf can decode the request.
// Intended differences:
//   - Text that is not UTF-8 is repaired: protobuf does not decode it.
//   - A group is an error: protobuf skips an unknown one.
//   - A value that another one replaces is not looked into: protobuf decodes it first.
func compareJSON(t *testing.T, r otlp.Request, body []byte) bool {
	t.Helper()
	b, err := otlp.AppendJSON([]byte("before"), r, body)
	text, found := strings.CutPrefix(string(b), "before")
	if !found || err != nil && text != "" {
		t.Fatalf("appended %q, error %v", b, err)
	}
	msg := requestMessages[r].ProtoReflect().New().Interface()
	wantErr := proto.UnmarshalOptions{DiscardUnknown: true, RecursionLimit: 100}.Unmarshal(body, msg)
	if err != nil {
		if wantErr == nil && !strings.Contains(err.Error(), "a group") {
			t.Fatalf("error %v, protobuf none", err)
		}
		return false
	}
	if !json.Valid([]byte(text)) {
		t.Fatalf("no JSON: %s", text)
	}
	if wantErr != nil {
		return false
	}
	// Not a clone of msg: proto.Clone makes 0 of -0.
	copied := msg.ProtoReflect().New().Interface()
	if err := (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(body, copied); err != nil {
		t.Fatal(err)
	}
	want, oddIDs := referenceJSON(t, copied)
	if got := parseJSON(t, text); !reflect.DeepEqual(got, parseJSON(t, want)) {
		t.Fatalf("got\n%s\nwant\n%s", text, want)
	}
	if oddIDs {
		return true
	}
	again := msg.ProtoReflect().New().Interface()
	if err := otlpjson.Unmarshal([]byte(text), again); err != nil {
		if !strings.Contains(err.Error(), "depth") {
			t.Fatalf("decoding: %v\n%s", err, text)
		}
	} else if !proto.Equal(again, msg) {
		t.Fatalf("decoded:\n%v\nwant\n%v", again, msg)
	}
	return true
}

func parseJSON(t *testing.T, text string) (v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return v
}

// referenceJSON returns what protojson makes of msg, which it changes, with ids in
// hexadecimal. It reports whether one has another length than 8 or 16 bytes: otlpjson
// does not decode those.
func referenceJSON(t *testing.T, msg proto.Message) (text string, oddIDs bool) {
	t.Helper()
	var placeholders []string // in base64, each followed by the id in hexadecimal
	var walk func(m protoreflect.Message)
	walk = func(m protoreflect.Message) {
		m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
			switch {
			case f.Kind() == protoreflect.BytesKind && strings.HasSuffix(string(f.Name()), "_id"):
				id := v.Bytes()
				oddIDs = oddIDs || len(id) != 8 && len(id) != 16
				placeholder := fmt.Appendf(nil, "placeholder-%06d", len(placeholders))
				placeholders = append(placeholders, base64.StdEncoding.EncodeToString(placeholder), hex.EncodeToString(id))
				m.Set(f, protoreflect.ValueOfBytes(placeholder))
			case f.IsList() && f.Message() != nil:
				for i := range v.List().Len() {
					walk(v.List().Get(i).Message())
				}
			case f.Message() != nil:
				walk(v.Message())
			}
			return true
		})
	}
	walk(msg.ProtoReflect())
	b, err := protojson.MarshalOptions{UseEnumNumbers: true}.Marshal(msg)
	if err != nil {
		t.Fatal(err)
	}
	return strings.NewReplacer(placeholders...).Replace(string(b)), oddIDs
}

// TestJSONEveryField has each field of each message alone: the schema knows all of
// them.
func TestJSONEveryField(t *testing.T) {
	for r, empty := range requestMessages {
		seen := map[protoreflect.FullName]bool{}
		var walk func(m protoreflect.MessageDescriptor, wrap func([]byte) []byte)
		walk = func(m protoreflect.MessageDescriptor, wrap func([]byte) []byte) {
			if seen[m.FullName()] {
				return
			}
			seen[m.FullName()] = true
			for i := range m.Fields().Len() {
				f := m.Fields().Get(i)
				inside := func(b []byte) []byte {
					return wrap(protowire.AppendBytes(protowire.AppendTag(nil, f.Number(), protowire.BytesType), b))
				}
				if f.Message() != nil {
					compareJSON(t, otlp.Request(r), inside(nil))
					walk(f.Message(), inside)
					continue
				}
				for _, number := range []uint64{0, 1, 2, 1 << 31, math.MaxUint32, 1 << 63, math.MaxUint64, math.Float64bits(1.5), math.Float64bits(1e21), math.Float64bits(math.Inf(-1))} {
					varint := protowire.AppendVarint(protowire.AppendTag(nil, f.Number(), protowire.VarintType), number)
					fixed32 := protowire.AppendFixed32(protowire.AppendTag(nil, f.Number(), protowire.Fixed32Type), uint32(number))
					fixed64 := protowire.AppendFixed64(protowire.AppendTag(nil, f.Number(), protowire.Fixed64Type), number)
					for _, body := range [][]byte{varint, fixed32, fixed64} {
						if !compareJSON(t, otlp.Request(r), wrap(body)) {
							t.Errorf("%s is not decoded", f.FullName())
						}
					}
				}
				for _, content := range []string{"", "01234567", "01234567\x01\x02abcdef", "odd", "\"\\\x00\n\r\t\x7f größe 大 \u2028"} {
					compareJSON(t, otlp.Request(r), inside([]byte(content)))
				}
			}
		}
		walk(empty.ProtoReflect().Descriptor(), func(b []byte) []byte { return b })
	}
}

// TestJSONEqualsProtojson compares random requests, whose fields are in random order:
// the values of a list between other fields, parts of messages, values that replace
// others, packed numbers and single ones.
func TestJSONEqualsProtojson(t *testing.T) {
	decoded := 0
	for seed := range uint64(150) {
		r := otlp.Request(seed % 3)
		g := &randomInput{Rand: rand.New(rand.NewPCG(seed, 2)), repair: true}
		if compareJSON(t, r, g.message(requestMessages[r].ProtoReflect().Descriptor(), 0)) {
			decoded++
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	if decoded < 125 {
		t.Errorf("%d of 150 could be decoded", decoded)
	}
}

// message returns the wire bytes of a message: some of its fields, some unknown ones.
func (g *randomInput) message(m protoreflect.MessageDescriptor, depth int) (b []byte) {
	fields := m.Fields()
	for range g.IntN(2 + 2*fields.Len()) {
		f := fields.Get(g.IntN(fields.Len()))
		if depth > 6 && f.Message() != nil {
			continue
		}
		for range 1 + g.IntN(3)/2 {
			b = g.field(b, f, depth)
		}
	}
	return b
}

func (g *randomInput) field(b []byte, f protoreflect.FieldDescriptor, depth int) []byte {
	if g.IntN(20) == 0 { // an unknown field, or a known one of another type
		b = protowire.AppendTag(b, f.Number()+protowire.Number(g.IntN(2)*1000), protowire.Fixed32Type)
		return protowire.AppendFixed32(b, uint32(g.integer()))
	}
	number := func(b []byte) []byte {
		switch f.Kind() {
		case protoreflect.Fixed32Kind:
			return protowire.AppendFixed32(b, uint32(g.integer()))
		case protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind:
			return protowire.AppendFixed64(b, uint64(g.integer()))
		case protoreflect.DoubleKind:
			return protowire.AppendFixed64(b, math.Float64bits(g.double()))
		default:
			return protowire.AppendVarint(b, uint64(g.integer()))
		}
	}
	typ := protowire.VarintType
	var content []byte
	switch f.Kind() {
	case protoreflect.MessageKind:
		content = g.message(f.Message(), depth+1)
	case protoreflect.StringKind:
		content = []byte(g.text())
	case protoreflect.BytesKind:
		content = []byte([]string{"", "01234567", "0123456789abcdef", "\xff"}[g.IntN(4)])
	case protoreflect.Fixed32Kind:
		typ = protowire.Fixed32Type
	case protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind, protoreflect.DoubleKind:
		typ = protowire.Fixed64Type
	}
	switch {
	case f.Kind() == protoreflect.MessageKind || f.Kind() == protoreflect.StringKind || f.Kind() == protoreflect.BytesKind:
	case f.IsPacked() && g.IntN(2) == 1:
		for range g.IntN(4) {
			content = number(content)
		}
	default:
		return number(protowire.AppendTag(b, f.Number(), typ))
	}
	return protowire.AppendBytes(protowire.AppendTag(b, f.Number(), protowire.BytesType), content)
}

func TestJSON(t *testing.T) {
	// in returns a message as the field num of another, and so on outwards.
	in := func(content string, nums ...protowire.Number) string {
		for _, num := range nums {
			content = string(protowire.AppendString(protowire.AppendTag(nil, num, protowire.BytesType), content))
		}
		return content
	}
	span := func(content string) string { return in(content, 2, 2, 1) }
	spanJSON := func(content string) string {
		return `{"resourceSpans":[{"scopeSpans":[{"spans":[{` + content + `}]}]}]}`
	}
	value := func(content string) string { return span(in(content, 2, 9)) }
	valueJSON := func(content string) string { return spanJSON(`"attributes":[{"value":{` + content + `}}]`) }
	// A value in n arrays lies in 2n messages, in an attribute of a span, and is itself one.
	arrays := func(n int) string {
		v := in("x", 1)
		for range n {
			v = in(v, 1, 5)
		}
		return value(v)
	}
	for _, tt := range []struct {
		rule    string
		request otlp.Request
		body    string
		want    string
		wantErr string
	}{
		{"nothing", otlp.LogsRequest, "", `{}`, ""},
		{"ids are hexadecimal", 0, span(in("\x0a\xf7", 1) + in("01234567", 2)), spanJSON(`"traceId":"0af7","spanId":"3031323334353637"`), ""},
		{"bytes are base64", 0, value(in("\xfb\xff", 7)), valueJSON(`"bytesValue":"+/8="`), ""},
		{"an enum is an integer", 0, span("\x30\x03"), spanJSON(`"kind":3`), ""},
		{"64 bits are a string", 0, span("\x39\xff\xff\xff\xff\xff\xff\xff\xff"), spanJSON(`"startTimeUnixNano":"18446744073709551615"`), ""},
		{"a negative number", 0, value("\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), valueJSON(`"intValue":"-1"`), ""},
		{"a value of a choice is there if it is zero", 0, value("\x10\x00"), valueJSON(`"boolValue":false`), ""},
		{"other zeros are not", 0, span("\x30\x03\x30\x00"), spanJSON(``), ""},
		{"the last of a choice", 0, value(in("", 5) + in("x", 1)), valueJSON(`"stringValue":"x"`), ""},
		{"a list between other fields", 0, span(in(in("a", 1), 9) + in("n", 5) + in(in("b", 1), 9)), spanJSON(`"name":"n","attributes":[{"key":"a"},{"key":"b"}]`), ""},
		{"parts of a message", 0, span(in(in("m", 2), 15) + in("\x18\x02", 15)), spanJSON(`"status":{"message":"m","code":2}`), ""},
		{"escapes", 0, span(in("\"\\\n\r\t\x00\x1f<", 5)), spanJSON(`"name":"\"\\\n\r\t\u0000\u001f<"`), ""},
		{"a run of bytes that are not UTF-8", 0, span(in("a\xff\xfe大\xff", 5)), spanJSON("\"name\":\"a\uFFFD大\uFFFD\""), ""},
		{"metrics", otlp.MetricsRequest, in(in("\x21\x00\x00\x00\x00\x00\x00\xf8\x7f", 1, 5), 2, 2, 1),
			`{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"gauge":{"dataPoints":[{"asDouble":"NaN"}]}}]}]}]}`, ""},
		{"packed numbers", otlp.MetricsRequest, in("\x31\x01\x00\x00\x00\x00\x00\x00\x00"+in("\x02\x00\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00", 6), 1, 9, 2, 2, 1),
			`{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"histogram":{"dataPoints":[{"bucketCounts":["1","2","3"]}]}}]}]}]}`, ""},
		{"47 arrays are 100 messages", 0, arrays(47), valueJSON(strings.Repeat(`"arrayValue":{"values":[{`, 47) + `"stringValue":"x"` + strings.Repeat(`}]}`, 47)), ""},
		{"48 arrays are too deep", 0, arrays(48), "", "nested more than 100 deep"},
		{"2,000 arrays are too deep", 0, arrays(2_000), "", "nested more than 100 deep"},
		{"a request of another number", 3, "", "", "unknown request 3"},
		{"a tag that ends early", 0, "\x80", "", "unexpected EOF"},
		{"a message that ends early", 0, "\x0a\x05\x0a", "", "unexpected EOF"},
		{"the field 0", 0, "\x02\x00", "", "invalid field number"},
		{"a varint of 11 bytes", 0, span("\x30\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), "", "variable length integer overflow"},
		{"a group", 0, "\x0b\x0c", "", "a group"},
		{"groups in groups", 0, strings.Repeat("\x0b", 1_000_000), "", "a group"},
		{"a list that ends within a number", otlp.MetricsRequest, in(in("\x02", 6), 1, 9, 2, 2, 1), "", "ends within a number"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			got, err := otlp.AppendJSON(nil, tt.request, []byte(tt.body))
			if string(got) != tt.want {
				t.Errorf("got %.1000q\nwant %q", got, tt.want)
			}
			if err == nil != (tt.wantErr == "") || err != nil && !strings.Contains(err.Error(), tt.wantErr) {
				t.Errorf("error %v, want one with %q", err, tt.wantErr)
			}
		})
	}
}

// TestJSONOfPrefixes cuts a request at each byte.
func TestJSONOfPrefixes(t *testing.T) {
	g := &randomInput{Rand: rand.New(rand.NewPCG(3, 3)), repair: true}
	for _, body := range encodeMetrics(g.resourceMetrics(), 0) {
		for i := range body {
			compareJSON(t, otlp.MetricsRequest, body[:i])
		}
	}
}

func FuzzJSON(f *testing.F) {
	for seed := range uint64(150) {
		g := &randomInput{Rand: rand.New(rand.NewPCG(seed, 4))}
		r := seed % 3
		body := g.message(requestMessages[r].ProtoReflect().Descriptor(), 0)
		if len(body) > 100 && len(body) < 1000 { // mutating a short one finds more
			f.Add(uint8(r), body)
		}
	}
	f.Add(uint8(otlp.TraceRequest), []byte("\x0a\x00\x0b"))
	f.Fuzz(func(t *testing.T, r uint8, body []byte) {
		compareJSON(t, otlp.Request(r%3), body)
	})
}

package otlp

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// maxDepth bounds the nesting of messages. The value of a span's attribute is the
// sixth level.
const maxDepth = 100

var (
	errDepth  = errors.New("messages are nested more than 100 deep")
	errGroup  = errors.New("a group, which OTLP does not have")
	errPacked = errors.New("a list of numbers ends within a number")
)

// AppendJSON appends the JSON of an encoded export request (OpenTelemetry Protocol
// Specification, "JSON Protobuf Encoding"): ids are lower-case hexadecimal, enums
// are integers, names are in lowerCamelCase, integers of 64 bits are strings. Fields
// that are not in the schema are left out. Text that is not UTF-8 is repaired with
// U+FFFD. The error is that of malformed input; b is then returned as it was.
func AppendJSON(b []byte, r Request, body []byte) ([]byte, error) {
	if r > LogsRequest {
		return b, fmt.Errorf("OTLP as JSON: unknown request %d", r)
	}
	out, err := appendJSONMessage(b, body, typeTraceRequest+fieldType(r), maxDepth)
	if err != nil {
		return b, fmt.Errorf("OTLP as JSON: %w", err)
	}
	return out, nil
}

// occurrences tells where in a message a field is.
type occurrences struct {
	count       int // of values: the elements of a list; 0: the field is not there
	first, last int // offsets
}

// appendJSONMessage appends the object of the message m. Protobuf may have a field of
// a message in several places, JSON only in one. So the message is read through once,
// and then once more from the first value of each field to its last.
func appendJSONMessage(b, body []byte, m fieldType, depth int) (_ []byte, err error) {
	if depth == 0 {
		return nil, errDepth
	}
	fields := schema[m]
	var all [maxField + 1]occurrences
	if err := locate(body, fields, all[:len(fields)]); err != nil {
		return nil, err
	}
	start := len(b)
	b = append(b, '{')
	for num := range fields {
		o, f := &all[num], &fields[num]
		if o.count == 0 {
			continue
		}
		if len(b) > start+1 {
			b = append(b, ',')
		}
		b = append(append(append(b, '"'), f.name...), '"', ':')
		switch rest := body[o.first:]; {
		case f.label == many:
			b, err = appendJSONList(b, rest, protowire.Number(num), f, o.count, depth)
		case f.typ >= typeTraceRequest:
			b, err = appendJSONMessage(b, merged(rest, protowire.Number(num), o.count), f.typ, depth-1)
		default:
			var v wireValue
			if v, _, err = readValue(body[o.last:]); err == nil {
				b = appendJSONScalar(b, f.typ, v)
			}
		}
		if err != nil {
			return nil, err
		}
	}
	return append(b, '}'), nil
}

// locate finds the fields of a message. The last value of a field counts, and of
// fields that exclude each other the last.
func locate(body []byte, fields []schemaField, found []occurrences) error {
	var chosen protowire.Number // of the fields that exclude each other
	for next := 0; next < len(body); {
		at := next
		v, n, err := readValue(body[at:])
		if err != nil {
			return err
		}
		next += n
		if int(v.num) >= len(fields) {
			continue
		}
		f := &fields[v.num]
		count, err := v.count(f)
		if err != nil {
			return err
		}
		if count == 0 {
			continue
		}
		if f.label == either && chosen != v.num {
			found[chosen] = occurrences{} // there is no field 0
			chosen = v.num
		}
		o := &found[v.num]
		if f.label == plain && v.isZero(f.typ) {
			*o = occurrences{}
			continue
		}
		if o.count == 0 {
			o.first = at
		}
		o.last = at
		o.count += count
	}
	return nil
}

// appendJSONList appends the array of the values of the field num, of which there are
// count and the first is at the beginning of body.
func appendJSONList(b, body []byte, num protowire.Number, f *schemaField, count, depth int) ([]byte, error) {
	separator := byte('[')
	for count > 0 {
		v, n, err := readValue(body)
		if err != nil {
			return nil, err
		}
		body = body[n:]
		if v.num != num {
			continue
		}
		values, err := v.count(f)
		if err != nil {
			return nil, err
		}
		count -= values
		packed := v.bytes
		isPacked := v.wire != f.typ.wireType()
		for range values {
			b = append(b, separator)
			separator = ','
			if f.typ >= typeTraceRequest {
				if b, err = appendJSONMessage(b, v.bytes, f.typ, depth-1); err != nil {
					return nil, err
				}
				continue
			}
			if isPacked {
				if v.number, n = consumeNumber(packed, f.typ.wireType()); n < 0 {
					return nil, errPacked
				}
				packed = packed[n:]
			}
			b = appendJSONScalar(b, f.typ, v)
		}
	}
	return append(b, ']'), nil
}

// merged returns the content of the message in the field num, the first of whose count
// parts is at the beginning of body. Parts that follow each other mean the same as one
// message (Protocol Buffers Encoding, "Last One Wins").
func merged(body []byte, num protowire.Number, count int) []byte {
	var whole []byte
	for count > 0 {
		v, n, err := readValue(body)
		if err != nil {
			break // was read before
		}
		body = body[n:]
		if v.num != num || v.wire != protowire.BytesType {
			continue
		}
		if whole == nil && count == 1 {
			return v.bytes
		}
		whole = append(whole, v.bytes...)
		count--
	}
	return whole
}

// wireValue is a field as it is on the wire.
type wireValue struct {
	num    protowire.Number
	wire   protowire.Type
	number uint64 // if it is a number
	bytes  []byte // if it is not
}

// readValue reads the first field in b, and returns its length.
func readValue(b []byte) (v wireValue, length int, err error) {
	num, typ, length := protowire.ConsumeTag(b)
	if length < 0 {
		return v, 0, protowire.ParseError(length)
	}
	v.num, v.wire = num, typ
	var n int
	switch typ {
	case protowire.StartGroupType, protowire.EndGroupType:
		return v, 0, errGroup
	case protowire.BytesType:
		v.bytes, n = protowire.ConsumeBytes(b[length:])
	default:
		v.number, n = consumeNumber(b[length:], typ)
	}
	if n < 0 {
		return v, 0, protowire.ParseError(n)
	}
	return v, length + n, nil
}

// consumeNumber reads a number of a wire type, and returns its length or an error code
// of package protowire.
func consumeNumber(b []byte, typ protowire.Type) (uint64, int) {
	switch typ {
	case protowire.Fixed32Type:
		v, n := protowire.ConsumeFixed32(b)
		return uint64(v), n
	case protowire.Fixed64Type:
		return protowire.ConsumeFixed64(b)
	default:
		return protowire.ConsumeVarint(b)
	}
}

// count returns how many values of the field f are in v: 0 if v is of another type,
// which makes it an unknown field, and any number for packed numbers.
func (v *wireValue) count(f *schemaField) (int, error) {
	typ := f.typ.wireType()
	switch {
	case f.typ == 0:
		return 0, nil
	case v.wire == typ:
		return 1, nil
	case f.label != many || v.wire != protowire.BytesType:
		return 0, nil
	}
	count := 0
	for b := v.bytes; len(b) > 0; count++ {
		_, n := consumeNumber(b, typ)
		if n < 0 {
			return 0, errPacked
		}
		b = b[n:]
	}
	return count, nil
}

// isZero reports whether v is the zero value of a kind, which is not written. No
// message is.
func (v *wireValue) isZero(k fieldType) bool {
	switch k {
	case typeString, typeBytes, typeID:
		return len(v.bytes) == 0
	case typeInt32, typeUint32, typeSint32:
		return uint32(v.number) == 0
	}
	return k < typeTraceRequest && v.number == 0
}

func (k fieldType) wireType() protowire.Type {
	switch k {
	case typeBool, typeInt32, typeInt64, typeUint32, typeUint64, typeSint32:
		return protowire.VarintType
	case typeFixed32:
		return protowire.Fixed32Type
	case typeFixed64, typeSfixed64, typeDouble:
		return protowire.Fixed64Type
	}
	return protowire.BytesType
}

// appendJSONScalar appends what is not a message.
func appendJSONScalar(b []byte, k fieldType, v wireValue) []byte {
	switch k {
	case typeString:
		return appendJSONString(b, v.bytes)
	case typeBytes:
		b = base64.StdEncoding.AppendEncode(append(b, '"'), v.bytes)
		return append(b, '"')
	case typeID:
		b = hex.AppendEncode(append(b, '"'), v.bytes)
		return append(b, '"')
	case typeBool:
		return strconv.AppendBool(b, protowire.DecodeBool(v.number))
	case typeInt32:
		return strconv.AppendInt(b, int64(int32(v.number)), 10)
	case typeUint32, typeFixed32:
		return strconv.AppendUint(b, uint64(uint32(v.number)), 10)
	case typeSint32:
		return strconv.AppendInt(b, int64(int32(protowire.DecodeZigZag(v.number&math.MaxUint32))), 10)
	case typeInt64, typeSfixed64:
		b = strconv.AppendInt(append(b, '"'), int64(v.number), 10)
		return append(b, '"')
	case typeDouble:
		return appendJSONDouble(b, math.Float64frombits(v.number))
	default:
		b = strconv.AppendUint(append(b, '"'), v.number, 10)
		return append(b, '"')
	}
}

func appendJSONDouble(b []byte, v float64) []byte {
	switch {
	case math.IsNaN(v):
		return append(b, `"NaN"`...)
	case math.IsInf(v, 1):
		return append(b, `"Infinity"`...)
	case math.IsInf(v, -1):
		return append(b, `"-Infinity"`...)
	}
	format := byte('f')
	if abs := math.Abs(v); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(b, v, format, -1, 64)
}

// appendJSONString appends a string. A run of bytes that are not UTF-8 becomes one
// U+FFFD, as with [strings.ToValidUTF8].
func appendJSONString(b, s []byte) []byte {
	b = append(b, '"')
	start := 0 // of what is not yet appended
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c < ' ' || c == '"' || c == '\\' {
				b = appendJSONEscape(append(b, s[start:i]...), c)
				start = i + 1
			}
			i++
			continue
		}
		if r, size := utf8.DecodeRune(s[i:]); r != utf8.RuneError || size > 1 {
			i += size
			continue
		}
		b = append(append(b, s[start:i]...), "\uFFFD"...)
		for i < len(s) {
			if r, size := utf8.DecodeRune(s[i:]); r != utf8.RuneError || size > 1 {
				break
			}
			i++
		}
		start = i
	}
	return append(append(b, s[start:]...), '"')
}

func appendJSONEscape(b []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(b, '\\', c)
	case '\n':
		return append(b, '\\', 'n')
	case '\r':
		return append(b, '\\', 'r')
	case '\t':
		return append(b, '\\', 't')
	}
	const digits = "0123456789abcdef"
	return append(b, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
}

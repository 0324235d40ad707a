package sloghandler

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/clewtrace/clew/internal/jsonvalue"
)

// The bounds of one attribute. A value that contains itself is above them, and
// is exported as a text that says so.
const (
	maxDepth  = 100
	maxValues = 1 << 16
)

var errTooLarge = fmt.Errorf("value is nested deeper than %d levels, or of more than %d elements", maxDepth, maxValues)

// converter converts the attributes of one record, or of one call of WithAttrs.
type converter struct {
	err    *exception // the first error among them
	values int        // of the attribute that is being converted
}

// simple converts what needs no care, and reports whether v is that.
func simple(v slog.Value) (attribute.Value, bool) {
	switch v.Kind() {
	case slog.KindString:
		return attribute.StringValue(v.String()), true
	case slog.KindInt64:
		return attribute.Int64Value(v.Int64()), true
	case slog.KindUint64:
		return unsigned(v.Uint64()), true
	case slog.KindFloat64:
		return attribute.Float64Value(v.Float64()), true
	case slog.KindBool:
		return attribute.BoolValue(v.Bool()), true
	case slog.KindDuration:
		return attribute.Int64Value(int64(v.Duration())), true
	case slog.KindTime:
		return attribute.StringValue(v.Time().Format(time.RFC3339Nano)), true
	default: // KindAny, KindGroup, KindLogValuer
		return attribute.Value{}, false
	}
}

// unsigned keeps all digits of what OpenTelemetry has no number for.
func unsigned(u uint64) attribute.Value {
	if u > math.MaxInt64 {
		return attribute.StringValue(strconv.FormatUint(u, 10))
	}
	return attribute.Int64Value(int64(u))
}

// attr converts an attribute. The result is none for one that is to be ignored,
// and can be several for a group without a name.
func (c *converter) attr(a slog.Attr) []attribute.KeyValue {
	c.values = 0
	kvs, err := c.append(nil, a, 0)
	if err != nil {
		return []attribute.KeyValue{attribute.String(a.Key, failed(err))}
	}
	return kvs
}

// failed is how slog shows a value that cannot be encoded.
func failed(err error) string { return fmt.Sprintf("!ERROR:%v", err) }

func (c *converter) append(to []attribute.KeyValue, a slog.Attr, depth int) ([]attribute.KeyValue, error) {
	v := a.Value.Resolve()
	if v.Kind() != slog.KindGroup {
		if a.Key == "" && v.Kind() == slog.KindAny && v.Any() == nil {
			return to, nil
		}
		value, err := c.value(v, depth)
		return append(to, attribute.KeyValue{Key: attribute.Key(a.Key), Value: value}), err
	}
	if err := c.count(depth); err != nil {
		return nil, err
	}
	members := to
	if a.Key != "" {
		members = make([]attribute.KeyValue, 0, len(v.Group()))
	}
	for _, member := range v.Group() {
		var err error
		if members, err = c.append(members, member, depth+1); err != nil {
			return nil, err
		}
	}
	if a.Key == "" {
		return members, nil
	}
	if len(members) == 0 {
		return to, nil
	}
	return append(to, attribute.Map(a.Key, members...)), nil
}

// count is called for each value. Its error ends the conversion of the whole
// attribute: to leave out a part would take as long as to convert it.
func (c *converter) count(depth int) error {
	if c.values++; c.values > maxValues || depth > maxDepth {
		return errTooLarge
	}
	return nil
}

// value converts a value that is resolved and no group.
func (c *converter) value(v slog.Value, depth int) (result attribute.Value, err error) {
	if value, ok := simple(v); ok {
		return value, nil
	}
	held := v.Any()
	defer func() {
		if r := recover(); r != nil {
			result, err = attribute.StringValue(panicked(held, r)), nil
		}
	}()
	if failure, ok := held.(error); ok {
		text := failure.Error()
		if c.err == nil {
			c.err = &exception{failure, text}
		}
		return attribute.StringValue(text), nil
	}
	return c.any(held, depth)
}

// panicked is how slog shows a value with a method that panics.
func panicked(held, r any) string {
	if v := reflect.ValueOf(held); v.Kind() == reflect.Pointer && v.IsNil() {
		return "<nil>"
	}
	return fmt.Sprintf("!PANIC: %v", r)
}

// any converts by what a value can say of itself. It may panic.
func (c *converter) any(v any, depth int) (attribute.Value, error) {
	if err := c.count(depth); err != nil {
		return attribute.Value{}, err
	}
	switch v := v.(type) {
	case nil:
		return attribute.Value{}, nil
	case attribute.Value:
		return v, nil
	case []byte:
		return attribute.ByteSliceValue(v), nil
	case time.Duration: // a Stringer, but slog.KindDuration is a number too
		return attribute.Int64Value(int64(v)), nil
	case error:
		return attribute.StringValue(v.Error()), nil
	case encoding.TextMarshaler:
		text, err := v.MarshalText()
		return attribute.StringValue(string(text)), err
	case json.Marshaler:
		return c.asJSON(v, depth)
	case fmt.Stringer:
		return attribute.StringValue(v.String()), nil
	}
	return c.reflected(reflect.ValueOf(v), depth)
}

// element is any for one of several values: what panics takes the place of that one
// alone, as it does where fmt prints them.
func (c *converter) element(v any, depth int) (result attribute.Value, err error) {
	defer func() {
		if r := recover(); r != nil {
			result, err = attribute.StringValue(panicked(v, r)), nil
		}
	}()
	return c.any(v, depth)
}

// reflected converts by kind.
func (c *converter) reflected(v reflect.Value, depth int) (attribute.Value, error) {
	switch v.Kind() {
	case reflect.Bool:
		return attribute.BoolValue(v.Bool()), nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return attribute.Int64Value(v.Int()), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return unsigned(v.Uint()), nil
	case reflect.Float32:
		shortest, err := strconv.ParseFloat(strconv.FormatFloat(v.Float(), 'g', -1, 32), 64) // as JSON has it
		return attribute.Float64Value(shortest), err
	case reflect.Float64:
		return attribute.Float64Value(v.Float()), nil
	case reflect.String:
		return attribute.StringValue(v.String()), nil
	case reflect.Pointer:
		if v.IsNil() {
			return attribute.Value{}, nil
		}
		return c.any(v.Elem().Interface(), depth+1)
	case reflect.Slice, reflect.Array:
		return c.list(v, depth)
	case reflect.Map:
		return c.mapping(v, depth)
	case reflect.Struct:
		return c.asJSON(v.Interface(), depth)
	default: // a channel, a function, a complex number
		return attribute.StringValue(fmt.Sprintf("%+v", v.Interface())), nil
	}
}

func (c *converter) list(v reflect.Value, depth int) (attribute.Value, error) {
	if v.Kind() == reflect.Slice {
		if v.IsNil() {
			return attribute.Value{}, nil
		}
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return attribute.ByteSliceValue(v.Bytes()), nil
		}
	}
	entries := make([]attribute.Value, 0, min(v.Len(), maxValues))
	for i := range v.Len() {
		entry, err := c.element(v.Index(i).Interface(), depth+1)
		if err != nil {
			return attribute.Value{}, err
		}
		entries = append(entries, entry)
	}
	return attribute.SliceValue(entries...), nil
}

func (c *converter) mapping(v reflect.Value, depth int) (attribute.Value, error) {
	if v.IsNil() {
		return attribute.Value{}, nil
	}
	entries := make([]attribute.KeyValue, 0, min(v.Len(), maxValues))
	for i := v.MapRange(); i.Next(); {
		key, err := mapKey(i.Key())
		if err != nil {
			return attribute.Value{}, err
		}
		value, err := c.element(i.Value().Interface(), depth+1)
		if err != nil {
			return attribute.Value{}, err
		}
		entries = append(entries, attribute.KeyValue{Key: attribute.Key(key), Value: value})
	}
	return attribute.MapValue(entries...), nil
}

// mapKey converts the keys that JSON knows, and other simple ones.
func mapKey(v reflect.Value) (string, error) {
	if v.Kind() == reflect.String {
		return v.String(), nil
	}
	if m, ok := reflect.TypeAssert[encoding.TextMarshaler](v); ok {
		text, err := m.MarshalText()
		return string(text), err
	}
	if v.Kind() == reflect.Interface && !v.IsNil() {
		return mapKey(v.Elem())
	}
	if v.Kind() < reflect.Array && v.IsValid() { // bool and the numbers
		if v.CanInt() {
			return strconv.FormatInt(v.Int(), 10), nil
		}
		return fmt.Sprint(v.Interface()), nil
	}
	return "", fmt.Errorf("unsupported type of a key: %s", v.Type())
}

// asJSON converts what encoding/json writes of v.
func (c *converter) asJSON(v any, depth int) (attribute.Value, error) {
	var text bytes.Buffer
	to := json.NewEncoder(&text)
	to.SetEscapeHTML(false)
	if err := to.Encode(v); err != nil {
		return attribute.Value{}, err
	}
	decoded, _ := jsonvalue.Parse(text.Bytes())
	return c.fromJSON(decoded, depth)
}

func (c *converter) fromJSON(v any, depth int) (attribute.Value, error) {
	if err := c.count(depth); err != nil {
		return attribute.Value{}, err
	}
	switch v := v.(type) {
	case bool:
		return attribute.BoolValue(v), nil
	case string:
		return attribute.StringValue(v), nil
	case json.Number:
		return number(v), nil
	case []any:
		entries := make([]attribute.Value, len(v))
		for i, entry := range v {
			var err error
			if entries[i], err = c.fromJSON(entry, depth+1); err != nil {
				return attribute.Value{}, err
			}
		}
		return attribute.SliceValue(entries...), nil
	case map[string]any:
		entries := make([]attribute.KeyValue, 0, len(v))
		for key, entry := range v {
			value, err := c.fromJSON(entry, depth+1)
			if err != nil {
				return attribute.Value{}, err
			}
			entries = append(entries, attribute.KeyValue{Key: attribute.Key(key), Value: value})
		}
		return attribute.MapValue(entries...), nil
	default: // null
		return attribute.Value{}, nil
	}
}

// number keeps all digits of an integer.
func number(n json.Number) attribute.Value {
	if i, err := n.Int64(); err == nil {
		return attribute.Int64Value(i)
	}
	f, err := n.Float64()
	integer := !strings.ContainsAny(string(n), ".eE")
	if err != nil || integer && strconv.FormatFloat(f, 'f', -1, 64) != string(n) {
		return attribute.StringValue(string(n))
	}
	return attribute.Float64Value(f)
}

package settings

import (
	"fmt"

	"go.opentelemetry.io/otel/attribute"
)

// attributes are those of the resource. They have the type that the file
// names, or the one that the value has in YAML.
func (f *file) attributes() []attribute.KeyValue {
	var all []attribute.KeyValue
	for _, entry := range f.entries("resource.attributes") {
		name, kind, value := f.text(entry+".name"), f.text(entry+".type"), f.value(entry+".value")
		a, err := typed(name, kind, value)
		if err != nil {
			f.reject(entry, err.Error()+", and ignored")
			continue
		}
		all = append(all, a)
	}
	return all
}

func typed(name, kind string, value any) (attribute.KeyValue, error) {
	none := attribute.KeyValue{}
	list, isList := value.([]any)
	if !isList {
		list = []any{value}
	}
	if len(list) == 0 {
		return attribute.StringSlice(name, nil), nil
	}
	element := kind
	switch kind {
	case "":
		element = kindOf(list[0])
	case "string_array", "bool_array", "int_array", "double_array":
		element = kind[:len(kind)-len("_array")]
	}
	convert := map[string]func() (one, many attribute.KeyValue, ok bool){
		"string": func() (attribute.KeyValue, attribute.KeyValue, bool) {
			v, ok := all(list, func(v any) (string, bool) { return fmt.Sprint(v), v != nil })
			return attribute.String(name, v[0]), attribute.StringSlice(name, v), ok
		},
		"bool": func() (attribute.KeyValue, attribute.KeyValue, bool) {
			v, ok := all(list, func(v any) (bool, bool) { b, ok := v.(bool); return b, ok })
			return attribute.Bool(name, v[0]), attribute.BoolSlice(name, v), ok
		},
		"int": func() (attribute.KeyValue, attribute.KeyValue, bool) {
			v, ok := all(list, func(v any) (int64, bool) { n, ok := v.(int); return int64(n), ok })
			return attribute.Int64(name, v[0]), attribute.Int64Slice(name, v), ok
		},
		"double": func() (attribute.KeyValue, attribute.KeyValue, bool) {
			v, ok := all(list, number)
			return attribute.Float64(name, v[0]), attribute.Float64Slice(name, v), ok
		},
	}[element]
	if convert == nil {
		return none, fmt.Errorf("type must be string, bool, int, double or an array of them, such as int_array, not %q", kind)
	}
	one, many, ok := convert()
	switch {
	case !ok:
		return none, fmt.Errorf("value must be of type %s", element)
	case isList:
		return many, nil
	}
	return one, nil
}

func kindOf(v any) string {
	switch v.(type) {
	case bool:
		return "bool"
	case int:
		return "int"
	case float64:
		return "double"
	}
	return "string"
}

func number(v any) (float64, bool) {
	if n, ok := v.(int); ok {
		return float64(n), true
	}
	f, ok := v.(float64)
	return f, ok
}

// all converts each value of a list; ok is whether every one could be.
func all[T any](list []any, convert func(any) (T, bool)) (converted []T, ok bool) {
	ok = true
	for _, v := range list {
		c, can := convert(v)
		converted, ok = append(converted, c), ok && can
	}
	return converted, ok
}

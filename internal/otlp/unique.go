package otlp

import "go.opentelemetry.io/otel/attribute"

// maxCompared is the number of keys that are compared with each other. Comparing so few
// is cheaper than a map of them.
const maxCompared = 32

// unique returns the list with each key once: in its first place, with its last value.
// The keys of a list are unique in OTLP (opentelemetry.proto.common.v1, KeyValueList). A
// list whose keys are unique is returned as it is.
func unique(kvs []attribute.KeyValue) []attribute.KeyValue {
	if !repeats(kvs) {
		return kvs
	}
	kept := make([]attribute.KeyValue, 0, len(kvs))
	at := make(map[attribute.Key]int, len(kvs))
	for _, kv := range kvs {
		if i, found := at[kv.Key]; found {
			kept[i] = kv
			continue
		}
		at[kv.Key] = len(kept)
		kept = append(kept, kv)
	}
	return kept
}

// repeats reports whether a key occurs twice. It may say so of a long list that it does
// not look into.
func repeats(kvs []attribute.KeyValue) bool {
	if len(kvs) > maxCompared {
		return true
	}
	for i := range kvs {
		for j := range i {
			if kvs[i].Key == kvs[j].Key {
				return true
			}
		}
	}
	return false
}

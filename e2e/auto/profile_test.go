package auto_test

import "google.golang.org/protobuf/encoding/protowire"

// cpuProfile is a profile with one sample, of a function that calls another one.
// It is the same each time, so that what is built with it stays in the build
// cache.
func cpuProfile(caller, callee string) []byte {
	var p []byte
	for _, s := range []string{"", "samples", "count", caller, callee} {
		p = message(p, 6, []byte(s))
	}
	p = message(p, 1, numbers(1, 1, 2, 2))          // the type of values: samples, count
	p = message(p, 2, numbers(1, 1, 1, 2, 2, 1000)) // the callee on top of the caller, 1,000 times
	for _, f := range [][2]uint64{{1, 4}, {2, 3}} {
		id, name := f[0], f[1]
		p = message(p, 5, numbers(1, id, 2, name, 3, name, 5, 1))           // a function, from line 1
		p = message(p, 4, message(numbers(1, id), 4, numbers(1, id, 2, 2))) // a place in it, in line 2
	}
	return p
}

// message appends a field that is a message or a text: pprof's profile.proto.
func message(b []byte, field protowire.Number, text []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), text)
}

// numbers are a message of fields and their values.
func numbers(fieldsAndValues ...uint64) (b []byte) {
	for i := 0; i < len(fieldsAndValues); i += 2 {
		b = protowire.AppendTag(b, protowire.Number(fieldsAndValues[i]), protowire.VarintType) //nolint:gosec // small
		b = protowire.AppendVarint(b, fieldsAndValues[i+1])
	}
	return b
}

package otlp

import (
	"encoding/binary"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// The functions below append fields with numbers up to 15, whose tags are one byte. Except for
// appendBytes, they leave out a zero, as proto3 does for a field without presence.

func appendString(b []byte, num protowire.Number, s string) []byte {
	if s == "" {
		return b
	}
	return appendBytes(b, num, validText(s))
}

// appendBytes appends a field that is present even if s is empty.
func appendBytes(b []byte, num protowire.Number, s string) []byte {
	b = append(b, byte(num)<<3|byte(protowire.BytesType))
	b = appendVarint(b, uint64(len(s)))
	return append(b, s...)
}

func appendUint(b []byte, num protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	return appendVarint(append(b, byte(num)<<3), v)
}

// appendCount appends a number of what was dropped, which is a uint32 in OTLP.
func appendCount(b []byte, num protowire.Number, n int) []byte {
	return appendUint(b, num, uint64(min(max(0, int64(n)), 1<<32-1)))
}

func appendFixed32(b []byte, num protowire.Number, v uint32) []byte {
	if v == 0 {
		return b
	}
	b = append(b, byte(num)<<3|byte(protowire.Fixed32Type))
	return binary.LittleEndian.AppendUint32(b, v)
}

// appendTime appends nanoseconds since 1970. What is before, such as the zero time, counts as
// unknown, for which OTLP has the zero.
func appendTime(b []byte, num protowire.Number, t time.Time) []byte {
	ns := t.UnixNano()
	if ns <= 0 {
		return b
	}
	b = append(b, byte(num)<<3|byte(protowire.Fixed64Type))
	return binary.LittleEndian.AppendUint64(b, uint64(ns))
}

// appendVarint is protowire.AppendVarint, with the short numbers inlined.
func appendVarint(b []byte, v uint64) []byte {
	if v < 0x80 {
		return append(b, byte(v))
	}
	return protowire.AppendVarint(b, v)
}

// openMessage appends the tag of a nested message and one byte for its length. The fields of the
// message follow, then closeMessage with the position that openMessage returned.
func openMessage(b []byte, num protowire.Number) ([]byte, int) {
	b = append(b, byte(num)<<3|byte(protowire.BytesType), 0)
	return b, len(b)
}

// closeMessage writes the length of the message that began at b[at]. A message of 128 bytes or more
// is moved to make room for its length. Moving the few that are so long costs less than finding out
// the length of each beforehand, for which lists, that the accessors copy, would be read twice.
func closeMessage(b []byte, at int) []byte {
	n := len(b) - at
	if n < 0x80 {
		b[at-1] = byte(n)
		return b
	}
	var room [binary.MaxVarintLen64]byte
	extra := binary.PutUvarint(room[:], uint64(n)) - 1
	b = append(b, room[:extra]...)
	copy(b[at+extra:], b[at:at+n])
	binary.PutUvarint(b[at-1:], uint64(n))
	return b
}

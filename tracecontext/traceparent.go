package tracecontext

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"unsafe"
)

// Flags is the trace-flags field of a traceparent ("trace-flags").
type Flags byte

const (
	// FlagSampled says that the caller may have recorded the trace.
	FlagSampled Flags = 0x01
	// FlagRandom says that at least the last 7 bytes of the trace id are random.
	FlagRandom Flags = 0x02

	// knownFlags are the bits that Level 2 defines. All others are sent as zero
	// ("Other Flags").
	knownFlags = FlagSampled | FlagRandom
)

// Layout of version 00 ("version-format"):
//
//	00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
//	^  ^                                ^                ^
//	0  3                                36               53
const (
	traceIDStart   = 3
	parentIDStart  = 36
	flagsStart     = 53
	traceparentLen = 55
)

// Traceparent identifies a position in a trace: the trace, the operation that
// is the parent of whatever comes next, and flags.
//
// It is comparable. The zero value is invalid, and its text is empty.
type Traceparent struct {
	// The ids are kept as numbers, the first byte highest. The compiler passes
	// numbers in registers, and arrays in memory.
	traceHigh, traceLow, parent uint64
	flags                       Flags
}

// NewTraceparent starts a trace: random ids, sampled, with [FlagRandom] set.
//
// The ids come from [math/rand/v2], whose generator is seeded by the operating
// system. They do not collide, but they are not made to be secret.
func NewTraceparent() Traceparent {
	tp := Traceparent{parent: newParentID(), flags: FlagSampled | FlagRandom}
	// All zero is not valid ("trace-id").
	for tp.traceHigh|tp.traceLow == 0 {
		tp.traceHigh, tp.traceLow = rand.Uint64(), rand.Uint64()
	}
	return tp
}

// TraceparentFrom returns the Traceparent with the given parts. Flags that
// Level 2 does not define are dropped. The result is invalid if either id is
// all zero.
func TraceparentFrom(traceID [16]byte, parentID [8]byte, flags Flags) Traceparent {
	return Traceparent{
		traceHigh: binary.BigEndian.Uint64(traceID[:8]),
		traceLow:  binary.BigEndian.Uint64(traceID[8:]),
		parent:    binary.BigEndian.Uint64(parentID[:]),
		flags:     flags & knownFlags,
	}
}

// ParseTraceparent reads the value of a traceparent header field, without
// surrounding whitespace.
//
// Version 00 must be exactly 55 characters of lower-case hex digits and
// dashes. A higher version may be longer; its first four fields are read as if
// it were version 00, and so the result is written ("Versioning of traceparent").
// Unknown flags are ignored.
func ParseTraceparent(s string) (Traceparent, error) {
	// This function is short so that the compiler inlines it. An error that the
	// caller only compares with nil is then not allocated.
	tp, ok := parseTraceparent(s)
	if !ok {
		return tp, &ParseError{text: s}
	}
	return tp, nil
}

// MustParseTraceparent is [ParseTraceparent] for constants and tests: it
// panics if s is not valid.
func MustParseTraceparent(s string) Traceparent {
	tp, err := ParseTraceparent(s)
	if err != nil {
		panic(err)
	}
	return tp
}

// TraceID returns the id that all operations of the trace share.
func (tp Traceparent) TraceID() (id [16]byte) {
	binary.BigEndian.PutUint64(id[:8], tp.traceHigh)
	binary.BigEndian.PutUint64(id[8:], tp.traceLow)
	return id
}

// ParentID returns the id of the operation that is the parent of the next one.
func (tp Traceparent) ParentID() (id [8]byte) {
	binary.BigEndian.PutUint64(id[:], tp.parent)
	return id
}

// Flags returns the flags, [FlagSampled] and [FlagRandom] at most.
func (tp Traceparent) Flags() Flags { return tp.flags }

// IsValid reports whether neither id is all zero.
func (tp Traceparent) IsValid() bool {
	return tp.traceHigh|tp.traceLow != 0 && tp.parent != 0
}

// IsSampled reports whether [FlagSampled] is set.
func (tp Traceparent) IsSampled() bool { return tp.flags&FlagSampled != 0 }

// IsRandom reports whether [FlagRandom] is set.
func (tp Traceparent) IsRandom() bool { return tp.flags&FlagRandom != 0 }

// WithSampled returns tp with [FlagSampled] set or cleared.
func (tp Traceparent) WithSampled(sampled bool) Traceparent {
	tp.flags &^= FlagSampled
	if sampled {
		tp.flags |= FlagSampled
	}
	return tp
}

// Child returns tp with a new random parent id: the same trace, the same
// flags. The child of an invalid Traceparent without a trace id is invalid.
func (tp Traceparent) Child() Traceparent {
	tp.parent = newParentID()
	return tp
}

func newParentID() (id uint64) {
	for id == 0 {
		id = rand.Uint64()
	}
	return id
}

// String returns the header value, 55 characters of version 00, or the empty
// string if tp is invalid.
func (tp Traceparent) String() string {
	if !tp.IsValid() {
		return ""
	}
	b := make([]byte, traceparentLen)
	tp.put((*[traceparentLen]byte)(b))
	return unsafe.String(&b[0], len(b)) // nothing writes to b again
}

// AppendText appends what [Traceparent.String] returns. The error is always nil.
func (tp Traceparent) AppendText(b []byte) ([]byte, error) {
	if !tp.IsValid() {
		return b, nil
	}
	n := len(b)
	b = slices.Grow(b, traceparentLen)[:n+traceparentLen]
	tp.put((*[traceparentLen]byte)(b[n:]))
	return b, nil
}

// MarshalText returns what [Traceparent.String] does. The error is always nil.
func (tp Traceparent) MarshalText() ([]byte, error) {
	return tp.AppendText(nil)
}

// UnmarshalText sets tp as [ParseTraceparent] does. Empty text gives the zero
// value. If text is not valid, tp is left as it was.
func (tp *Traceparent) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*tp = Traceparent{}
		return nil
	}
	parsed, err := ParseTraceparent(string(text))
	if err != nil {
		return err
	}
	*tp = parsed
	return nil
}

func (tp Traceparent) put(b *[traceparentLen]byte) {
	b[0], b[1], b[2] = '0', '0', '-'
	putHex8(b[3:11], tp.traceHigh>>32)
	putHex8(b[11:19], tp.traceHigh&low)
	putHex8(b[19:27], tp.traceLow>>32)
	putHex8(b[27:35], tp.traceLow&low)
	b[35] = '-'
	putHex8(b[36:44], tp.parent>>32)
	putHex8(b[44:52], tp.parent&low)
	b[52], b[53], b[54] = '-', '0', '0'+byte(tp.flags)
}

// parseTraceparent parses a traceparent. If it is not valid, [traceparentFault] finds
// out why.
func parseTraceparent(s string) (tp Traceparent, ok bool) {
	if len(s) < traceparentLen {
		return tp, false
	}
	version, ok := hex2(s[0], s[1])
	if !ok || version == 0xff {
		return tp, false
	}
	if s[2] != '-' || s[35] != '-' || s[52] != '-' {
		return tp, false
	}
	if len(s) > traceparentLen && (version == 0 || s[traceparentLen] != '-') {
		return tp, false
	}
	t0, t1, t2, t3 := hex8(s[3:11]), hex8(s[11:19]), hex8(s[19:27]), hex8(s[27:35])
	if notHex(t0)|notHex(t1)|notHex(t2)|notHex(t3) != 0 {
		return tp, false
	}
	p0, p1 := hex8(s[36:44]), hex8(s[44:52])
	if notHex(p0)|notHex(p1) != 0 {
		return tp, false
	}
	const zeros = '0' * each
	if t0 == zeros && t1 == zeros && t2 == zeros && t3 == zeros {
		return tp, false
	}
	if p0 == zeros && p1 == zeros {
		return tp, false
	}
	flags, ok := hex2(s[53], s[54])
	if !ok {
		return tp, false
	}
	tp.traceHigh = fromHex(t0)<<32 | fromHex(t1)
	tp.traceLow = fromHex(t2)<<32 | fromHex(t3)
	tp.parent = fromHex(p0)<<32 | fromHex(p1)
	tp.flags = Flags(flags) & knownFlags
	return tp, true
}

package otlp

import (
	"encoding/binary"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// A message that is too long is cut where it was written. It only gets shorter, so that what is
// written never overtakes what is still to be read.

const (
	truncatedKey = "clew.truncated"

	minBound  = 256 // what a message needs without any list, with its texts cut to minLevel
	minLevel  = 16
	fullLevel = 128 // texts are not cut below, but for a bound of less than 64 such texts

	markSize   = 2 + 2 + len(truncatedKey) + 4
	countsSize = 3 * (1 + 5) // three fields with a uint32 each
)

// kind is one of the messages that hold text.
type kind uint8

const (
	kindNone kind = iota
	kindAnyValue
	kindArray
	kindKvlist
	kindKeyValue
	kindSpan
	kindEvent
	kindLink
	kindStatus
	kindLog
)

// shape says which fields of a message may be cut, and which are messages with such fields. A
// tracestate is not text: a part of one may mean something else.
type shape struct {
	text   uint32 // a bit per field number
	bytes  uint32
	nested [spanFlags + 1]kind
}

var shapes = [...]shape{
	kindAnyValue: {text: 1 << anyString, bytes: 1 << anyBytes, nested: [...]kind{anyArray: kindArray, anyKvlist: kindKvlist, spanFlags: 0}},
	kindArray:    {nested: [...]kind{listValues: kindAnyValue, spanFlags: 0}},
	kindKvlist:   {nested: [...]kind{listValues: kindKeyValue, spanFlags: 0}},
	kindKeyValue: {text: 1 << keyValueKey, nested: [...]kind{keyValueValue: kindAnyValue, spanFlags: 0}},
	kindSpan: {text: 1 << spanName, nested: [...]kind{
		spanAttributes: kindKeyValue, spanEvents: kindEvent, spanLinks: kindLink, spanStatus: kindStatus, spanFlags: 0,
	}},
	kindEvent:  {text: 1 << eventName, nested: [...]kind{eventAttributes: kindKeyValue, spanFlags: 0}},
	kindLink:   {nested: [...]kind{linkAttributes: kindKeyValue, spanFlags: 0}},
	kindStatus: {text: 1 << statusMessage, nested: [...]kind{spanFlags: 0}},
	kindLog: {text: 1<<logSeverityText | 1<<logEventName, nested: [...]kind{
		logBody: kindAnyValue, logAttributes: kindKeyValue, spanFlags: 0,
	}},
}

// layout says what of a message may be left out.
type layout struct {
	kind       kind
	attributes protowire.Number
	optional   uint32                          // fields that may be left out and are not counted
	dropped    [spanFlags + 1]protowire.Number // of a list, the field that counts what was left out
	counts     uint32                          // the fields that count
}

var spanLayout = layout{
	kind: kindSpan, attributes: spanAttributes, optional: 1 << spanTraceState,
	dropped: [...]protowire.Number{
		spanAttributes: spanDroppedAttributes, spanLinks: spanDroppedLinks, spanEvents: spanDroppedEvents, spanFlags: 0,
	},
	counts: 1<<spanDroppedAttributes | 1<<spanDroppedLinks | 1<<spanDroppedEvents,
}

var logLayout = layout{
	kind: kindLog, attributes: logAttributes, optional: 1 << logBody,
	dropped: [...]protowire.Number{logAttributes: logDroppedAttributes, spanFlags: 0},
	counts:  1 << logDroppedAttributes,
}

// cutMessage cuts msg, which is longer than bound, and returns it with its mark.
func cutMessage(msg []byte, l *layout, bound int) []byte {
	bound = max(bound, minBound)
	if len(msg) <= bound {
		return msg
	}
	room := bound - markSize
	floor := min(fullLevel, max(minLevel, bound/64))
	level := levelFor(textLengths(nil, msg, l.kind, floor), floor, len(msg)-room)
	msg = shorten(msg[:0], msg, l.kind, level)
	if len(msg) > room {
		msg = leaveOut(msg, l, room-countsSize)
	}
	msg, at := openMessage(msg, l.attributes)
	msg = appendString(msg, keyValueKey, truncatedKey)
	msg, value := openMessage(msg, keyValueValue)
	msg = closeMessage(appendBool(msg, true), value)
	return closeMessage(msg, at)
}

// field is one field of a message: all of it, its tag, and its value if that has a length.
type field struct {
	num         protowire.Number
	all, header []byte
	value       []byte
	hasLength   bool
}

// nextField splits off the first field of msg, which this package wrote.
func nextField(msg []byte) (f field, rest []byte) {
	num, typ, n := protowire.ConsumeTag(msg)
	size := protowire.ConsumeFieldValue(num, typ, msg[n:])
	f = field{num: num, all: msg[:n+size], header: msg[:n]}
	if typ == protowire.BytesType {
		f.hasLength = true
		f.value, _ = protowire.ConsumeBytes(msg[n:])
	}
	return f, msg[n+size:]
}

// textLengths appends the lengths of the texts within msg that are longer than floor.
func textLengths(lengths []int, msg []byte, k kind, floor int) []int {
	s := &shapes[k]
	for len(msg) > floor {
		var f field
		f, msg = nextField(msg)
		switch {
		case !f.hasLength || len(f.value) <= floor:
		case (s.text|s.bytes)>>f.num&1 != 0:
			lengths = append(lengths, len(f.value))
		case s.nested[f.num] != kindNone:
			lengths = textLengths(lengths, f.value, s.nested[f.num], floor)
		}
	}
	return lengths
}

// levelFor returns the greatest length that, if no text is longer, saves at least excess bytes. It
// returns floor if there is none above.
func levelFor(lengths []int, floor, excess int) int {
	slices.Sort(lengths)
	sum := 0 // of the longest, of which there are n
	for n := 1; n <= len(lengths); n++ {
		sum += lengths[len(lengths)-n]
		next := floor
		if n < len(lengths) {
			next = lengths[len(lengths)-n-1]
		}
		if sum-n*next >= excess {
			return (sum - excess) / n
		}
	}
	return floor
}

// shorten appends msg to out with each text cut to level. out may end before msg in the same array.
func shorten(out, msg []byte, k kind, level int) []byte {
	s := &shapes[k]
	for len(msg) > level {
		var f field
		f, msg = nextField(msg)
		switch {
		case !f.hasLength || len(f.value) <= level:
			out = append(out, f.all...)
		case s.text>>f.num&1 != 0:
			out = appendCut(out, f, cutText(f.value, level))
		case s.bytes>>f.num&1 != 0:
			out = appendCut(out, f, level)
		case s.nested[f.num] != kindNone:
			out = append(out, f.all[:len(f.all)-len(f.value)]...) // as long as the new length, or longer
			at := len(out)
			out = shorten(out, f.value, s.nested[f.num], level)
			out = setLength(out, at, at-(len(f.all)-len(f.value)-len(f.header)))
		default:
			out = append(out, f.all...)
		}
	}
	return append(out, msg...)
}

// appendCut appends a field with the first n bytes of its value.
func appendCut(out []byte, f field, n int) []byte {
	out = append(out, f.header...)
	out = appendVarint(out, uint64(n))
	return append(out, f.value[:n]...)
}

// setLength writes the length of what begins at out[at] to out[prefix:at], and moves it if that is
// too long.
func setLength(out []byte, at, prefix int) []byte {
	n := len(out) - at
	var length [binary.MaxVarintLen64]byte
	size := binary.PutUvarint(length[:], uint64(n))
	copy(out[prefix+size:], out[at:])
	copy(out[prefix:], length[:size])
	return out[:prefix+size+n]
}

// leaveOut returns msg with at most room bytes and the counts of what it has left out. A field stays
// if there is room for it beside those before it, so that one long list takes no others away.
func leaveOut(msg []byte, l *layout, room int) []byte {
	for rest := msg; len(rest) > 0; {
		var f field
		f, rest = nextField(rest)
		if l.optional>>f.num&1 == 0 && l.dropped[f.num] == 0 && l.counts>>f.num&1 == 0 {
			room -= len(f.all)
		}
	}
	var counts [spanFlags + 1]int
	out := msg[:0]
	for len(msg) > 0 {
		var f field
		f, msg = nextField(msg)
		mayGo := l.optional>>f.num&1 != 0 || l.dropped[f.num] != 0
		switch {
		case l.counts>>f.num&1 != 0:
			n, _ := protowire.ConsumeVarint(f.all[len(f.header):])
			counts[f.num] += int(n)
		case !mayGo:
			out = append(out, f.all...)
		case len(f.all) <= room:
			room -= len(f.all)
			out = append(out, f.all...)
		case l.dropped[f.num] != 0:
			counts[l.dropped[f.num]]++
		case l.kind == kindLog:
			before := len(out)
			out = appendBody(out, f, room)
			room -= len(out) - before
		}
	}
	for num, n := range counts {
		out = appendCount(out, protowire.Number(num), n)
	}
	return out
}

// appendBody appends the body of a log record, which is a list or a map, with as many entries from
// its beginning as there is room for.
func appendBody(out []byte, body field, room int) []byte {
	list, _ := nextField(body.value)
	room -= len(body.all) - len(list.value) // the tags and lengths around
	kept := 0
	for rest := list.value; len(rest) > 0; {
		var f field
		f, rest = nextField(rest)
		if kept+len(f.all) > room {
			break
		}
		kept += len(f.all)
	}
	out = append(out, body.header...)
	out = appendVarint(out, uint64(len(list.header)+protowire.SizeVarint(uint64(kept))+kept))
	return appendCut(out, list, kept)
}

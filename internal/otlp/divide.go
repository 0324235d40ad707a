package otlp

import (
	"bytes"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// divider writes data points into as many ExportMetricsServiceRequest messages as
// their bound makes necessary. A point lies in four messages: ResourceMetrics,
// ScopeMetrics, Metric and the one of its kind, such as Sum. They are begun in a
// request with the first point that lies in them, and again in the next request if
// more of their points follow there.
type divider struct {
	max    int // bytes of a request; 0: no bound
	emit   func(request []byte, points int64)
	levels [4]level
	open   int    // so many levels are begun in b and not ended
	b      []byte // the request so far
	points int64  // in b
	point  []byte // one data point, before it is known which request it goes to
}

// level is one of the messages that a data point lies in.
type level struct {
	num   protowire.Number // in the message outside
	head  []byte           // its fields apart from the points
	start int              // of its content in b
}

// enter ends the levels from i on and begins another message at level i: the field
// num of the level outside. The caller appends to its head.
func (d *divider) enter(i int, num protowire.Number) *level {
	d.end(i)
	l := &d.levels[i]
	l.num, l.head = num, l.head[:0]
	return l
}

// add adds an encoded field to the message at the level depth-1, with the number of
// data points that it holds: to this request if there is room for it, else to a new
// one. An empty field makes sure that the message itself is sent.
func (d *divider) add(depth int, field []byte, points int64) {
	if len(d.b) > 0 && d.max > 0 {
		if n := d.size(depth, len(field)); n > d.max && n > d.bound(depth) {
			d.flush()
		}
	}
	for ; d.open < depth; d.open++ {
		l := &d.levels[d.open]
		d.b, l.start = openMessage(d.b, l.num)
		d.b = append(d.b, l.head...)
	}
	d.b = append(d.b, field...)
	d.points += points
}

// size returns the length of the request if n bytes more are added to the message at
// the level depth-1 and everything is ended.
func (d *divider) size(depth, n int) int {
	for i := depth - 1; i >= 0; i-- {
		l := &d.levels[i]
		if i < d.open { // one byte of its length is written already
			n += protowire.SizeVarint(uint64(len(d.b)-l.start+n)) - 1
		} else {
			content := len(l.head) + n
			n = protowire.SizeTag(l.num) + protowire.SizeVarint(uint64(content)) + content
		}
	}
	return len(d.b) + n
}

// bound returns how long a request may be. What a request must repeat does not count
// if it is longer than max by itself, such as a description of a megabyte: each
// point would become a request of that length otherwise.
func (d *divider) bound(depth int) int {
	heads := divider{levels: d.levels}
	if n := heads.size(depth, 0); n >= d.max {
		return d.max + n
	}
	return d.max
}

// reserve makes room for n more bytes, as far as they go to this request.
func (d *divider) reserve(n int) {
	if d.max > 0 {
		n = min(n, d.max-len(d.b))
	}
	d.b = slices.Grow(d.b, max(n, 0))
}

// end ends the levels from i on.
func (d *divider) end(i int) {
	for d.open > i {
		d.open--
		d.b = closeMessage(d.b, d.levels[d.open].start)
	}
}

// flush ends the request and hands it over.
func (d *divider) flush() {
	d.end(0)
	if len(d.b) > 0 {
		d.emit(bytes.Clone(d.b), d.points)
	}
	d.b, d.points = d.b[:0], 0
}

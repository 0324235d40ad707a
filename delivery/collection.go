package delivery

import (
	"slices"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// collection is encoded items in the order in which they came. All of them are in one
// buffer, whatever their scopes, so that many scopes take no more memory than one.
type collection struct {
	buf       []byte // of each item, field 2 of its scope
	entries   []entry
	resources []collectedResource
	scopes    []collectedScope
	size      int // at least that of the body
	since     time.Time
}

type entry struct {
	end   int // in buf
	scope int // its number
}

type collectedResource struct {
	*encodedResource
	size int // of what is to be in the message
}

type collectedScope struct {
	*scope
	resource int // its number
	size     int // of the items
	at       int // where the next item goes in the body
}

// reset empties a collection, whose memory is used again. It reports false if that is
// much more than was needed, so that a burst does not keep its memory for ever.
func (c *collection) reset() bool {
	worth := cap(c.buf) <= minKept || len(c.buf) >= cap(c.buf)/4
	clear(c.resources)
	clear(c.scopes)
	*c = collection{buf: c.buf[:0], entries: c.entries[:0], resources: c.resources[:0], scopes: c.scopes[:0]}
	return worth
}

const minKept = 64 << 10

func (c *collection) items() int { return len(c.entries) }

// messageHead bounds the tag and the length of a message.
const messageHead = 1 + 5

// size returns what an item adds to a body at most.
func (sc *scope) size(item []byte) int { return messageHead + len(item) }

// add copies an item into the collection and returns by how much that has grown.
func (c *collection) add(sc *scope, item []byte) int {
	before := c.size
	at := c.scopeNumber(sc)
	length := len(c.buf)
	c.buf = append(c.buf, fieldItem<<3|byte(protowire.BytesType))
	c.buf = protowire.AppendBytes(c.buf, item)
	c.entries = append(c.entries, entry{len(c.buf), at})
	c.scopes[at].size += len(c.buf) - length
	c.size += len(c.buf) - length
	return c.size - before
}

// scopeNumber returns the number of a scope in the collection. The last ones are the
// most likely.
func (c *collection) scopeNumber(sc *scope) int {
	for i, have := range slices.Backward(c.scopes) {
		if have.scope == sc {
			return i
		}
	}
	r := len(c.resources) - 1
	for r >= 0 && c.resources[r].encodedResource != sc.resource {
		r--
	}
	if r < 0 {
		r = len(c.resources)
		c.resources = append(c.resources, collectedResource{encodedResource: sc.resource})
		c.size += messageHead + len(sc.resource.header)
	}
	c.scopes = append(c.scopes, collectedScope{scope: sc, resource: r})
	c.size += messageHead + len(sc.header)
	return len(c.scopes) - 1
}

// body returns the export request, in memory of just its size.
func (c *collection) body() []byte {
	for i := range c.resources {
		c.resources[i].size = len(c.resources[i].header)
	}
	for _, sc := range c.scopes {
		c.resources[sc.resource].size += 1 + protowire.SizeBytes(len(sc.header)+sc.size)
	}
	total := 0
	for _, r := range c.resources {
		total += 1 + protowire.SizeBytes(r.size)
	}
	b := make([]byte, 0, total)
	for i, r := range c.resources {
		b = append(b, fieldResource<<3|byte(protowire.BytesType))
		b = protowire.AppendVarint(b, uint64(r.size)) //nolint:gosec // a size
		b = append(b, r.header...)
		for j := range c.scopes {
			sc := &c.scopes[j]
			if sc.resource != i {
				continue
			}
			b = append(b, fieldScope<<3|byte(protowire.BytesType))
			b = protowire.AppendVarint(b, uint64(len(sc.header)+sc.size)) //nolint:gosec // a size
			b = append(b, sc.header...)
			sc.at = len(b)
			b = b[:len(b)+sc.size]
		}
	}
	from := 0
	for _, e := range c.entries {
		sc := &c.scopes[e.scope]
		sc.at += copy(b[sc.at:], c.buf[from:e.end])
		from = e.end
	}
	return b
}

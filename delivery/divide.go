package delivery

import (
	"encoding/hex"
	"fmt"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/clewtrace/clew/internal/plaintext"
)

// A refused request of several items is divided until the item that the server does not
// take stands alone. A server that takes nothing would cost two requests for each item.
// Therefore a destination, which is that of one processor or exporter, has a number of
// divisions that each delivered request adds to, and few besides: a server that takes
// nothing gets whole batches most of the time.
const (
	divisionsPerDelivery = 32
	maxDivisions         = 4096 // enough to divide a batch of 2,048 items into single ones
	// While nothing is delivered, so many divisions are allowed in each interval. They
	// are enough to find out whether the server takes any single item of a batch.
	freeDivisions    = 32
	divisionInterval = time.Minute
)

// earnDivisions is called when the server has taken a request.
func (d *destination) earnDivisions() {
	d.divisions = min(d.divisions+divisionsPerDelivery, maxDivisions)
}

// mayDivide reports whether a refused request is divided rather than dropped.
func (d *destination) mayDivide(now time.Time) bool {
	if d.divisions == 0 && !now.Before(d.nextDivisions) {
		d.divisions, d.nextDivisions = freeDivisions, now.Add(divisionInterval)
	}
	if d.divisions == 0 {
		return false
	}
	d.divisions--
	return true
}

// alone makes the requests of a group be sent one by one.
func alone(group []*request) []*request {
	for _, r := range group {
		r.solo = true
	}
	return group
}

// halve divides the items of a group into two requests. It returns nil if there is
// nothing to divide, or if the server refuses too much to be worth it.
func (t *Transport) halve(group []*request) []*request {
	first := group[0]
	if !isProtobuf(first.contentType) {
		return nil
	}
	raw, err := join(group)
	if err != nil {
		return nil
	}
	a, b, ok := splitRequest(raw)
	if !ok {
		return nil
	}
	t.mu.Lock()
	may := first.dest.mayDivide(time.Now())
	t.mu.Unlock()
	if !may {
		return nil
	}
	var halves []*request
	for _, raw := range [][]byte{a, b} {
		half := &request{
			seq: first.seq, dest: first.dest, contentType: first.contentType, wireGzip: first.wireGzip, accepted: first.accepted,
			body: raw, rawSize: len(raw), solo: true, recovered: first.recovered,
			items: countItems(first.dest.signal, first.contentType, raw),
		}
		if first.packed {
			if body, err := deflate(raw); err == nil {
				half.body, half.packed = body, true
			}
		}
		t.addToSpool(first.dest.signal, half)
		halves = append(halves, half)
	}
	return halves
}

// maxName bounds in bytes how much of the name of a dropped item is repeated.
const maxName = 100

// name adds to an error what the request holds, if it is one item.
func (r *request) name(err error) error {
	raw, joinErr := join([]*request{r})
	if joinErr != nil || !isProtobuf(r.contentType) {
		return err
	}
	var items [][]byte
	eachMessage(raw, fieldResource, func(resource []byte) {
		eachMessage(resource, fieldScope, func(scope []byte) {
			eachMessage(scope, fieldItem, func(item []byte) { items = append(items, item) })
		})
	})
	if len(items) != 1 {
		return err
	}
	return fmt.Errorf("%s: %w", describe(r.dest.signal, items[0]), err)
}

// describe names an encoded item: a span by its name and trace id, a metric by its name,
// a log record by the start of its body.
func describe(s Signal, item []byte) string {
	field := func(msg []byte, num protowire.Number) (value []byte) {
		eachMessage(msg, num, func(v []byte) { value = v })
		return value
	}
	quote := func(b []byte) string {
		return `"` + plaintext.Line(string(b[:min(len(b), 4*maxName)]), maxName) + `"`
	}
	switch s {
	case Traces: // Span: trace_id = 1, name = 5
		id := field(item, 1)
		return "span " + quote(field(item, 5)) + " of trace " + hex.EncodeToString(id[:min(len(id), 16)])
	case Metrics: // Metric: name = 1
		return "metric " + quote(field(item, 1))
	default: // LogRecord: body = 5, AnyValue: string_value = 1
		return "log record " + quote(field(field(item, 5), 1))
	}
}

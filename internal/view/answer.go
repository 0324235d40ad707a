package view

import (
	"bufio"
	"encoding/json"
	"errors"
	"iter"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/clewtrace/clew/internal/otlpjson"
	"github.com/clewtrace/clew/internal/otlpreceiver"
)

// The memory of an answer is taken from a budget while the answer is made and written:
// a search or a trace is as large as what was received, and anybody can ask for many at
// the same time. Lists are written one element at a time.
const (
	costOfAnswer = 256 << 10 // buffers, the names of services, a goroutine
	costOfRow    = 640       // of a span in the tree, and in the waterfall
	costOfEvent  = 16        // of an event in the waterfall
	costOfCall   = 64        // of a span in a sum of calls
	costOfNode   = 400       // of a span in a tree, a service or an operation
	costOfLog    = 64        // of a log record in a list
	// expansion is how much larger a span is as JSON, including the buffer in which it
	// is made: a control character takes six bytes, and a buffer doubles when it grows.
	expansion    = 14
	answerBuffer = 32 << 10
	// minBudget is the smallest budget, which answers from a small ring have.
	minBudget = 8 << 20
	// writing bounds the time that a page may take to read an answer.
	writing = 30 * time.Second
)

// begin takes the memory of an answer from the budget. It returns nil if it has
// answered with an error. The caller releases what it returns.
func (h *handler) begin(w http.ResponseWriter, r *http.Request, cost int64) *otlpreceiver.Hold {
	hold := h.budget.Hold()
	err := hold.Add(r.Context(), costOfAnswer+cost)
	switch {
	case err == nil:
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writing)) // a recorder has none
		return hold
	case errors.Is(err, otlpreceiver.ErrBusy) || r.Context().Err() != nil:
		http.Error(w, "too many requests at the same time", http.StatusServiceUnavailable)
	default:
		http.Error(w, "this is too large to show; start clew view with a larger -memory to see it", http.StatusInsufficientStorage)
	}
	return nil
}

// costOfTraces is the cost of a list of traces.
func (r *Ring) costOfTraces(listed int64) int64 {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return int64(len(r.traces))*pointer + listed*(maxServices*header+costOfNode)
}

// costOfTrace is the cost of the waterfall of a trace.
func (t *stored) costOfTrace() int64 {
	n := int64(len(t.spans)) * costOfRow
	for _, s := range t.spans {
		n += int64(len(s.GetEvents())) * costOfEvent
	}
	return n + t.costOfLogs()
}

func (t *stored) costOfLogs() (n int64) {
	for _, l := range t.logs {
		n = max(n, sizeOfLog(l))
	}
	return n*expansion + int64(len(t.logs))*costOfLog
}

// costOfSums is the cost of the sums over all traces.
func (r *Ring) costOfSums() int64 {
	largest, spans := 0, 0
	r.each(func(t *stored) bool {
		largest, spans = max(largest, len(t.spans)), spans+len(t.spans)
		return true
	})
	return int64(spans)*costOfCall + int64(largest+2*min(spans, maxRows))*costOfNode
}

// list is a member of a JSON object that is written element by element.
type list struct {
	name  string
	items iter.Seq[any]
	last  string // the bracket that closes it
}

// colourList returns an object that has a number for each service.
func (r *Ring) colourList() list {
	numbers := r.serviceColours()
	return list{"colours", func(yield func(any) bool) {
		for _, service := range slices.Sorted(maps.Keys(numbers)) {
			name, err := json.Marshal(service)
			if err != nil || !yield(json.RawMessage(string(name)+":"+strconv.Itoa(numbers[service]))) {
				return
			}
		}
	}, "}"}
}

func listOf[T any](name string, items iter.Seq[T]) list {
	return list{name, func(yield func(any) bool) {
		for item := range items {
			if !yield(item) {
				return
			}
		}
	}, "]"}
}

func logList(name string, logs []otlpreceiver.Log, start int64) list {
	return listOf(name, func(yield func(LogLine) bool) {
		for _, l := range logs {
			if !yield(logLine(l, start)) {
				return
			}
		}
	})
}

// writeJSON writes the object head with lists as further members.
func writeJSON(w http.ResponseWriter, head any, lists ...list) {
	b, err := json.Marshal(head)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	out := bufio.NewWriterSize(w, answerBuffer)
	out.Write(b[:len(b)-1]) //nolint:errcheck // Flush returns it
	comma := len(b) > len("{}")
	for _, l := range lists {
		if comma {
			out.WriteByte(',') //nolint:errcheck // as above
		}
		comma = true
		writeList(out, l)
	}
	out.WriteByte('}') //nolint:errcheck // as above
	out.Flush()        //nolint:errcheck // the page is gone
}

// writeList writes a list. It ends early if the page is gone, because nobody reads the
// rest then.
func writeList(out *bufio.Writer, l list) {
	open := `":[`
	if l.last == "}" {
		open = `":{`
	}
	out.WriteString(`"` + l.name + open) //nolint:errcheck // writeJSON's Flush returns it
	first := true
	for item := range l.items {
		b, isRaw := item.(json.RawMessage)
		var err error
		if !isRaw {
			b, err = json.Marshal(item)
		}
		if err != nil {
			continue
		}
		if !first {
			out.WriteByte(',') //nolint:errcheck // as above
		}
		first = false
		if _, err := out.Write(b); err != nil {
			return
		}
	}
	out.WriteString(l.last) //nolint:errcheck // as above
}

// group has the items of a trace that share a resource and a scope.
type group struct {
	otlpreceiver.Origin
	items []proto.Message
}

func groups[T any](items []T, split func(T) (otlpreceiver.Origin, proto.Message)) []*group {
	var all []*group
	byOrigin := map[otlpreceiver.Origin]*group{}
	for _, item := range items {
		origin, msg := split(item)
		g := byOrigin[origin]
		if g == nil {
			g = &group{Origin: origin}
			byOrigin[origin] = g
			all = append(all, g)
		}
		g.items = append(g.items, msg)
	}
	return all
}

// names are the names of the lists in a request of the JSON encoding of OTLP.
type names struct{ resources, scopes, items string }

// writeRequest writes a request. Items that shared a resource and a scope when they
// were received share them again.
func writeRequest(out *bufio.Writer, n names, all []*group) {
	write := func(parts ...string) {
		for _, p := range parts {
			out.WriteString(p) //nolint:errcheck // the caller's Flush returns it
		}
	}
	member := func(name string, msg proto.Message) {
		if b, err := otlpjson.Marshal(msg); err == nil && msg.ProtoReflect().IsValid() {
			write(`"`, name, `":`, string(b), ",")
		}
	}
	write(`{"`, n.resources, `":[`)
	for i, g := range all {
		if i > 0 {
			write(",")
		}
		write("{")
		member("resource", g.Resource)
		write(`"`, n.scopes, `":[{`)
		member("scope", g.Scope)
		write(`"`, n.items, `":`)
		comma := "["
		for _, item := range g.items {
			b, err := otlpjson.Marshal(item)
			if err != nil {
				continue
			}
			write(comma)
			comma = ","
			if _, err := out.Write(b); err != nil {
				return // the page is gone
			}
		}
		if comma == "[" {
			write(comma)
		}
		write("]}]}")
	}
	write("]}")
}

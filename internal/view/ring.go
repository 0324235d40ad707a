package view

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	logspb "go.opentelemetry.io/proto/otlp/logs/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/clewtrace/clew/internal/otlpreceiver"
)

// TraceID is the 16 bytes that all spans of a trace share.
type TraceID [16]byte

type spanID [8]byte

// Ring keeps traces up to a number of bytes. It implements
// [otlpreceiver.Sink]; its methods are safe for concurrent use.
type Ring struct {
	limit   int64 // bytes in all
	share   int64 // bytes of one trace
	maxItem int64 // bytes of one span or log record, with its resource and scope

	mu       sync.RWMutex
	traces   map[TraceID]*stored
	order    []*stored // by arrival; the ones before head are evicted
	head     int
	bytes    int64
	sequence uint64
	stats    Stats
	colours  map[string]int
	watchers map[chan struct{}]struct{}
}

// stored has what was received of one trace. Its slices are only appended to, so a copy
// made under the lock can be read without it.
type stored struct {
	id       TraceID
	sequence uint64 // in order of arrival
	version  uint64 // the ring's sequence at the last change
	bytes    int64
	spans    []otlpreceiver.Span
	logs     []otlpreceiver.Log
	seen     map[spanID]struct{}
	origins  map[otlpreceiver.Origin]int64 // with their bytes
	dropped  int64                         // spans and records that were too large or exceeded the share
}

// Stats says what a [Ring] holds and what became of the rest.
type Stats struct {
	Traces     int   `json:"traces"`     // held, with at least one span or log record
	Spans      int64 `json:"spans"`      // held
	Bytes      int64 `json:"bytes"`      // held, estimated
	Limit      int64 `json:"limit"`      // most bytes held
	Received   int64 `json:"received"`   // spans since the start, without duplicates
	Evicted    int64 `json:"evicted"`    // traces that made room for newer ones
	Dropped    int64 `json:"dropped"`    // spans and log records of traces beyond their share
	Duplicates int64 `json:"duplicates"` // spans received again
}

const (
	// MinBytes is the smallest limit a [Ring] can have.
	MinBytes = 1 << 20
	// minItem is the size that a span may always have, however small the ring is.
	minItem = 64 << 10
	// maxName bounds the name of a span, and maxService the name of a service. Longer
	// names are cut, because they make up most of the lists of many spans.
	maxName    = 1 << 10
	maxService = 256
)

// NewRing returns an empty ring. It holds at most limit bytes, but never less than
// [MinBytes]; all memory that the spans keep alive counts. One trace may take half of
// that, and one span a hundredth. Spans that are larger, and spans of a trace that has
// taken its half, are dropped and counted.
func NewRing(limit int64) *Ring {
	limit = max(limit, MinBytes)
	return &Ring{
		limit: limit, share: limit / 2, maxItem: max(limit/100, minItem),
		traces: map[TraceID]*stored{}, colours: map[string]int{}, watchers: map[chan struct{}]struct{}{},
	}
}

// AddTraces implements [otlpreceiver.Sink]. It leaves out spans whose id is known
// already, because exporters send again what was not acknowledged, and spans whose ids
// have the wrong length.
func (r *Ring) AddTraces(req *tracepb.TracesData) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, resource := range req.GetResourceSpans() {
		for _, scope := range resource.GetScopeSpans() {
			origin := otlpreceiver.Origin{Resource: resource.GetResource(), Scope: scope.GetScope()}
			for _, span := range scope.GetSpans() {
				r.addSpan(otlpreceiver.Span{Origin: origin, Span: span})
			}
		}
	}
	r.changed()
}

func (r *Ring) addSpan(s otlpreceiver.Span) {
	if len(s.GetTraceId()) != len(TraceID{}) || len(s.GetSpanId()) != len(spanID{}) {
		return
	}
	t := r.trace(TraceID(s.GetTraceId()))
	id := spanID(s.GetSpanId())
	if _, known := t.seen[id]; known {
		r.stats.Duplicates++
		return
	}
	cut(&s.Name, maxName)
	if r.grow(t, s.Origin, sizeOfSpan(s)) {
		t.seen[id] = struct{}{}
		t.spans = append(t.spans, s)
		r.stats.Spans++
		r.stats.Received++
		r.colour(s.Service())
	}
}

// AddLogs implements [otlpreceiver.Sink]. It leaves out records outside any trace,
// because the page has no place for them.
func (r *Ring) AddLogs(req *logspb.LogsData) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, resource := range req.GetResourceLogs() {
		for _, scope := range resource.GetScopeLogs() {
			origin := otlpreceiver.Origin{Resource: resource.GetResource(), Scope: scope.GetScope()}
			for _, record := range scope.GetLogRecords() {
				if len(record.GetTraceId()) != len(TraceID{}) || TraceID(record.GetTraceId()) == (TraceID{}) {
					continue
				}
				t := r.trace(TraceID(record.GetTraceId()))
				l := otlpreceiver.Log{Origin: origin, LogRecord: record}
				if r.grow(t, origin, sizeOfLog(l)) {
					t.logs = append(t.logs, l)
				}
			}
		}
	}
	r.changed()
}

// AddMetrics implements [otlpreceiver.Sink]. It does nothing, because the page shows no
// metrics.
func (r *Ring) AddMetrics(*metricspb.MetricsData) {}

// trace returns the trace with the given id. It adds a trace if there is none.
func (r *Ring) trace(id TraceID) *stored {
	r.sequence++
	t := r.traces[id]
	if t == nil {
		t = &stored{id: id, sequence: r.sequence, bytes: sizeOfTrace, seen: map[spanID]struct{}{}, origins: map[otlpreceiver.Origin]int64{}}
		r.traces[id] = t
		r.order = append(r.order, t)
		r.bytes += t.bytes
	}
	t.version = r.sequence
	return t
}

// grow makes room for a span or log record of a trace. It returns false if that is too
// large, or if the trace has already taken its share.
func (r *Ring) grow(t *stored, o otlpreceiver.Origin, size int64) bool {
	origin, known := t.origins[o]
	if !known {
		cutService(o)
		origin = sizeOfOrigin(o)
	}
	defer r.makeRoom(t)
	added := size
	if !known {
		added += origin
	}
	if size+origin > r.maxItem || t.bytes+added > r.share {
		t.dropped++
		r.stats.Dropped++
		return false
	}
	t.origins[o] = origin
	t.bytes += added
	r.bytes += added
	return true
}

// cut replaces a name that is too long by its beginning. It copies that, so that the
// long name is not kept in memory.
func cut(name *string, maxLen int) {
	if len(*name) > maxLen {
		*name = strings.ToValidUTF8(strings.Clone((*name)[:maxLen-len("…")]), "") + "…"
	}
}

func cutService(o otlpreceiver.Origin) {
	if v, ok := otlpreceiver.Attribute(o.Resource.GetAttributes(), "service.name").GetValue().(*commonpb.AnyValue_StringValue); ok {
		cut(&v.StringValue, maxService)
	}
}

// makeRoom evicts the oldest traces except t.
func (r *Ring) makeRoom(t *stored) {
	for i := r.head; r.bytes > r.limit && i < len(r.order); i++ {
		if old := r.order[i]; old != t && old != nil {
			r.evict(i)
		}
	}
	r.compact()
}

func (r *Ring) evict(i int) {
	t := r.order[i]
	r.order[i] = nil
	delete(r.traces, t.id)
	r.bytes -= t.bytes
	r.stats.Spans -= int64(len(t.spans))
	r.stats.Evicted++
}

// compact moves the elements of order to its front once half of them are gone.
func (r *Ring) compact() {
	for r.head < len(r.order) && r.order[r.head] == nil {
		r.head++
	}
	if r.head > 64 && r.head > len(r.order)/2 {
		r.order = slices.Clone(r.order[r.head:])
		r.head = 0
	}
}

// Stats returns what the ring holds.
func (r *Ring) Stats() Stats {
	r.mu.RLock()
	defer r.mu.RUnlock()
	s := r.stats
	s.Traces, s.Bytes, s.Limit = len(r.traces), r.bytes, r.limit
	return s
}

// coloured bounds the number of services whose colour is remembered.
const coloured = 1024

// colour returns a number for a service. Services are numbered in order of arrival, so
// that the first ones have different colours.
func (r *Ring) colour(service string) int {
	n, ok := r.colours[service]
	if !ok {
		n = len(r.colours)
		if n < coloured {
			r.colours[service] = n
		}
	}
	return n
}

// Watch returns a channel that receives after each change. Changes that come faster
// than the channel is read count as one. stop ends it.
func (r *Ring) Watch() (changes <-chan struct{}, stop func()) {
	c := make(chan struct{}, 1)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.watchers[c] = struct{}{}
	return c, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.watchers, c)
	}
}

func (r *Ring) changed() {
	for c := range r.watchers {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// each calls visit with copies of the traces that have spans, the newest first, until
// it returns false. It copies one trace at a time because there can be very many.
func (r *Ring) each(visit func(*stored) bool) {
	r.mu.RLock()
	traces := make([]*stored, 0, len(r.traces))
	for _, t := range slices.Backward(r.order[r.head:]) {
		if t != nil && len(t.spans) > 0 {
			traces = append(traces, t)
		}
	}
	r.mu.RUnlock()
	for _, t := range traces {
		r.mu.RLock()
		st := *t
		r.mu.RUnlock()
		if !visit(&st) {
			return
		}
	}
}

// get returns a copy of the trace with the given id.
func (r *Ring) get(id TraceID) (stored, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	t := r.traces[id]
	if t == nil {
		return stored{}, false
	}
	return *t, true
}

// serviceColours returns the colour numbers of all services.
func (r *Ring) serviceColours() map[string]int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return maps.Clone(r.colours)
}

// logsOf returns the log records of a span in order of time. For the zero id it returns
// the records that belong to no span.
func (t *stored) logsOf(id spanID) []otlpreceiver.Log {
	var logs []otlpreceiver.Log
	for _, l := range t.logs {
		if logSpan(l) == id {
			logs = append(logs, l)
		}
	}
	slices.SortStableFunc(logs, func(a, b otlpreceiver.Log) int { return cmp.Compare(logTime(a), logTime(b)) })
	return logs
}

func logSpan(l otlpreceiver.Log) (id spanID) {
	copy(id[:], l.GetSpanId())
	return id
}

// logTime returns the time of the event, or the time when it was observed if the former
// is not known.
func logTime(l otlpreceiver.Log) uint64 {
	if t := l.GetTimeUnixNano(); t != 0 {
		return t
	}
	return l.GetObservedTimeUnixNano()
}

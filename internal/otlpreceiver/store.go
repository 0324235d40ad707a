package otlpreceiver

import (
	"net/http"
	"slices"
	"sync"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	logspb "go.opentelemetry.io/proto/otlp/logs/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
)

// Store keeps everything that was received. The zero value is empty and ready to use.
// Its methods are safe for concurrent use.
type Store struct {
	mu      sync.Mutex
	spans   []Span
	logs    []Log
	metrics []Metric
}

// Handler serves OTLP/HTTP into s.
func (s *Store) Handler() http.Handler { return Handler(s) }

// Origin is where a span, a log record or a metric comes from.
type Origin struct {
	Resource *resourcepb.Resource
	Scope    *commonpb.InstrumentationScope
}

// Service is the resource's service.name.
func (o Origin) Service() string {
	return Attribute(o.Resource.GetAttributes(), "service.name").GetStringValue()
}

// Span is a span with its origin.
type Span struct {
	Origin
	*tracepb.Span
}

// Log is a log record with its origin.
type Log struct {
	Origin
	*logspb.LogRecord
}

// Metric is a metric with its origin.
type Metric struct {
	Origin
	*metricspb.Metric
}

// Attribute returns the value of the attribute named key, or nil.
func Attribute(attrs []*commonpb.KeyValue, key string) *commonpb.AnyValue {
	for _, a := range attrs {
		if a.GetKey() == key {
			return a.GetValue()
		}
	}
	return nil
}

// Spans returns the spans received so far, in order of arrival.
func (s *Store) Spans() []Span {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.spans)
}

// Logs returns the log records received so far, in order of arrival.
func (s *Store) Logs() []Log {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.logs)
}

// Metrics returns the metrics received so far, in order of arrival.
func (s *Store) Metrics() []Metric {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.metrics)
}

// AddTraces implements [Sink].
func (s *Store) AddTraces(req *tracepb.TracesData) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, resource := range req.GetResourceSpans() {
		for _, scope := range resource.GetScopeSpans() {
			for _, span := range scope.GetSpans() {
				s.spans = append(s.spans, Span{Origin{resource.GetResource(), scope.GetScope()}, span})
			}
		}
	}
}

// AddLogs implements [Sink].
func (s *Store) AddLogs(req *logspb.LogsData) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, resource := range req.GetResourceLogs() {
		for _, scope := range resource.GetScopeLogs() {
			for _, record := range scope.GetLogRecords() {
				s.logs = append(s.logs, Log{Origin{resource.GetResource(), scope.GetScope()}, record})
			}
		}
	}
}

// AddMetrics implements [Sink].
func (s *Store) AddMetrics(req *metricspb.MetricsData) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, resource := range req.GetResourceMetrics() {
		for _, scope := range resource.GetScopeMetrics() {
			for _, metric := range scope.GetMetrics() {
				s.metrics = append(s.metrics, Metric{Origin{resource.GetResource(), scope.GetScope()}, metric})
			}
		}
	}
}

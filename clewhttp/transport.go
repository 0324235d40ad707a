package clewhttp

import (
	"maps"
	"net/http"
	"sync"
	"time"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/internal/clientspan"
)

// Transport records a client span and the HTTP client metrics for each request
// that base sends, and passes the trace on. A nil base is what
// [http.DefaultTransport] is when Transport is called.
//
// The span is named by the method, ends when the response's body has been read
// or closed, and is an error from status 400 up. A request that has its span
// already, because transports are stacked, passes through.
//
// Header names go out in lower case, once each, as Trace Context Level 2,
// "Header Name", asks: some servers compare them case-sensitively.
//
// The result has the methods CloseIdleConnections and CancelRequest, and hands
// them on to base.
func Transport(base http.RoundTripper, opts ...TransportOption) http.RoundTripper {
	if base == nil {
		base = http.DefaultTransport
	}
	c := transportConfig{config: defaults()}
	for _, o := range opts {
		if o != nil {
			o.applyTransport(&c)
		}
	}
	if c.boundary != nil {
		base = c.boundary(base)
	}
	return &transport{
		transportConfig: c,
		base:            base,
		tracer:          newTracers(c.tracers),
		metrics:         newClientMetrics(c.meters),
	}
}

type transport struct {
	transportConfig
	base    http.RoundTripper
	tracer  *tracers
	metrics *clientMetrics

	mu    sync.Mutex // guards the list of calls
	calls *call
}

var kindClient = trace.WithSpanKind(trace.SpanKindClient)

func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL == nil || r.Header == nil || clientspan.Covered(r) {
		return t.base.RoundTrip(r)
	}
	c := &call{transport: t, request: r}
	if len(t.filters) > 0 && !t.traced(r) {
		c.ctx = r.Context()
		c.copyRequest()
	} else {
		c.start()
	}
	t.add(c)
	defer c.unwound()
	resp, err := t.base.RoundTrip(c.sent)
	c.returned = true
	if resp != nil && resp.Request == c.sent {
		resp.Request = r
	}
	if c.span != nil {
		c.answered(resp, err)
	}
	c.watchBody(resp, err)
	return resp, err
}

// start begins the span, and makes the request that is sent.
func (c *call) start() {
	t, r := c.transport, c.request
	c.method = knownMethod(r.Method)
	c.began = time.Now()
	c.host, c.port = serverOf(r.URL)
	given := scratches.Get().(*scratch)
	given.options = [...]trace.SpanStartOption{kindClient, trace.WithAttributes(c.startAttributes(given.attrs[:0])...)}
	c.ctx, c.span = t.tracer.get().Start(r.Context(), methodName(c.method), given.options[:]...)
	scratches.Put(given)
	c.recording = c.span.IsRecording()
	// The request is not changed, for it is the caller's, and it stays itself as
	// far as it can: body and trailers are the same ones.
	c.copyRequest()
	c.sent.Header = maps.Clone(r.Header)
	t.propagator().Inject(c.ctx, propagation.HeaderCarrier(c.sent.Header))
	lowerNames(c.sent.Header)
}

// copyRequest makes the request that is sent, inside the call.
func (c *call) copyRequest() {
	c.copied = *c.request.WithContext((*callContext)(c))
	c.sent = &c.copied
}

// lowerCased are the fields that the Recommendations ask senders to write in
// lower case: Trace Context Level 2, "Header Name"; Baggage, "Header Name".
var lowerCased = [...]struct{ canonical, lower string }{
	{"Traceparent", "traceparent"},
	{"Tracestate", "tracestate"},
	{"Baggage", "baggage"},
}

// lowerNames renames them. net/http writes names as they stand in the map.
func lowerNames(h http.Header) {
	for _, field := range lowerCased {
		if v, ok := h[field.canonical]; ok {
			delete(h, field.canonical)
			h[field.lower] = v
		}
	}
}

// CloseIdleConnections makes [http.Client.CloseIdleConnections] work.
func (t *transport) CloseIdleConnections() {
	if c, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// CancelRequest cancels a request of its caller's: base knows it by the copy
// that was sent.
func (t *transport) CancelRequest(r *http.Request) {
	base, ok := t.base.(interface{ CancelRequest(r *http.Request) })
	if !ok {
		return
	}
	sent := []*http.Request{r}
	t.mu.Lock()
	for c := t.calls; c != nil; c = c.next {
		if c.request == r {
			sent = append(sent, c.sent)
		}
	}
	t.mu.Unlock()
	for _, r := range sent {
		base.CancelRequest(r)
	}
}

func (t *transport) add(c *call) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c.next = t.calls
	if c.next != nil {
		c.next.previous = c
	}
	t.calls = c
}

func (t *transport) remove(c *call) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c.next != nil {
		c.next.previous = c.previous
	}
	if c.previous != nil {
		c.previous.next = c.next
	} else {
		t.calls = c.next
	}
	c.next, c.previous = nil, nil
}

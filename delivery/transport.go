package delivery

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/clewtrace/clew/delivery/internal/spool"
	"github.com/clewtrace/clew/internal/otlp"
)

// Transport takes telemetry from the processors and exporters that it makes, and
// delivers it in the background. Make one with [New], register a
// [Transport.SpanProcessor] and its siblings with the providers, and call Shutdown after
// the Shutdown of the providers. The zero value is that of New with the zero [Config], from
// its first use on. A Transport is safe for concurrent use, and must not be copied.
type Transport struct {
	begin sync.Once

	cfg    Config
	own    *http.Transport // set if Config.Base was not
	direct *route          // what [Transport.Client] uses
	report *reporter
	self   selfMetrics
	spool  *spool.Spool // nil without Config.SpoolDir

	ctx    context.Context // of every attempt; ended by Shutdown
	cancel context.CancelFunc
	wake   chan struct{} // capacity 1; receives when the dispatcher has to look again
	ended  chan struct{} // the dispatcher has returned
	sends  sync.WaitGroup

	mu       sync.Mutex
	stopping bool // Shutdown has begun
	closed   bool // nothing is accepted any more
	batches  []*batch
	flushing int // flushes in progress; while there are any, no request lingers
	seq      uint64
	dests    []*destination
	budget   budget
	sending  map[*request]struct{}
	accounts [numSignals]account
	senders  []Sender
	waiters  []*waiter     // of the flushes in progress
	failed   chan struct{} // closed and replaced when an attempt fails
}

// ErrShutdown is the error of a request that is made after Shutdown.
var ErrShutdown = errors.New("delivery: transport is shut down")

// New returns a running Transport. The error lists everything that is wrong with cfg,
// or says why the spool cannot be used. If another process uses the spool, the error
// names that process.
func New(cfg Config) (*Transport, error) {
	t := new(Transport)
	var err error
	t.begin.Do(func() { err = t.start(cfg) })
	if err != nil {
		return nil, err
	}
	return t, nil
}

// started makes a zero Transport work. Every method of Transport that is exported calls
// it first.
func (t *Transport) started() *Transport {
	t.begin.Do(func() { _ = t.start(Config{}) }) // in which nothing can be wrong
	return t
}

func (t *Transport) start(cfg Config) error {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return err
	}
	t.cfg = cfg
	t.report = newReporter(cfg.ErrorHandler)
	t.wake = make(chan struct{}, 1)
	t.ended = make(chan struct{})
	t.budget = budget{max: cfg.QueueSize, floor: cfg.SignalFloor}
	t.sending = make(map[*request]struct{})
	t.failed = make(chan struct{})
	if err := t.resume(); err != nil {
		return err
	}
	base := cfg.Base
	if base == nil {
		t.own = NewBase(nil)
		t.own.MaxIdleConnsPerHost = numSignals * cfg.Senders
		base = t.own
	}
	t.direct = newRoute(base, cfg.Timeout)
	t.ctx, t.cancel = context.WithCancel(context.Background())
	go t.dispatch()
	return nil
}

// Client returns the HTTP client for an exporter of a signal that is not of this package:
//
//	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithHTTPClient(t.Client(delivery.Traces)))
//	...
//	sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter, sdktrace.WithBlocking()))
//
// Each of its requests is answered at once. The batch processor may therefore block
// instead of dropping spans: an export takes no longer than the encoding. An exporter
// ignores its own TLS and proxy options once it is given a client. Set those in
// [Config].Base, or in the [Route] of [Transport.ClientVia], instead.
func (t *Transport) Client(s Signal) *http.Client {
	t.started()
	return &http.Client{Transport: exporterTransport{t: t, signal: s, via: t.direct}}
}

// Route says where the requests of one processor or exporter go, and how. The zero value
// sends them over HTTP to a collector on this machine, as [Config] says.
type Route struct {
	// URL is where requests go. Empty means the default of the specification,
	// http://localhost:4318/v1/traces and so on. For [Transport.ClientVia], it is the one
	// that the requests of the exporter will have: it lets the Transport send at once
	// what an earlier process left in the spool, and empty means to wait for the first
	// request. With a Sender, it is only what messages call the server.
	URL string

	// Header is sent with each request.
	Header http.Header

	// Base makes the requests. Nil means [Config].Base.
	Base http.RoundTripper

	// Timeout limits one attempt. Zero means [Config].Timeout, and a negative value no
	// limit.
	Timeout time.Duration

	// Gzip compresses what is sent. For [Transport.ClientVia], leave the compression of
	// the exporter off: this one takes much less CPU time, for somewhat larger requests,
	// and does not keep the batch processor waiting.
	Gzip bool

	// JSON sends requests as JSON. They wait as protobuf, which can be divided. It has no
	// effect on requests that come as JSON already.
	JSON bool

	// Sender sends the requests in place of HTTP. Nil means HTTP. Header, Base, Gzip and
	// JSON have no effect then. [Transport.Shutdown] closes it.
	Sender Sender
}

// ClientVia is [Transport.Client] for an exporter with a [Route] of its own. Two
// exporters that send the same signal to the same URL with different headers must each
// have one: all requests that wait for one URL and Route are sent with the headers of the
// last one.
func (t *Transport) ClientVia(s Signal, r Route) *http.Client {
	via := t.started().route(r)
	if r.URL != "" {
		t.mu.Lock()
		t.destination(s, via, r.URL, r.Header)
		t.mu.Unlock()
		t.wakeDispatcher()
	}
	return &http.Client{Transport: exporterTransport{t: t, signal: s, via: via}}
}

// register returns a destination of its own for a processor or an exporter, because
// another one for the same URL may have other headers.
func (t *Transport) register(s Signal, r Route) *destination {
	if r.URL == "" && r.Sender == nil {
		r.URL = "http://localhost:4318/v1/" + s.String()
	} else if r.URL == "" {
		r.URL = "unnamed"
	}
	header := r.Header.Clone()
	if header == nil {
		header = make(http.Header)
	}
	if header.Get("User-Agent") == "" {
		header.Set("User-Agent", otlp.UserAgent())
	}
	via := t.route(r)
	if via == t.direct {
		own := *via
		via = &own
	}
	t.mu.Lock()
	d := t.destination(s, via, r.URL, header)
	t.mu.Unlock()
	t.wakeDispatcher()
	return d
}

// route is a [Route] in which every default is filled in.
type route struct {
	// This is a client and not its RoundTripper, so that redirects are followed as they
	// are for an exporter without a Transport.
	client  *http.Client
	sender  Sender        // in place of client, if it is set
	timeout time.Duration // of one attempt; none if it is not positive
	gzip    bool
	json    bool
}

func newRoute(base http.RoundTripper, timeout time.Duration) *route {
	return &route{client: &http.Client{Transport: base, CheckRedirect: redirect}, timeout: timeout}
}

// route fills in the defaults of a Route. Shutdown closes its Sender, which is closed at
// once if that was before.
func (t *Transport) route(r Route) *route {
	if r.Base == nil && r.Timeout == 0 && !r.Gzip && !r.JSON && r.Sender == nil {
		return t.direct
	}
	base, timeout := r.Base, r.Timeout
	if base == nil {
		base = t.direct.client.Transport
	}
	if timeout == 0 {
		timeout = t.cfg.Timeout
	}
	via := newRoute(base, timeout)
	via.gzip, via.json, via.sender = r.Gzip, r.JSON, r.Sender
	if r.Sender == nil {
		return via
	}
	t.mu.Lock()
	ended := t.ctx.Err() != nil // so that Shutdown may not see it any more
	if !ended {
		t.senders = append(t.senders, r.Sender)
	}
	t.mu.Unlock()
	if ended {
		_ = r.Sender.Close() // nobody is left to tell
	}
	return via
}

// redirect follows 307 and 308 only: the others would turn the request into a GET
// without a body, whose 200 says nothing. Another origin gets what tells how to
// read the body and no other header, because headers hold credentials.
func redirect(req *http.Request, via []*http.Request) error {
	if req.Method != http.MethodPost || len(via) >= 10 {
		return http.ErrUseLastResponse
	}
	if !sameOrigin(req.URL, via[0].URL) {
		maps.DeleteFunc(req.Header, func(name string, _ []string) bool {
			return name != "Content-Type" && name != "Content-Encoding" && name != "User-Agent"
		})
	}
	return nil
}

// exporterTransport is the RoundTripper that one exporter is given.
type exporterTransport struct {
	t      *Transport
	signal Signal
	via    *route
}

func (e exporterTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	r, err := readRequest(e.signal, req)
	if err != nil {
		return nil, err
	}
	r.wireGzip = r.wireGzip || e.via.gzip && req.Header.Get("Content-Encoding") == ""
	e.t.mu.Lock()
	d := e.t.destination(e.signal, e.via, req.URL.String(), req.Header)
	e.t.mu.Unlock()
	if err := e.t.accept(d, r); err != nil {
		return nil, err
	}
	return accepted(req, r.contentType), nil
}

// accepted returns the answer of a server that took everything: status 200 and an empty
// message (OpenTelemetry Protocol Specification, "Full Success").
func accepted(req *http.Request, contentType string) *http.Response {
	body := ""
	if mediaType(contentType) == contentTypeJSON {
		body = "{}"
	}
	return &http.Response{
		Status:        "200 OK",
		StatusCode:    http.StatusOK,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        http.Header{"Content-Type": {contentType}},
		Body:          io.NopCloser(strings.NewReader(body)),
		ContentLength: int64(len(body)),
		Request:       req,
	}
}

func readRequest(s Signal, req *http.Request) (*request, error) {
	var buf bytes.Buffer
	if req.Body != nil {
		if req.ContentLength > 0 && req.ContentLength < maxInflated {
			buf.Grow(int(req.ContentLength) + bytes.MinRead)
		}
		_, err := buf.ReadFrom(req.Body)
		if err = errors.Join(err, req.Body.Close()); err != nil {
			return nil, fmt.Errorf("delivery: read request body: %w", err)
		}
	}
	r := &request{
		body:        buf.Bytes(),
		rawSize:     buf.Len(),
		contentType: req.Header.Get("Content-Type"),
		accepted:    time.Now(),
	}
	raw := r.body
	if req.Header.Get("Content-Encoding") == "gzip" {
		var err error
		if raw, err = inflate(r.body, 8*len(r.body)); err != nil {
			return nil, fmt.Errorf("delivery: request body is not the gzip it says it is: %w", err)
		}
		r.packed, r.wireGzip, r.rawSize = true, true, len(raw)
	}
	r.items = countItems(s, r.contentType, raw)
	return r, nil
}

// destination returns the destination of a request. It keeps the newest headers, so
// that a credential that the exporter renewed is also sent with the requests that
// already wait.
func (t *Transport) destination(s Signal, via *route, url string, header http.Header) *destination {
	var d *destination
	for _, have := range t.dests {
		if have.signal == s && (have.url == url && have.via == via || have.url == "") {
			if have.url == "" { // written only here, because attempts read it without the lock
				have.url, have.via = url, via
			}
			d = have
			break
		}
	}
	if d == nil {
		d = &destination{signal: s, url: url, via: via}
		t.dests = append(t.dests, d)
	}
	if !sameHeader(d.header, header) {
		d.header = make(http.Header, len(header))
		for name, values := range header {
			if !slices.Contains(requestHeader[:], name) {
				d.header[name] = slices.Clone(values)
			}
		}
	}
	return d
}

// requestHeader lists the header fields that describe the body of one request.
var requestHeader = [...]string{"Content-Type", "Content-Encoding", "Content-Length"}

func sameHeader(have, got http.Header) bool {
	n := 0
	for name, values := range got {
		if slices.Contains(requestHeader[:], name) {
			continue
		}
		n++
		if !slices.Equal(have[name], values) {
			return false
		}
	}
	return have != nil && n == len(have)
}

// wakeDispatcher makes the dispatcher look again.
func (t *Transport) wakeDispatcher() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// dispatch starts an attempt whenever a request is due and a sender is free.
func (t *Transport) dispatch() {
	defer close(t.ended)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-t.ctx.Done():
			return
		case <-t.wake:
		case <-timer.C:
		}
		now := time.Now()
		var next time.Time
		t.mu.Lock()
		for _, d := range t.dests {
			next = earlier(next, t.startSends(d, now))
		}
		t.mu.Unlock()
		next = earlier(next, t.handOverDue(now)) // what is handed over wakes this loop
		if next.IsZero() {
			timer.Stop()
		} else {
			timer.Reset(time.Until(next))
		}
	}
}

// handOverDue makes the processors hand over what is due and returns when to look again,
// or the zero time.
func (t *Transport) handOverDue(now time.Time) (next time.Time) {
	t.mu.Lock()
	batches := t.batches // only ever appended to
	t.mu.Unlock()
	for _, b := range batches {
		t.mu.Lock()
		behind := b.dest.waiting.len > 0
		t.mu.Unlock()
		ready, wake := b.due(now, behind)
		if ready {
			if told := b.handOver(); !told.empty() {
				t.sends.Go(func() { t.tell(told) }) // the handler must not hold up the dispatcher
			}
		}
		next = earlier(next, wake)
	}
	return next
}

// earlier returns the earlier of two times, of which zero means never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// startSends sends what is due at a destination and returns when to look
// again, or the zero time.
func (t *Transport) startSends(d *destination, now time.Time) time.Time {
	for {
		group, wake := d.next(now, &t.cfg, t.flushing > 0, t.maxInFlight(d))
		if len(group) == 0 || t.ctx.Err() != nil {
			d.waiting.insert(group...)
			return wake
		}
		d.sending++
		for _, r := range group {
			t.sending[r] = struct{}{}
			d.inFlight += r.items
		}
		url, header, round := d.url, maps.Clone(d.header), d.round
		t.sends.Go(func() {
			out := t.attempt(d.via, url, header, group)
			t.finish(d, round, group, out)
		})
	}
}

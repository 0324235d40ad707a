package delivery

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/clewtrace/clew/internal/otlp"
	"github.com/clewtrace/clew/internal/plaintext"
	"github.com/clewtrace/clew/internal/redact"
)

// Reasons for dropping telemetry, besides the status codes that forbid another attempt.
const (
	reasonQueueFull = "queue_full"
	reasonRejected  = "rejected"
	reasonCorrupt   = "corrupt"
	reasonShutdown  = "shutdown"
)

// maxAnswer bounds how much of an answer is read. Answers carry a short
// message at most.
const maxAnswer = 64 << 10

// attempt sends a group as one request and judges the answer.
func (t *Transport) attempt(via *route, to string, header http.Header, group []*request) outcome {
	first := group[0]
	signal := first.dest.signal
	body, contentType, err := via.assemble(group)
	if err != nil { // it is divided to find out what is corrupt
		if len(group) > 1 {
			return outcome{verdict: divide, reason: reasonCorrupt, parts: alone(group)}
		}
		if halves := t.halve(group); halves != nil {
			return outcome{verdict: divide, reason: reasonCorrupt, parts: halves}
		}
		return outcome{verdict: discard, reason: reasonCorrupt, err: first.name(err)}
	}
	ctx, cancel := via.bounded(t.ctx)
	defer cancel()
	start := time.Now()
	var out outcome
	if via.sender != nil {
		response, err := via.sender.Send(ctx, signal, body)
		out = judgeSent(response, via.explain(ctx, err))
	} else {
		out = via.post(ctx, to, header, contentType, first.wireGzip, body)
	}
	t.self.attempt(signal, time.Since(start), out.reason)
	if out.verdict == divide {
		if out.parts = t.halve(group); out.parts == nil {
			out.verdict = discard
			if len(group) == 1 {
				out.err = first.name(out.err)
			}
		}
	}
	return out
}

// post makes an HTTP request and judges the answer.
func (via *route) post(ctx context.Context, to string, header http.Header, contentType string, gzip bool, body []byte) outcome {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return outcome{verdict: discard, reason: "url", err: errors.New("the URL cannot be used")} // without err, which quotes the URL
	}
	if header != nil {
		req.Header = header
	}
	req.Header.Set("Content-Type", contentType)
	if gzip {
		req.Header.Set("Content-Encoding", "gzip")
	}
	resp, err := via.client.Do(req)
	if err != nil {
		if context.Cause(ctx) == errAttemptTimeout { //nolint:errorlint // the cause is this error itself
			// Whatever made this connection silent may have done so to the idle ones, and
			// each of those would take an attempt, too.
			via.client.CloseIdleConnections()
		}
		return unreachable(via.explain(ctx, err))
	}
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	_ = resp.Body.Close()
	hideSent(resp, answer)
	out := judge(resp, answer, err == nil)
	if err != nil && out.verdict != delivered {
		out.err = errors.Join(out.err, err)
	}
	return out
}

// sameOrigin compares scheme, host and port (RFC 6454, "Comparing Origins").
func sameOrigin(a, b *url.URL) bool {
	port := func(u *url.URL) string {
		return cmp.Or(u.Port(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
	}
	return a.Scheme == b.Scheme && strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

var errAttemptTimeout = errors.New("attempt timed out")

// bounded returns a context for one attempt.
func (via *route) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if via.timeout <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, via.timeout, errAttemptTimeout)
}

// explain returns the error of an attempt without the URL, which the caller adds, and
// says if the time was over.
func (via *route) explain(ctx context.Context, err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	if _, answered := errors.AsType[*SendError](err); err != nil && !answered && context.Cause(ctx) == errAttemptTimeout { //nolint:errorlint // the cause is this error itself
		return fmt.Errorf("no answer within %v: %w", via.timeout, errAttemptTimeout)
	}
	return plaintext.Error(redact.Error(err)) // a Location that cannot be read is quoted in it
}

// hideSent overwrites what an answer repeats of the secrets of its request.
func hideSent(resp *http.Response, answer []byte) {
	if len(answer) == 0 && resp.StatusCode == http.StatusOK || resp.Request == nil {
		return
	}
	sent := redact.SentIn(resp.Request.Header, resp.Request.URL)
	sent.Hide(answer)
	resp.Status = sent.Text(resp.Status)
	if media := resp.Header.Get("Content-Type"); media != "" {
		resp.Header.Set("Content-Type", sent.Text(media))
	}
}

// assemble returns the body to send and its content type: several requests are joined
// into one, which is transcoded into JSON if the route wants that, and compressed if the
// exporter was configured to compress. A Sender compresses by itself.
func (via *route) assemble(group []*request) (body []byte, contentType string, err error) {
	r := group[0]
	asJSON := via.json && isProtobuf(r.contentType)
	if len(group) == 1 && r.packed == r.wireGzip && !asJSON && via.sender == nil {
		return r.body, r.contentType, nil
	}
	body, err = join(group)
	switch {
	case err != nil:
	case via.sender != nil:
		if !isProtobuf(r.contentType) {
			err = errors.New("only protobuf can be sent")
		}
		return body, r.contentType, err
	case asJSON:
		r = &request{contentType: contentTypeJSON, wireGzip: r.wireGzip}
		if body, err = otlp.AppendJSON(nil, otlp.Request(group[0].dest.signal), body); err != nil {
			err = fmt.Errorf("cannot be made JSON: %w", err)
		}
	}
	if err == nil && r.wireGzip {
		body, err = deflate(body)
	}
	return body, r.contentType, err
}

// join returns the uncompressed bodies of a group as one message.
func join(group []*request) ([]byte, error) {
	var joined []byte
	for _, r := range group {
		part := r.body
		if r.packed {
			var err error
			if part, err = inflate(r.body, r.rawSize); err != nil {
				return nil, fmt.Errorf("stored request: %w", err)
			}
		}
		if len(group) == 1 {
			return part, nil
		}
		joined = append(joined, part...)
	}
	return joined, nil
}

// finish records the outcome of an attempt.
func (t *Transport) finish(d *destination, round int, group []*request, out outcome) {
	now := time.Now()
	var dropped []*DroppedError
	var outage error
	if out.verdict == delivered || out.verdict == discard { // so that it is recorded before a flush returns
		t.self.done(d.signal, now.Sub(group[0].accepted), out.reason)
	}

	t.mu.Lock()
	d.sending--
	for _, r := range group {
		delete(t.sending, r)
		d.inFlight -= r.items
		if out.verdict == delivered {
			d.delivered += r.items
		}
	}
	if out.verdict != retry && out.reason != reasonCorrupt {
		d.succeeded() // the server answered, so it can be reached
	}
	switch out.verdict {
	case delivered:
		if lost := t.deliver(group, out); lost != nil {
			dropped = append(dropped, lost)
		}
		d.earnDivisions()
	case retry:
		if t.ctx.Err() == nil {
			d.failed(now, round, out, &t.cfg)
			outage = &RetryError{Signal: d.signal, URL: shownURL(d.url), Reason: out.reason, Err: out.err}
		}
		for _, r := range group {
			r.attempts++
			r.notBefore = now.Add(backoff(&t.cfg, r.attempts))
		}
		d.waiting.insert(group...)
		t.accounts[d.signal].retried++
		close(t.failed)
		t.failed = make(chan struct{})
	case divide:
		t.replace(d, group, out.parts)
	case discard:
		for _, r := range group {
			dropped = append(dropped, t.drop(r, out.reason, out.err))
		}
	}
	dropped = append(dropped, t.makeRoom()...)
	t.mu.Unlock()

	t.report.dropped(dropped...)
	if outage != nil {
		t.report.warn(d.signal.String()+" "+out.reason+" "+d.url, outage)
	}
	if out.verdict == delivered && out.message != "" && out.rejected == 0 {
		t.report.warn(d.signal.String()+" warning "+d.url, fmt.Errorf("delivery: %s took all %s but warns: %s", shownURL(d.url), d.signal, out.message))
	}
	t.wakeDispatcher()
}

// deliver removes requests that the server took from the queue and counts the items
// that the server refused.
func (t *Transport) deliver(group []*request, out outcome) *DroppedError {
	s := group[0].dest.signal
	var items int64
	for _, r := range group {
		items += r.items
		t.forget(r)
	}
	rejected := min(out.rejected, items)
	t.accounts[s].delivered += items - rejected
	if rejected == 0 {
		return nil
	}
	return t.accounts[s].dropFrom(group[0].dest, reasonRejected, rejected, fmt.Errorf("the server took the request without them: %s", cmp.Or(out.message, "it does not say why")))
}

// replace puts the parts of a group into the queue instead of it. Each part is sent on
// its own. The parts have the place of the group in the queue, so that a server that
// takes none of them shows that with few requests.
func (t *Transport) replace(d *destination, group, parts []*request) {
	if parts[0] == group[0] { // the requests of the group, to be sent one by one
		d.waiting.insert(parts...)
		return
	}
	for _, r := range slices.Backward(parts) {
		d.waiting.insert(r)
		t.budget.add(d.signal, r.size())
		t.accounts[d.signal].queued += r.items
		t.count(r, 1)
	}
	for _, r := range group { // last, so that a flush does not find nothing left
		t.forget(r)
	}
}

// forget removes a request from the budget, the counts and the spool. It must be in no
// list any more.
func (t *Transport) forget(r *request) {
	t.budget.add(r.dest.signal, -r.size())
	t.accounts[r.dest.signal].queued -= r.items
	t.count(r, -1)
	t.removeFromSpool(r)
}

func (t *Transport) drop(r *request, reason string, err error) *DroppedError {
	t.forget(r)
	return t.accounts[r.dest.signal].dropFrom(r.dest, reason, r.items, err)
}

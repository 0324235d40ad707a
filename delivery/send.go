package delivery

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/clewtrace/clew/delivery/internal/spool"
	"github.com/clewtrace/clew/internal/plaintext"
)

// outcome is the result of one attempt.
type outcome struct {
	verdict    verdict
	reason     string // why it is dropped, for the accounts
	err        error
	retryAfter time.Duration
	rejected   int64  // items the server refused of a request it took
	message    string // what the server said about that
	halves     []*request
}

type verdict uint8

const (
	delivered verdict = iota
	retry             // send the same request again later
	split             // too large, and can be divided
	discard           // the server will never take it
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

// attempt makes one HTTP request of the group and judges the answer.
func (t *Transport) attempt(via *route, to string, header http.Header, group []*request) outcome {
	body, err := assemble(group)
	if err != nil && len(group) > 1 {
		return outcome{verdict: split, halves: t.halve(group)} // to find out which of them are corrupt
	}
	if err != nil {
		return outcome{verdict: discard, reason: reasonCorrupt, err: err}
	}
	ctx, cancel := context.WithTimeoutCause(t.ctx, via.timeout, errAttemptTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return outcome{verdict: discard, reason: "url", err: errors.New("the URL cannot be used")} // without err, which quotes the URL
	}
	if header != nil {
		req.Header = header
	}
	req.Header.Set("Content-Type", group[0].contentType)
	if group[0].wireGzip {
		req.Header.Set("Content-Encoding", "gzip")
	}

	start := time.Now()
	resp, err := via.client.Do(req)
	if err != nil {
		if wrapped, ok := errors.AsType[*url.Error](err); ok {
			err = wrapped.Err // without the URL, which the caller adds
		}
		if context.Cause(ctx) == errAttemptTimeout { //nolint:errorlint // the cause is this error itself
			err = fmt.Errorf("no answer within %v", via.timeout)
		}
		t.self.attempt(group[0].dest.signal, time.Since(start), "network")
		return outcome{verdict: retry, err: plaintext.Error(err)}
	}
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	_ = resp.Body.Close()
	out := t.judge(resp, answer, group)
	t.self.attempt(group[0].dest.signal, time.Since(start), out.reason)
	if err != nil && out.verdict != delivered {
		out.err = errors.Join(out.err, err)
	}
	return out
}

var errAttemptTimeout = errors.New("attempt timed out")

// assemble returns the body to send: several requests are joined into one, and the
// result is compressed if the exporter was configured to compress.
func assemble(group []*request) ([]byte, error) {
	r := group[0]
	if len(group) == 1 && r.packed == r.wireGzip {
		return r.body, nil
	}
	var raw []byte
	for _, r := range group {
		part := r.body
		if r.packed {
			var err error
			if part, err = inflate(r.body, r.rawSize); err != nil {
				return nil, fmt.Errorf("stored request: %w", err)
			}
		}
		if len(group) == 1 {
			raw = part
			break
		}
		raw = append(raw, part...)
	}
	if !r.wireGzip {
		return raw, nil
	}
	return deflate(raw)
}

// judge decides what an answer means for the request: only 429, 502, 503 and 504 may be
// retried (OpenTelemetry Protocol Specification, "OTLP/HTTP Response").
func (t *Transport) judge(resp *http.Response, answer []byte, group []*request) outcome {
	switch code := resp.StatusCode; code {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return outcome{
			verdict:    retry,
			reason:     strconv.Itoa(code),
			err:        statusError(resp, answer),
			retryAfter: parseRetryAfter(resp.Header.Get("Retry-After"), time.Now()),
		}
	case http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		// The client has followed as many redirects as it may. The fault is not in the
		// request, and a loop of redirects may be repaired, so the request is sent again
		// later.
		return outcome{verdict: retry, reason: strconv.Itoa(code), err: fmt.Errorf("%w: redirected too often, or to nowhere", statusError(resp, nil))}
	case http.StatusRequestEntityTooLarge:
		out := outcome{verdict: discard, reason: strconv.Itoa(code), err: statusError(resp, answer)}
		if out.halves = t.halve(group); out.halves != nil {
			out.verdict = split
		}
		return out
	default:
		if code < 200 || code > 299 {
			return outcome{verdict: discard, reason: strconv.Itoa(code), err: statusError(resp, answer)}
		}
		out := outcome{verdict: delivered}
		rejected, message := partialSuccess(resp.Header.Get("Content-Type"), answer)
		out.rejected, out.message = rejected, plaintext.Line(message, maxMessage)
		return out
	}
}

// maxMessage bounds in bytes how much of a message of the server is repeated.
const maxMessage = 200

// statusError returns an error with the status and the text of an answer.
func statusError(resp *http.Response, answer []byte) error {
	text := strings.Map(func(r rune) rune {
		if r < ' ' || r == '\uFFFD' {
			return -1
		}
		return r
	}, string(answer[:min(len(answer), maxMessage)]))
	status := plaintext.Line(resp.Status, maxMessage)
	if text = strings.TrimSpace(text); text != "" {
		return fmt.Errorf("%s: %q", status, text)
	}
	return errors.New(status)
}

// halve divides what was too large: several joined requests into single ones, and a
// single request into two. It returns nil if there is nothing to divide.
func (t *Transport) halve(group []*request) []*request {
	if len(group) > 1 {
		for _, r := range group {
			r.solo = true
		}
		return group
	}
	r := group[0]
	if !isProtobuf(r.contentType) {
		return nil
	}
	raw := r.body
	if r.packed {
		var err error
		if raw, err = inflate(r.body, r.rawSize); err != nil {
			return nil
		}
	}
	a, b, ok := splitRequest(raw)
	if !ok {
		return nil
	}
	var halves []*request
	for _, raw := range [][]byte{a, b} {
		half := *r
		half.body, half.packed, half.rawSize, half.solo = raw, false, len(raw), true
		half.items = countItems(r.dest.signal, r.contentType, raw)
		if r.packed {
			if body, err := deflate(raw); err == nil {
				half.body, half.packed = body, true
			}
		}
		half.ref = spool.Ref{}
		t.addToSpool(r.dest.signal, &half)
		halves = append(halves, &half)
	}
	return halves
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
	if out.verdict != retry {
		d.succeeded() // the server answered, so it can be reached
	}
	switch out.verdict {
	case delivered:
		if lost := t.deliver(group, out); lost != nil {
			dropped = append(dropped, lost)
		}
	case retry:
		if t.ctx.Err() == nil {
			d.failed(now, round, out.err, out.retryAfter, &t.cfg)
			outage = fmt.Errorf("delivery: %s cannot be delivered to %s, retrying: %w", d.signal, redact(d.url), out.err)
		}
		for _, r := range group {
			r.attempts++
			r.notBefore = now.Add(backoff(&t.cfg, r.attempts))
			d.waiting.insert(r)
		}
		t.accounts[d.signal].retried++
	case split:
		t.replace(d, group, out.halves)
	case discard:
		for _, r := range group {
			dropped = append(dropped, t.drop(r, out.reason, out.err))
		}
	}
	dropped = append(dropped, t.makeRoom()...)
	close(t.changed)
	t.changed = make(chan struct{})
	t.mu.Unlock()

	t.report.dropped(dropped...)
	if outage != nil {
		t.report.warn(d.url, outage)
	}
	if out.verdict == delivered && out.message != "" && out.rejected == 0 {
		t.report.warn(d.url+" warning", fmt.Errorf("delivery: %s took all %s but warns: %s", redact(d.url), d.signal, out.message))
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
	t.accounts[s].drop(reasonRejected, rejected)
	return &DroppedError{Signal: s, Items: rejected, Reason: reasonRejected, Err: fmt.Errorf("refused by %s: %s", redact(group[0].dest.url), out.message)}
}

// replace puts the parts of a request that was too large into the queue instead of it.
// A request has no more parts than items, and each part is sent on its own.
func (t *Transport) replace(d *destination, group, parts []*request) {
	if len(group) > 1 { // the parts are the requests themselves, to be sent one by one
		for _, r := range parts {
			d.waiting.insert(r)
		}
		return
	}
	t.forget(group[0])
	for _, r := range parts {
		d.waiting.insert(r)
		t.budget.add(d.signal, r.size())
		t.accounts[d.signal].queued += r.items
	}
}

// forget removes a request from the budget, the counts and the spool. It must be in no
// list any more.
func (t *Transport) forget(r *request) {
	t.budget.add(r.dest.signal, -r.size())
	t.accounts[r.dest.signal].queued -= r.items
	t.removeFromSpool(r)
}

func (t *Transport) drop(r *request, reason string, err error) *DroppedError {
	t.forget(r)
	t.accounts[r.dest.signal].drop(reason, r.items)
	return &DroppedError{Signal: r.dest.signal, Items: r.items, Reason: reason, Err: err}
}

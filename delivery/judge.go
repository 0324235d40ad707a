package delivery

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/clewtrace/clew/internal/jsonvalue"
	"github.com/clewtrace/clew/internal/plaintext"
)

// outcome is the result of one attempt.
type outcome struct {
	verdict    verdict
	reason     string // why it is dropped or repeated, for the accounts
	err        error
	refused    bool // nothing listens at the address
	retryAfter time.Duration
	rejected   int64      // items the server refused of a request it took
	message    string     // what the server said about that
	parts      []*request // of a group that is divided
}

type verdict uint8

const (
	delivered verdict = iota
	retry             // send the same request again later
	divide            // parts of it may be taken
	discard           // the server will never take it
)

// reasonNoAnswer is the reason for repeating a request after a 2xx that no OTLP server
// gives.
const reasonNoAnswer = "not_otlp"

// judge decides what an HTTP answer, which is whole or was cut off, means for the
// request. Of what an OTLP server answers, only 429, 502, 503 and 504 may be retried
// (OpenTelemetry Protocol Specification, "OTLP/HTTP Response").
func judge(resp *http.Response, answer []byte, whole bool) outcome {
	code := resp.StatusCode
	reason := strconv.Itoa(code)
	switch code {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return outcome{
			verdict:    retry,
			reason:     reason,
			err:        statusError(resp, answer),
			retryAfter: parseRetryAfter(resp.Header.Get("Retry-After"), time.Now()),
		}
	case http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		// The client has followed as many redirects as it may. The fault is not in the
		// request, and a loop of redirects may be repaired, so the request is sent again
		// later.
		return outcome{verdict: retry, reason: reason, err: fmt.Errorf("%w: redirected too often, or to nowhere", statusError(resp, nil))}
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusProxyAuthRequired, http.StatusNetworkAuthenticationRequired:
		return notOTLP(reason, "where to log in, or another address", statusError(resp, answer))
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge:
		// One item may be the reason, or the size: collectors answer 400 to a body that
		// is too large.
		return outcome{verdict: divide, reason: reason, err: statusError(resp, answer)}
	}
	if code < 200 || code > 299 {
		return outcome{verdict: discard, reason: reason, err: statusError(resp, answer)}
	}
	contentType := resp.Header.Get("Content-Type")
	if what := notAnswer(contentType, answer, whole); what != "" {
		return notOTLP(reasonNoAnswer, what, statusError(resp, answer))
	}
	return taken(contentType, answer)
}

// notOTLP returns the outcome of an answer by something else than an OTLP server.
func notOTLP(reason, what string, err error) outcome {
	return outcome{verdict: retry, reason: reason, err: fmt.Errorf("not the answer of an OTLP server, but %s: %w", what, err)}
}

// taken returns the outcome of a request that the server took.
func taken(contentType string, answer []byte) outcome {
	a := partialSuccess(contentType, answer)
	return outcome{verdict: delivered, rejected: a.Rejected, message: plaintext.Line(a.Message, maxMessage)}
}

// notAnswer says what a 2xx brought if no OTLP server answers so: something else
// listens there, such as a captive portal. It returns an empty string for an answer.
// An OTLP server answers with a message in the encoding of the request (OpenTelemetry
// Protocol Specification, "OTLP/HTTP Response"). What else is taken for an answer is
// what servers are known to send: nothing, JSON in answer to protobuf, and a few words
// of text. Of an answer that was cut off at its beginning, its type tells.
func notAnswer(contentType string, answer []byte, whole bool) string {
	if whole && len(bytes.TrimSpace(answer)) == 0 {
		return ""
	}
	media := strings.ToLower(mediaType(contentType))
	if isProtobuf(media) || media == "application/protobuf" {
		return ""
	}
	if strings.Contains(media, "html") || strings.HasPrefix(http.DetectContentType(answer), "text/html") {
		return "a web page"
	}
	switch {
	case media == "" || media == "application/octet-stream":
		return ""
	case media == contentTypeJSON || strings.HasSuffix(media, "+json"):
		if jsonError(answer) {
			return "an error"
		}
		return ""
	case media == "text/plain" && len(answer) <= maxMessage:
		return ""
	}
	return plaintext.Line(media, maxMessage)
}

// jsonError reports whether a JSON answer has a member that names an error.
func jsonError(answer []byte) bool {
	value, _ := jsonvalue.Parse(answer)
	if _, ok := jsonvalue.Member(value, "partialSuccess"); ok {
		return false
	}
	for _, name := range [...]string{"error", "errors"} {
		if what, _ := jsonvalue.Member(value, name); !isNothing(what) {
			return true
		}
	}
	return false
}

// isNothing reports whether a member of a JSON object says as much as none.
func isNothing(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case bool:
		return !v
	case string:
		return v == ""
	case json.Number:
		return v == "0"
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}

// judgeSent decides what an answer to a [Sender] means.
func judgeSent(response []byte, err error) outcome {
	if err == nil {
		return taken(contentTypeProtobuf, response)
	}
	answer, ok := errors.AsType[*SendError](err)
	if !ok {
		return unreachable(err)
	}
	out := outcome{verdict: discard, reason: answer.Reason, err: plaintext.Error(err)}
	switch {
	case answer.Refused:
		out.verdict, out.refused = retry, true
	case answer.Retry:
		out.verdict, out.retryAfter = retry, min(answer.RetryAfter, maxRetryAfter)
	case answer.Divide:
		out.verdict = divide
	}
	if out.reason == "" {
		out.reason = "unknown"
	}
	return out
}

// unreachable returns the outcome of an attempt that got no answer.
func unreachable(err error) outcome {
	reason, refused := networkReason(err)
	return outcome{verdict: retry, reason: reason, err: err, refused: refused}
}

// networkReason names why there was no answer, and reports whether nothing listens at
// the address: the connection was refused, or the resolver says that the name does not
// exist.
func networkReason(err error) (reason string, refused bool) {
	const wsaRefused = syscall.Errno(10061) // WSAECONNREFUSED, which Windows returns in place of ECONNREFUSED
	if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, wsaRefused) {
		return "connection_refused", true
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return "name_not_resolved", dns.IsNotFound && !dns.IsTimeout && !dns.IsTemporary
	}
	if network, ok := errors.AsType[net.Error](err); errors.Is(err, errAttemptTimeout) || ok && network.Timeout() {
		return "timeout", false
	}
	if isTLS(err) {
		return "tls", false
	}
	return "network", false
}

func isTLS(err error) bool {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	if _, ok := errors.AsType[tls.AlertError](err); ok {
		return true
	}
	_, ok := errors.AsType[tls.RecordHeaderError](err)
	return ok
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

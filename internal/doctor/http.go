package doctor

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/clewtrace/clew/internal/otlp"
	"github.com/clewtrace/clew/internal/otlpjson"
	"github.com/clewtrace/clew/internal/redact"
)

const (
	typeProtobuf = "application/x-protobuf"
	typeJSON     = "application/json"
)

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 1 << 20

// try sends the sample of the signal.
func (s send) try(ctx context.Context, sample *sample) (detail string, wrong *Problem) {
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	request := sample.requests[s.Signal]
	if s.protocol == protocolGRPC {
		return s.overGRPC(ctx, request)
	}
	return s.overHTTP(ctx, request)
}

func (s send) overHTTP(ctx context.Context, request proto.Message) (detail string, wrong *Problem) {
	req, err := s.httpRequest(ctx, request)
	if err != nil {
		return "failed", s.problem(err.Error(), "report this: a request could not be made")
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: s.TLS, ForceAttemptHTTP2: true, DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(req) // a redirect would be an answer of its own
	if err != nil {
		return "failed", s.unanswered(ctx, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return resp.Status, s.unanswered(ctx, err)
	}
	resp.Status = s.masked(resp.Status)
	detail = "POST " + req.URL.Path + " " + resp.Status
	if resp.StatusCode/100 != 2 {
		return detail, s.refusedHTTP(resp, body)
	}
	var answer otlp.Answer
	mediaType, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	switch mediaType {
	case typeJSON:
		answer, err = otlp.DecodeAnswerJSON(body)
	case typeProtobuf:
		answer, err = otlp.DecodeAnswer(body)
	case "text/html":
		err = errors.New("a web page")
	}
	if err != nil && len(body) > 0 {
		return detail, s.problem("the answer is not OTLP's but "+s.masked(err.Error()), "something else listens there: correct "+s.variable("ENDPOINT"))
	}
	return detail, s.partial(answer)
}

func (s send) httpRequest(ctx context.Context, request proto.Message) (*http.Request, error) {
	body, err := proto.Marshal(request)
	contentType := typeProtobuf
	if s.protocol == protocolJSON {
		body, err = otlpjson.Marshal(request)
		contentType = typeJSON
	}
	if body, err = s.packed(body, err); err != nil {
		return nil, err
	}
	u := *s.Endpoint
	u.User = nil // it is in the headers
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for name, value := range s.Headers {
		req.Header.Set(name, value)
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("User-Agent", "clew-doctor")
	if s.Gzip {
		req.Header.Set("Content-Encoding", "gzip")
	}
	return req, nil
}

// packed compresses a body if the signal is sent so.
func (s send) packed(body []byte, err error) ([]byte, error) {
	if err != nil || !s.Gzip {
		return body, err
	}
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err = w.Write(body)
	err = errors.Join(err, w.Close())
	return packed.Bytes(), err
}

// problem names the signal and where it goes.
func (s send) problem(what, cure string) *Problem {
	return &Problem{fmt.Sprintf("%s to %s: %s", s.Signal, redact.URL(s.Endpoint, nil), what), cure}
}

func (s send) partial(answer otlp.Answer) *Problem {
	if answer.Rejected > 0 {
		return s.problem("accepted, and then left out: "+s.masked(answer.Message), "do what the receiver asks for, or look at its log")
	}
	return nil
}

// refusedHTTP explains a status that is not a success.
func (s send) refusedHTTP(resp *http.Response, body []byte) *Problem {
	said := s.said(resp, body)
	what := resp.Status + said
	endpoint, headers := s.variable("ENDPOINT"), s.variable("HEADERS")
	switch code := resp.StatusCode; {
	case strings.HasPrefix(resp.Header.Get("Content-Type"), "application/grpc") || code == http.StatusUnsupportedMediaType && strings.Contains(said, "gRPC"):
		return s.problem(what+": the port speaks gRPC", s.switchToGRPC())
	case code/100 == 3:
		return s.problem(what+": it redirects to "+s.masked(resp.Header.Get("Location")), "set "+endpoint+" to where it leads, if that is the receiver")
	case code == http.StatusBadRequest && s.Endpoint.Scheme == "http" && (strings.Contains(said, "HTTPS") || strings.Contains(said, "TLS")):
		return s.problem(what+": the port speaks TLS", "write https:// in "+endpoint)
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		if len(s.Headers) == 0 {
			return s.problem(what+": the receiver wants credentials, and none are sent", "set "+headers+", for example to authorization=Bearer%20<token>")
		}
		return s.problem(what+": the credentials are not accepted", "correct "+headers+"; values are percent-encoded, a space is %20")
	case code == http.StatusNotFound || code == http.StatusMethodNotAllowed:
		return s.problem(what+": nothing takes "+s.Signal+" at the path "+resp.Request.URL.Path, s.pathCure())
	case code == http.StatusUnsupportedMediaType && s.protocol == protocolJSON:
		return s.problem(what+": the receiver does not take JSON", "set "+s.variable("PROTOCOL")+" to http/protobuf")
	case code == http.StatusProxyAuthRequired:
		return s.problem(what+": a proxy wants credentials", "put them into HTTP_PROXY or HTTPS_PROXY, or name the receiver in NO_PROXY")
	case code == http.StatusRequestEntityTooLarge:
		return s.problem(what+": even this small request is too large", "raise the receiver's limit")
	case code == http.StatusTooManyRequests || code/100 == 5:
		return s.problem(what+": the receiver, or a gateway before it, does not work now", "look at its log; if it is starting or overloaded, try again")
	default:
		return s.problem(what, "do what the receiver says, or look at its log; if it says nothing of use, something else may listen at "+endpoint)
	}
}

// said returns the reason that an answer gives: the message of a Status (OpenTelemetry
// Protocol Specification, "Failures"), or its text.
func (s send) said(resp *http.Response, body []byte) string {
	var status spb.Status
	mediaType, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	message := ""
	switch {
	case mediaType == typeProtobuf && proto.Unmarshal(body, &status) == nil,
		mediaType == typeJSON && (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(body, &status) == nil && status.GetMessage() != "":
		message = status.GetMessage()
	case mediaType != "text/html":
		message = string(body)
	}
	if resp.Header.Get("Grpc-Message") != "" {
		message = resp.Header.Get("Grpc-Message")
	}
	if strings.TrimSpace(message) == "" {
		return ""
	}
	return ` "` + s.masked(message) + `"`
}

// pathCure says how the path of the request came about, and what to change.
func (s send) pathCure() string {
	variable, standard := s.variable("ENDPOINT"), "/v1/"+s.Signal
	switch {
	case variable != "OTEL_EXPORTER_OTLP_ENDPOINT": // the signal's own, or a key of a configuration file
		return fmt.Sprintf("%s is used as it is, no path is added: most receivers want one that ends in %s", variable, standard)
	case strings.Contains(strings.TrimSuffix(s.Endpoint.Path, standard), "/v1/"):
		return fmt.Sprintf("leave /v1/... out of %s: %s is added to it", variable, standard)
	default:
		return fmt.Sprintf("%s is added to %s: correct the path before it, or set OTEL_%s_EXPORTER=none if the receiver takes no %s", standard, variable, strings.ToUpper(s.Signal), s.Signal)
	}
}

func (s send) switchToGRPC() string {
	return "set " + s.variable("PROTOCOL") + " to grpc, or use the receiver's OTLP/HTTP port, 4318 by default, in " + s.variable("ENDPOINT")
}

func (s send) switchToHTTP() string {
	return "set " + s.variable("PROTOCOL") + " to http/protobuf, or use the receiver's OTLP/gRPC port, 4317 by default, in " + s.variable("ENDPOINT")
}

// masked hides what was sent for the receiver alone, which it may repeat, and the
// characters that would control a terminal.
func (s send) masked(text string) string {
	header := http.Header{}
	for name, value := range s.Headers {
		header.Set(name, value)
	}
	text = redact.Text(redact.SentIn(header, s.Endpoint).Text(text))
	const most = 200
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	return strings.Trim(fmt.Sprintf("%q", text), `"`)
}

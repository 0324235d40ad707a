package otlpgrpc

import (
	"context"
	"errors"
	"strings"
	"syscall"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/clewtrace/clew/delivery"
	"github.com/clewtrace/clew/internal/redact"
)

// names are the codes as the specification spells them.
var names = map[codes.Code]string{
	codes.Canceled: "CANCELLED", codes.Unknown: "UNKNOWN", codes.InvalidArgument: "INVALID_ARGUMENT",
	codes.DeadlineExceeded: "DEADLINE_EXCEEDED", codes.NotFound: "NOT_FOUND", codes.AlreadyExists: "ALREADY_EXISTS",
	codes.PermissionDenied: "PERMISSION_DENIED", codes.ResourceExhausted: "RESOURCE_EXHAUSTED",
	codes.FailedPrecondition: "FAILED_PRECONDITION", codes.Aborted: "ABORTED", codes.OutOfRange: "OUT_OF_RANGE",
	codes.Unimplemented: "UNIMPLEMENTED", codes.Internal: "INTERNAL", codes.Unavailable: "UNAVAILABLE",
	codes.DataLoss: "DATA_LOSS", codes.Unauthenticated: "UNAUTHENTICATED",
}

// sendError says what the error of a call means, without what the server repeats of the
// headers that were sent.
func sendError(ctx context.Context, sent redact.Sent, err error, connected bool) error {
	s := status.Convert(err)
	if ctx.Err() != nil && (s.Code() == codes.DeadlineExceeded || s.Code() == codes.Canceled) {
		return ctx.Err()
	}
	if !connected && s.Code() == codes.Unavailable {
		return unreachable(sent.Text(s.Message()))
	}
	if e := notByService(s, sent); e != nil {
		return e
	}
	return judge(s, said(sent.Text(s.Message())))
}

// What gRPC says, in words alone, of an answer that the service has not given.
const (
	statusOfHTTP = "unexpected HTTP status code received from server: "
	reset        = "stream terminated by RST_STREAM"
	cutOff       = "server closed the stream without sending trailers"
)

// notByService says what it means that something in between has answered, or has ended
// the call without an answer. It means the same as over HTTP. It returns nil for what
// gRPC has a status of its own for.
func notByService(s *status.Status, sent redact.Sent) *delivery.SendError {
	message := s.Message()
	if strings.HasPrefix(message, reset) || message == cutOff {
		// Whatever the error is, it is that of a connection, and not of the request.
		return &delivery.SendError{Reason: "network", Retry: true, Err: said(strings.Replace(message, " with error code:", "", 1))}
	}
	code, ok := strings.CutPrefix(message, statusOfHTTP)
	if !ok {
		return nil
	}
	switch code, _, _ = strings.Cut(code, " "); code {
	case "200", "301", "302", "303", "307", "308", "407", "511": // a captive portal, or a proxy
		return &delivery.SendError{Reason: "not_otlp", Retry: true, Err: said("not the answer of an OTLP server: " + sent.Text(message))}
	case "400", "413": // as a proxy answers to what is too large for it
		return &delivery.SendError{Reason: code, Divide: true, Err: said(sent.Text(message))}
	}
	return nil
}

// said returns a message as an error, or nil if it is empty.
func said(message string) error {
	if message == "" {
		return nil
	}
	return errors.New(message)
}

// judge decides what a status means for the request, about which the server said why.
// OpenTelemetry Protocol Specification, "Failures" of OTLP/gRPC.
func judge(s *status.Status, why error) *delivery.SendError {
	e := &delivery.SendError{Reason: names[s.Code()], Err: why}
	if e.Reason == "" {
		e.Reason = "UNKNOWN"
	}
	info := retryInfo(s)
	switch s.Code() {
	case codes.Canceled, codes.DeadlineExceeded, codes.Aborted, codes.OutOfRange, codes.Unavailable, codes.DataLoss:
		e.Retry = true
	case codes.ResourceExhausted:
		// Without a word on when to come again, the message is larger than the server
		// takes, which gRPC itself answers.
		e.Retry = info != nil
		e.Divide = info == nil
	case codes.InvalidArgument:
		e.Divide = true // one item may be the reason
	default:
	}
	if e.Retry && info != nil {
		e.RetryAfter = max(0, info.GetRetryDelay().AsDuration())
	}
	return e
}

func retryInfo(s *status.Status) *errdetails.RetryInfo {
	for _, detail := range s.Details() {
		if info, ok := detail.(*errdetails.RetryInfo); ok {
			return info
		}
	}
	return nil
}

// unreachable says why there is no connection. gRPC tells that in words alone, which are
// those of package net.
func unreachable(message string) *delivery.SendError {
	e := &delivery.SendError{Reason: "network", Retry: true, Err: said(message)}
	says := func(words string) bool { return strings.Contains(message, words) }
	switch {
	case says(syscall.ECONNREFUSED.Error()), says("actively refused"), // the latter on Windows
		says("dial unix") && says(syscall.ENOENT.Error()):
		e.Reason, e.Refused = "connection_refused", true
	case says("no such host"):
		e.Reason, e.Refused = "name_not_resolved", true
	case says("produced zero addresses"): // which is all that gRPC's resolver says of a name that does not exist
		e.Reason, e.Refused, e.Err = "name_not_resolved", true, errors.New("no such host")
	case says("authentication handshake failed"):
		e.Reason = "tls"
	}
	return e
}

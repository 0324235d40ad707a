package delivery

import (
	"context"
	"time"
)

// Sender sends encoded export requests in another way than over HTTP: package
// otelsetup/otlpgrpc has one for gRPC. Its methods are safe for concurrent use.
type Sender interface {
	// Send sends one request of a signal and returns the response. Both are encoded
	// messages: ExportTraceServiceRequest and ExportTraceServiceResponse for traces, and
	// so on. The error should be a [*SendError] if the server has answered. Send returns
	// when the context ends.
	Send(ctx context.Context, s Signal, request []byte) (response []byte, err error)

	// Close ends every connection. [Transport.Shutdown] calls it after the last Send, once
	// for each [Route] with the Sender. Nothing of the Sender runs any more when it returns.
	Close() error
}

// SendError says what an answer to [Sender.Send] means. After any other error, the
// server counts as unreachable, and the request is sent again.
type SendError struct {
	Reason     string        // as in Stats.Dropped: the name of the status, such as RESOURCE_EXHAUSTED
	Retry      bool          // the same request may be sent again
	RetryAfter time.Duration // not before; zero means that the server did not say
	Divide     bool          // a smaller request may be taken, unless Retry says more
	Refused    bool          // nothing listens at the address; the request is sent again
	Err        error
}

func (e *SendError) Error() string {
	if e.Err == nil {
		return e.Reason
	}
	return e.Reason + ": " + e.Err.Error()
}

// Unwrap returns Err.
func (e *SendError) Unwrap() error { return e.Err }

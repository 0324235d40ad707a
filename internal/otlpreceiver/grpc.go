package otlpreceiver

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"

	"github.com/clewtrace/clew/internal/otlp"
)

const (
	// maxStreams bounds the calls that one connection has at the same time, and
	// maxUnread the bytes of them that wait to be read.
	maxStreams = 8
	maxUnread  = 64 << 10
)

// GRPCServer returns a server of OTLP/gRPC that is ready to Serve or ServeTLS. The
// caller sets its timeouts and closes it.
//
// A unary call of gRPC is an HTTP/2 request whose body is one message after five bytes
// (gRPC over HTTP2, "Requests"). The module google.golang.org/grpc cannot count the
// bytes of a message as they arrive. This package therefore reads the messages itself,
// as it does for OTLP/HTTP.
func (rc *Receiver) GRPCServer() *http.Server {
	mux := http.NewServeMux()
	for _, service := range services {
		mux.HandleFunc("POST "+service.grpcPath, func(w http.ResponseWriter, r *http.Request) {
			answer, err := rc.call(r, service)
			answerCall(w, answer, err)
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if !isGRPC(r) {
			http.Error(w, "this address speaks OTLP/gRPC only", http.StatusUnsupportedMediaType)
			return
		}
		answerCall(w, otlp.Answer{}, callError{codes.Unimplemented, fmt.Errorf("there is no %.256q", r.URL.Path)})
	})
	server := &http.Server{
		Handler: mux, Protocols: new(http.Protocols),
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: maxStreams, MaxReceiveBufferPerStream: maxUnread, MaxReceiveBufferPerConnection: maxUnread,
		},
	}
	server.Protocols.SetHTTP2(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	return server
}

func isGRPC(r *http.Request) bool {
	return r.ProtoMajor == 2 && strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc")
}

type callError struct {
	code codes.Code
	error
}

// messageHead is the number of bytes before a message: one that says whether it is
// compressed, and four for its length.
const messageHead = 1 + 4

func (rc *Receiver) call(r *http.Request, s service) (answer otlp.Answer, err error) {
	if !isGRPC(r) {
		return answer, callError{codes.InvalidArgument, errors.New("not a request of gRPC")}
	}
	var head [messageHead]byte
	if _, err := io.ReadFull(r.Body, head[:]); err != nil {
		return answer, err
	}
	length := int64(binary.BigEndian.Uint32(head[1:]))
	if length > MaxBody {
		return answer, fmt.Errorf("%w: more than %d bytes", errTooLarge, MaxBody)
	}
	if encoding := r.Header.Get("Grpc-Encoding"); head[0] == 1 && encoding != "gzip" {
		return answer, callError{codes.Unimplemented, fmt.Errorf("grpc-encoding %.64q: must be gzip or identity", encoding)}
	}
	return rc.take(r.Context(), s, protobuf, &exactly{io.LimitedReader{R: r.Body, N: length}}, length, head[0] == 1)
}

// exactly is an io.LimitedReader that returns an error if there are fewer bytes.
type exactly struct{ io.LimitedReader }

func (e *exactly) Read(p []byte) (int, error) {
	n, err := e.LimitedReader.Read(p)
	if errors.Is(err, io.EOF) && e.N > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func answerCall(w http.ResponseWriter, answer otlp.Answer, err error) {
	h := w.Header()
	h.Set("Content-Type", "application/grpc")
	h.Set("Grpc-Accept-Encoding", "identity,gzip")
	if err == nil {
		body := answer.Append(make([]byte, messageHead))
		binary.BigEndian.PutUint32(body[1:], uint32(len(body)-messageHead)) //nolint:gosec // a few bytes
		w.Write(body)
	}
	code, text := codes.OK, ""
	if err != nil {
		code, text = codes.InvalidArgument, message(err)
		var own callError
		switch {
		case errors.As(err, &own):
			code = own.code
		case errors.Is(err, errTooLarge):
			code = codes.ResourceExhausted
		case errors.Is(err, ErrBusy):
			code = codes.Unavailable
		}
	}
	h.Set(http.TrailerPrefix+"Grpc-Status", strconv.Itoa(int(code)))
	if text != "" {
		h.Set(http.TrailerPrefix+"Grpc-Message", percent(text))
	}
}

// percent encodes a message as gRPC requires: it escapes everything except printable
// ASCII.
func percent(text string) string {
	var b strings.Builder
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '%' {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

package doctor

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/clewtrace/clew/internal/otlp"
)

// methods are the calls of OTLP/gRPC.
var methods = map[string]string{
	signalTraces:  "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
	signalMetrics: "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
	signalLogs:    "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
}

// overGRPC makes a unary call: an HTTP/2 request and its answer, each with one message
// after five bytes (gRPC over HTTP2, "Protocol"). The client of google.golang.org/grpc
// would add a sixth to what it takes to compile this program.
func (s send) overGRPC(ctx context.Context, request proto.Message) (detail string, wrong *Problem) {
	req, err := s.grpcRequest(ctx, request)
	if err != nil {
		return "failed", s.problem(err.Error(), "report this: a request could not be made")
	}
	transport := &http.Transport{
		DialContext:     func(context.Context, string, string) (net.Conn, error) { return s.dialGRPC(ctx) },
		TLSClientConfig: s.TLS, Protocols: new(http.Protocols),
	}
	transport.Protocols.SetHTTP2(true)
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return "failed", s.unanswered(ctx, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return "failed", s.unanswered(ctx, err)
	}
	if !strings.HasPrefix(resp.Header.Get("Content-Type"), "application/grpc") {
		status := s.masked(resp.Status)
		return status, s.problem(status+s.said(resp, body)+": the port speaks HTTP, not gRPC", s.switchToHTTP())
	}
	end := resp.Trailer
	if end.Get("Grpc-Status") == "" {
		end = resp.Header // of an answer without a message
	}
	number, err := strconv.ParseUint(end.Get("Grpc-Status"), 10, 32)
	if err != nil {
		return "failed", s.unanswered(ctx, io.ErrUnexpectedEOF)
	}
	code := codes.Code(number)
	detail = "gRPC " + code.String()
	if code != codes.OK {
		message := end.Get("Grpc-Message")
		if plain, err := url.PathUnescape(message); err == nil {
			message = plain
		}
		return detail, s.refusedGRPC(ctx, code, message)
	}
	answer, err := message(body, resp.Header.Get("Grpc-Encoding"))
	if err != nil {
		return detail, s.problem("the answer is not OTLP's but "+s.masked(err.Error()), "something else listens there: correct "+s.variable("ENDPOINT"))
	}
	return detail, s.partial(answer)
}

func (s send) grpcRequest(ctx context.Context, request proto.Message) (*http.Request, error) {
	body, err := s.packed(proto.Marshal(request))
	if err != nil {
		return nil, err
	}
	head := make([]byte, messageHead)
	binary.BigEndian.PutUint32(head[1:], uint32(len(body))) //nolint:gosec // a few bytes
	u := &url.URL{Scheme: "http", Host: net.JoinHostPort(s.Endpoint.Hostname(), s.port()), Path: methods[s.Signal]}
	if s.Socket() != "" {
		u.Host = "localhost"
	}
	if s.Endpoint.Scheme == "https" {
		u.Scheme = "https"
	}
	if s.Gzip {
		head[0] = 1
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(append(head, body...)))
	if err != nil {
		return nil, err
	}
	for name, value := range s.Headers {
		if strings.HasSuffix(strings.ToLower(name), "-bin") {
			value = base64.RawStdEncoding.EncodeToString([]byte(value))
		}
		req.Header.Set(name, value)
	}
	req.Header.Set("Content-Type", "application/grpc")
	req.Header.Set("Te", "trailers")
	req.Header.Set("User-Agent", "clew-doctor")
	if s.Gzip {
		req.Header.Set("Grpc-Encoding", "gzip")
	}
	return req, nil
}

// messageHead is the number of bytes before a message: one that says whether it is
// compressed, and four for its length.
const messageHead = 1 + 4

// message reads the only message of an answer.
func message(body []byte, encoding string) (a otlp.Answer, err error) {
	if len(body) < messageHead || uint64(binary.BigEndian.Uint32(body[1:])) != uint64(len(body)-messageHead) {
		return a, errors.New("no whole message")
	}
	compressed, body := body[0] == 1, body[messageHead:]
	if compressed {
		if encoding != "gzip" {
			return a, fmt.Errorf("compressed as %q", encoding)
		}
		z, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return a, err
		}
		if body, err = io.ReadAll(io.LimitReader(z, maxAnswer)); err != nil {
			return a, err
		}
	}
	return otlp.DecodeAnswer(body)
}

// dialGRPC connects as gRPC does: through a proxy by CONNECT, with or without TLS.
func (s send) dialGRPC(ctx context.Context) (net.Conn, error) {
	proxy := s.proxy()
	if proxy == nil {
		return s.dial(ctx)
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(proxyAddress(proxy)))
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	to := net.JoinHostPort(s.Endpoint.Hostname(), s.port())
	req := &http.Request{Method: http.MethodConnect, URL: &url.URL{Host: to}, Host: to, Header: http.Header{"User-Agent": {"clew-doctor"}}}
	if proxy.User != nil {
		password, _ := proxy.User.Password()
		as := &http.Request{Header: http.Header{}}
		as.SetBasicAuth(proxy.User.Username(), password)
		req.Header["Proxy-Authorization"] = as.Header["Authorization"]
	}
	in := bufio.NewReader(conn)
	err = req.Write(conn)
	if err == nil {
		var resp *http.Response
		resp, err = http.ReadResponse(in, req) //nolint:bodyclose // it has none, or the connection is closed
		if err == nil && resp.StatusCode != http.StatusOK {
			err = fmt.Errorf("the proxy answers CONNECT with %s", resp.Status)
		}
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return proxied{conn, in}, nil
}

// proxied is a connection whose first bytes may have been read with the proxy's answer.
type proxied struct {
	net.Conn
	in *bufio.Reader
}

func (c proxied) Read(p []byte) (int, error) { return c.in.Read(p) }

// refusedGRPC explains a code that is not OK.
func (s send) refusedGRPC(ctx context.Context, code codes.Code, message string) *Problem {
	what := code.String() + ` "` + s.masked(message) + `"`
	switch code {
	case codes.Unimplemented:
		return s.problem(what+": the receiver does not take "+s.Signal, "send them to one that does, or set OTEL_"+strings.ToUpper(s.Signal)+"_EXPORTER=none")
	case codes.Unauthenticated, codes.PermissionDenied:
		if len(s.Headers) == 0 {
			return s.problem(what+": the receiver wants credentials, and none are sent", "set "+s.variable("HEADERS")+", for example to authorization=Bearer%20<token>")
		}
		return s.problem(what+": the credentials are not accepted", "correct "+s.variable("HEADERS")+"; values are percent-encoded, a space is %20")
	case codes.Unavailable, codes.DeadlineExceeded:
		return s.unanswered(ctx, fmt.Errorf("%v: %s", code, message))
	case codes.ResourceExhausted:
		return s.problem(what+": the receiver is overloaded or at a limit", "look at its log and limits, or try again later")
	default:
		return s.problem(what, "do what the receiver says, or look at its log")
	}
}

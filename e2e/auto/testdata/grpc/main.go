// Command grpc calls itself over gRPC in many ways, and passes no context on.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/h2c"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
)

// service does what the payload of a call says.
type service struct {
	pb.UnimplementedTestServiceServer
	backend string // of HTTP
}

func (s *service) EmptyCall(context.Context, *pb.Empty) (*pb.Empty, error) {
	slog.Info("empty")
	return &pb.Empty{}, nil
}

func (s *service) UnaryCall(ctx context.Context, in *pb.SimpleRequest) (*pb.SimpleResponse, error) {
	switch what := string(in.GetPayload().GetBody()); what {
	case "get":
		get(s.backend)
	case "fan":
		var wg sync.WaitGroup
		for range 3 {
			wg.Add(1)
			go func() { defer wg.Done(); get(s.backend) }()
		}
		wg.Wait()
	case "metadata":
		md, _ := metadata.FromIncomingContext(ctx)
		return &pb.SimpleResponse{Username: fmt.Sprint(md["program"], len(md["traceparent"]))}, nil
	case "wait":
		<-ctx.Done()
		return nil, status.Error(codes.Canceled, "nobody waits")
	case "panic":
		panic(errors.New("boom"))
	}
	if s := in.GetResponseStatus(); s != nil {
		return nil, status.Error(codes.Code(s.GetCode()), s.GetMessage())
	}
	return &pb.SimpleResponse{}, nil
}

func (s *service) StreamingOutputCall(_ *pb.StreamingOutputCallRequest, stream pb.TestService_StreamingOutputCallServer) error {
	for range 3 {
		if err := stream.Send(&pb.StreamingOutputCallResponse{}); err != nil {
			return err
		}
	}
	get(s.backend)
	return nil
}

func (s *service) FullDuplexCall(stream pb.TestService_FullDuplexCallServer) error {
	for {
		in, err := stream.Recv()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := stream.Send(&pb.StreamingOutputCallResponse{Payload: in.GetPayload()}); err != nil {
			return err
		}
	}
}

func get(url string) {
	resp, err := http.Get(url)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		log.Fatal(err)
	}
	resp.Body.Close()
}

// handled tells when all calls have ended.
type handled struct{ sync.WaitGroup }

func (h *handled) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context   { return ctx }
func (h *handled) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (h *handled) HandleConn(context.Context, stats.ConnStats)                       {}

func (h *handled) HandleRPC(_ context.Context, s stats.RPCStats) {
	switch s.(type) {
	case *stats.Begin:
		h.Add(1)
	case *stats.End:
		h.Done()
	}
}

var calls handled

// server serves gRPC, and a client calls it.
func server(s *service, opts ...grpc.ServerOption) (*grpc.Server, *grpc.ClientConn) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	srv := grpc.NewServer(append(opts, grpc.StatsHandler(&calls))...)
	pb.RegisterTestServiceServer(srv, s)
	healthpb.RegisterHealthServer(srv, health.NewServer())
	reflection.Register(srv)
	go srv.Serve(l)
	return srv, client(l.Addr().String(), insecure.NewCredentials())
}

func client(addr string, c credentials.TransportCredentials) *grpc.ClientConn {
	conn, err := dial(addr, grpc.WithTransportCredentials(c))
	if err != nil {
		log.Fatal(err)
	}
	return conn
}

func request(what string, code codes.Code) *pb.SimpleRequest {
	in := &pb.SimpleRequest{Payload: &pb.Payload{Body: []byte(what)}}
	if code != codes.OK {
		in.ResponseStatus = &pb.EchoStatus{Code: int32(code), Message: "asked for"}
	}
	return in
}

// unary prints the answer to a call.
func unary(conn *grpc.ClientConn, ctx context.Context, what string, code codes.Code) {
	out, err := pb.NewTestServiceClient(conn).UnaryCall(ctx, request(what, code))
	fmt.Println(what, out.GetUsername(), status.Code(err))
}

func main() {
	background := context.Background()
	defer calls.Wait()
	_, back := server(&service{})
	backend := http.NewServeMux()
	backend.HandleFunc("GET /chain", func(w http.ResponseWriter, r *http.Request) {
		if _, err := pb.NewTestServiceClient(back).EmptyCall(background, &pb.Empty{}); err != nil {
			log.Fatal(err)
		}
	})
	backend.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {})
	web := httptest.NewServer(backend)
	quiet := &service{backend: web.URL}
	_, conn := server(quiet)

	switch os.Args[1] {
	case "unary":
		_, chain := server(&service{backend: web.URL + "/chain"})
		unary(chain, background, "get", codes.OK)
		unary(conn, metadata.AppendToOutgoingContext(background, "program", "own", "traceparent", "of somebody else"), "metadata", codes.OK)
		for _, code := range []codes.Code{codes.NotFound, codes.Internal, codes.DeadlineExceeded, 77} {
			unary(conn, background, "fail", code)
		}
		fmt.Println(status.Code(conn.Invoke(background, "/grpc.testing.TestService/Nothing", &pb.Empty{}, &pb.Empty{})))
		unary(client("dns:///127.0.0.1:1", insecure.NewCredentials()), background, "refused", codes.OK)
	case "streams":
		c := pb.NewTestServiceClient(conn)
		out, err := c.StreamingOutputCall(background, &pb.StreamingOutputCallRequest{})
		for err == nil {
			_, err = out.Recv()
		}
		fmt.Println("server stream", err)
		both, err := c.FullDuplexCall(background)
		for range 3 {
			both.Send(&pb.StreamingOutputCallRequest{Payload: &pb.Payload{Body: []byte("x")}})
			_, err = both.Recv()
		}
		both.CloseSend()
		_, end := both.Recv()
		fmt.Println("both", err, end)
	case "abandoned":
		ctx, cancel := context.WithCancel(background)
		both, _ := pb.NewTestServiceClient(conn).FullDuplexCall(ctx)
		both.Send(&pb.StreamingOutputCallRequest{})
		_, err := both.Recv()
		cancel() // and never ask for the end
		fmt.Println("abandoned", err)
		ctx, cancel = context.WithTimeout(background, 20*time.Millisecond)
		unary(conn, ctx, "wait", codes.OK)
		cancel()
		select {}
	case "probes":
		_, err := healthpb.NewHealthClient(conn).Check(background, &healthpb.HealthCheckRequest{})
		fmt.Println("check", err)
		ctx, cancel := context.WithCancel(background)
		w, _ := healthpb.NewHealthClient(conn).Watch(ctx, &healthpb.HealthCheckRequest{})
		_, err = w.Recv()
		fmt.Println("watch", err)
		r, _ := reflectionpb.NewServerReflectionClient(conn).ServerReflectionInfo(ctx)
		r.Send(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}})
		_, err = r.Recv()
		fmt.Println("reflection", err)
		cancel()
	case "workers":
		// One worker has to forget the call before, and a call finds none free.
		_, conn := server(quiet, grpc.NumStreamWorkers(1), grpc.UnaryInterceptor(
			func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
				slog.Info("intercepted")
				return handler(ctx, req)
			}))
		for range 3 {
			unary(conn, background, "get", codes.OK)
		}
	case "nethttp":
		srv, _ := server(quiet)
		for _, h := range []http.Handler{srv, mux(srv)} {
			over := httptest.NewUnstartedServer(h)
			over.EnableHTTP2 = true
			over.StartTLS()
			tls := over.Client().Transport.(*http.Transport).TLSClientConfig
			conn := client(over.Listener.Addr().String(), credentials.NewTLS(tls.Clone()))
			unary(conn, background, "get", codes.OK)
			unary(conn, background, "fail", codes.Internal)
			_, err := healthpb.NewHealthClient(conn).Check(background, &healthpb.HealthCheckRequest{})
			fmt.Println("check", err)
			conn.Close()
			over.Close()
		}
	case "h2c":
		srv, _ := server(quiet)
		plain := httptest.NewServer(h2c.NewHandler(mux(srv), &http2.Server{}))
		conn := client(plain.Listener.Addr().String(), insecure.NewCredentials())
		for range 2 {
			unary(conn, background, "get", codes.OK)
		}
		transport := &http.Transport{Protocols: new(http.Protocols)}
		transport.Protocols.SetUnencryptedHTTP2(true)
		resp, err := (&http.Client{Transport: transport}).Get(plain.URL + "/page/7")
		if err != nil {
			log.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		fmt.Println(string(body), err)
		resp.Body.Close()
		transport.CloseIdleConnections()
		conn.Close()
		plain.Close()
	case "panic":
		unary(conn, background, "panic", codes.OK)
	case "many":
		n, err := strconv.Atoi(os.Args[2])
		if err != nil {
			log.Fatal(err)
		}
		var wg sync.WaitGroup
		slots := make(chan bool, 64)
		for range n {
			wg.Add(1)
			slots <- true
			go func() {
				defer wg.Done()
				defer func() { <-slots }()
				if _, err := pb.NewTestServiceClient(conn).UnaryCall(background, request("fan", codes.OK)); err != nil {
					log.Fatal(err)
				}
			}()
		}
		wg.Wait()
	}
}

func mux(h http.Handler) http.Handler {
	m := http.NewServeMux()
	m.Handle("/", h)
	m.HandleFunc("GET /page/{id}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Proto, r.PathValue("id"))
	})
	return m
}

package main

import (
	"compress/gzip"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	collogspb "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protowire"
)

// sinkStats is what a sink took.
type sinkStats struct {
	Unique, Duplicates int // spans, and log records that have a number
	Records            int // of logs
}

// sink is an OTLP server whose listener, latency and answers can be spoiled
// while it runs.
type sink struct {
	addr, grpcAddr string

	mu       sync.Mutex
	seen     map[uint64]struct{}
	stats    sinkStats
	fault    string
	changed  chan struct{} // closed when the fault changes
	latency  time.Duration
	server   *http.Server
	listener net.Listener

	grpcServer   *grpc.Server
	grpcListener net.Listener
}

// runSink serves OTLP over HTTP and gRPC, and control, each on a port of its own,
// and prints the three. It ends when its standard input does.
func runSink() error {
	s := &sink{seen: make(map[uint64]struct{}), changed: make(chan struct{}), addr: "127.0.0.1:0", grpcAddr: "127.0.0.1:0"}
	if err := s.up(); err != nil {
		return err
	}
	s.addr = s.listener.Addr().String()
	s.grpcAddr = s.grpcListener.Addr().String()
	control, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func() { _ = http.Serve(control, http.HandlerFunc(s.control)) }() //nolint:gosec // loopback, for as long as a row takes
	fmt.Println(s.addr, s.grpcAddr, control.Addr())
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

func (s *sink) up() (err error) {
	if s.listener, err = listenAgain(s.addr); err != nil {
		return err
	}
	if s.grpcListener, err = listenAgain(s.grpcAddr); err != nil {
		return err
	}
	s.server = &http.Server{Handler: s} //nolint:gosec // as above
	s.grpcServer = grpc.NewServer(grpc.UnaryInterceptor(s.answer))
	coltracepb.RegisterTraceServiceServer(s.grpcServer, grpcSink{sink: s})
	collogspb.RegisterLogsServiceServer(s.grpcServer, grpcLogSink{sink: s})
	server, listener := s.server, s.listener
	grpcServer, grpcListener := s.grpcServer, s.grpcListener
	go func() { _ = server.Serve(listener) }()
	go func() { _ = grpcServer.Serve(grpcListener) }()
	return nil
}

func (s *sink) down() {
	_ = s.server.Close()
	go s.grpcServer.Stop() // waits for the calls under way, which end with their connections
}

// listenAgain waits for a port that was just in use.
func listenAgain(addr string) (l net.Listener, err error) {
	for range 50 {
		if l, err = new(net.ListenConfig).Listen(context.Background(), "tcp", addr); err == nil {
			return l, nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return nil, err
}

// control sets ?fault= and ?latency=, and answers with the stats.
func (s *sink) control(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	if q := r.URL.Query(); q.Has("fault") {
		fault := q.Get("fault")
		close(s.changed)
		s.changed = make(chan struct{})
		if (fault == "refused") != (s.fault == "refused") {
			if fault == "refused" {
				s.down()
			} else if err := s.up(); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
			}
		}
		s.fault = fault
	}
	if d, err := time.ParseDuration(r.URL.Query().Get("latency")); err == nil {
		s.latency = d
	}
	stats := s.stats
	s.mu.Unlock()
	_ = json.NewEncoder(w).Encode(stats)
}

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	fault, latency, changed := s.fault, s.latency, s.changed
	s.mu.Unlock()
	body, err := readBody(r)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	switch fault {
	case "black hole":
		// Neither taken nor answered; the connection is gone when the sink is
		// well again, as after a restart behind a load balancer.
		select {
		case <-changed:
		case <-r.Context().Done():
		}
		panic(http.ErrAbortHandler)
	case "503":
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	case "503 Retry-After":
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	time.Sleep(latency)
	switch r.URL.Path {
	case "/v1/traces":
		s.take(body)
	case "/v1/logs":
		s.takeLogs(body)
	}
	if fault == "answer lost" {
		panic(http.ErrAbortHandler)
	}
}

func readBody(r *http.Request) ([]byte, error) {
	if r.Header.Get("Content-Encoding") != "gzip" {
		return io.ReadAll(r.Body)
	}
	zr, err := gzip.NewReader(r.Body)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(zr)
}

// count counts a span by its id, or a log record by its number in eight digits.
func (s *sink) count(id []byte) {
	if len(id) != 8 {
		return
	}
	key := binary.BigEndian.Uint64(id)
	if _, twice := s.seen[key]; twice {
		s.stats.Duplicates++
		return
	}
	s.seen[key] = struct{}{}
	s.stats.Unique++
}

// take counts the spans of a request.
func (s *sink) take(body []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fields(body, 1, func(resource []byte) {
		fields(resource, 2, func(scope []byte) {
			fields(scope, 2, func(span []byte) {
				fields(span, 2, func(id []byte) {
					s.count(id)
				})
			})
		})
	})
}

// takeLogs counts the records of a request.
func (s *sink) takeLogs(body []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fields(body, 1, func(resource []byte) {
		fields(resource, 2, func(scope []byte) {
			fields(scope, 2, func(record []byte) {
				s.stats.Records++
				fields(record, 5, func(body []byte) {
					fields(body, 1, func(text []byte) {
						s.count(text)
					})
				})
			})
		})
	})
}

// fields calls fn with each length-delimited field num of a message.
func fields(msg []byte, num protowire.Number, fn func([]byte)) {
	for len(msg) > 0 {
		got, typ, tag := protowire.ConsumeTag(msg)
		if tag < 0 {
			return
		}
		n := protowire.ConsumeFieldValue(got, typ, msg[tag:])
		if n < 0 {
			return
		}
		if got == num && typ == protowire.BytesType {
			v, _ := protowire.ConsumeBytes(msg[tag:])
			fn(v)
		}
		msg = msg[tag+n:]
	}
}

package clewhttp_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/clewtrace/clew/clewhttp"
)

// exchanges2 are what handlers do over HTTP/2. Each part of the body is sent
// when an answer to what is before it has begun; a request without parts ends
// with its header.
var exchanges2 = []struct {
	name       string
	fields     []string // of the header, names and values; GET / by default
	body       []string
	trailer    []string
	unfinished bool // the body does not end
	logs       bool // net/http logs something, after the answer
	handler    http.HandlerFunc
}{
	{name: "an answer", handler: func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Proto, r.Host, r.URL) }},
	{name: "no answer", handler: func(http.ResponseWriter, *http.Request) {}},
	{name: "HEAD", fields: []string{":method", "HEAD"}, handler: func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") }},
	{name: "no body allowed", handler: func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNoContent)
		n, err := io.WriteString(w, "hello")
		log.Print(n, err)
	}},
	{name: "two statuses", handler: func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTeapot)
		w.WriteHeader(http.StatusOK)
	}},
	{name: "too long for its length", handler: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "3")
		io.WriteString(w, "hello")
	}},
	{name: "103 early hints", handler: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusProcessing)
		w.WriteHeader(http.StatusAccepted)
	}},
	{name: "100-continue", fields: []string{":method", "POST", "expect", "100-continue"}, body: []string{"", "hello"}, handler: echo},
	{name: "100-continue, not wanted", fields: []string{":method", "POST", "expect", "100-continue"}, unfinished: true, handler: func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
	}},
	{name: "a request with trailers", fields: []string{":method", "POST", "trailer", "x-end"}, body: []string{"hello"}, trailer: []string{"x-end", "yes"}, handler: func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		fmt.Fprint(w, string(body), err, r.Trailer)
	}},
	{name: "trailers", handler: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		io.WriteString(w, "hello")
		w.Header().Set("X-Sum", "1")
		w.Header().Set(http.TrailerPrefix+"X-Late", "2")
	}},
	{name: "trailers without a body", handler: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		w.WriteHeader(http.StatusOK)
		w.Header().Set("X-Sum", "1")
	}},
	{name: "a flush at first", handler: func(w http.ResponseWriter, _ *http.Request) {
		w.(http.Flusher).Flush()
		w.WriteHeader(http.StatusTeapot) // too late
		io.WriteString(w, "hello")
	}},
	{name: "server-sent events", handler: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 3 {
			fmt.Fprintf(w, "data: %d\n\n", i)
			if err := http.NewResponseController(w).Flush(); err != nil {
				fmt.Fprint(w, err)
			}
		}
	}},
	{name: "a push", handler: push("/style.css", nil)},
	{name: "a push with a header", handler: push("/style.css", &http.PushOptions{Header: http.Header{"Accept": {"text/css"}}})},
	{name: "a push with a method that cannot be pushed", handler: push("/style.css", &http.PushOptions{Method: http.MethodPost})},
	{name: "a push of another scheme", handler: push("ftp://h/style.css", nil)},
	{name: "a push of nothing that is a path", handler: push("style.css", nil)},
	{name: "a push out of a push", handler: push("/again", nil)},
	{name: "deadlines", handler: func(w http.ResponseWriter, _ *http.Request) {
		c := http.NewResponseController(w)
		fmt.Fprint(w, c.SetReadDeadline(time.Now().Add(time.Hour)), c.SetWriteDeadline(time.Now().Add(time.Hour)), c.EnableFullDuplex(), c.Flush())
	}},
	{name: "a write deadline that has passed", handler: func(w http.ResponseWriter, r *http.Request) {
		if err := http.NewResponseController(w).SetWriteDeadline(time.Unix(1, 0)); err != nil {
			log.Print(err)
		}
		<-r.Context().Done() // the stream is reset
	}},
	{name: "a read deadline that has passed", fields: []string{":method", "POST"}, unfinished: true, handler: func(w http.ResponseWriter, r *http.Request) {
		if err := http.NewResponseController(w).SetReadDeadline(time.Unix(1, 0)); err != nil {
			fmt.Fprint(w, err)
		}
		_, err := io.ReadAll(r.Body)
		fmt.Fprint(w, err)
	}},
	{name: "full duplex", fields: []string{":method", "POST"}, body: []string{"", "one", "two"}, handler: func(w http.ResponseWriter, r *http.Request) {
		c := http.NewResponseController(w)
		fmt.Fprint(w, "first", c.EnableFullDuplex(), c.Flush())
		for part := make([]byte, 3); ; {
			if _, err := io.ReadFull(r.Body, part); err != nil {
				fmt.Fprint(w, err)
				return
			}
			fmt.Fprint(w, string(part), c.Flush())
		}
	}},
	{name: "no hijacking", handler: func(w http.ResponseWriter, _ *http.Request) {
		_, _, err := http.NewResponseController(w).Hijack()
		_, hijacks := w.(http.Hijacker)
		fmt.Fprint(w, err, hijacks)
	}},
	{name: "CONNECT", fields: []string{":method", "CONNECT", ":scheme", "", ":path", ""}, body: []string{"", "ping"}, handler: func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Host, http.NewResponseController(w).Flush())
		echo(w, r)
	}},
	{name: "interfaces", handler: func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, interfacesOf(w)) }},
	{name: "a file", handler: func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, "testdata/page.txt") }},
	{name: "a part of a file", fields: []string{"range", "bytes=2-5"}, handler: func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, "testdata/page.txt")
	}},
	{name: "a redirect", handler: func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/b", http.StatusFound) }},
	{name: "the connection is to close", handler: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
		io.WriteString(w, "hello")
	}},
	{name: "an abort", handler: func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "half")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}},
	{name: "a panic", logs: true, handler: func(http.ResponseWriter, *http.Request) { panic("no way out") }},
	{name: "a body that is not read", fields: []string{":method", "POST"}, unfinished: true, handler: func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "no") }},
	{name: "MaxBytesReader", fields: []string{":method", "POST"}, body: []string{strings.Repeat("x", 3000)}, handler: func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, 1000)
		if _, err := io.ReadAll(r.Body); err != nil {
			http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
		}
	}},
}

// push pushes target, and tells what came of it in the answer.
func push(target string, opts *http.PushOptions) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		err := w.(http.Pusher).Push(target, opts)
		fmt.Fprint(w, r.URL, r.Header["Accept"], err)
	}
}

// TestThePeerSeesTheSameOverHTTP2 compares all frames that a peer gets, but for
// those of flow control, which depend on who is faster. The order of the streams
// among each other does too.
func TestThePeerSeesTheSameOverHTTP2(t *testing.T) {
	for _, secure := range []bool{false, true} {
		for i, x := range exchanges2 {
			t.Run(fmt.Sprintf("TLS %v/%s", secure, x.name), func(t *testing.T) {
				tel := newTelemetry(t)
				plain, plainLog := talk2(t, secure, x.handler, i)
				if x.name == "a push" && !strings.Contains(plain, "stream 2: DATA") {
					t.Errorf("nothing is pushed: %s", plain)
				}
				for name, h := range map[string]http.Handler{
					"Handler":     tel.handler(x.handler),
					"nested":      tel.handler(clewhttp.Route(tel.handler(x.handler))),
					"not trusted": tel.handler(x.handler, clewhttp.WithTrust(nil)),
					"left out":    tel.handler(x.handler, clewhttp.WithFilter(func(*http.Request) bool { return false })),
				} {
					traced, tracedLog := talk2(t, secure, h, i)
					if traced != plain {
						t.Errorf("%s: the peer sees\n%s\nwant\n%s", name, traced, plain)
					}
					if tracedLog != plainLog {
						t.Errorf("%s: the server logs\n%s\nwant\n%s", name, tracedLog, plainLog)
					}
				}
			})
		}
	}
}

// talk2 has one of exchanges2 with a server, and returns what it sends and logs.
func talk2(t *testing.T, secure bool, h http.Handler, exchange int) (sent, logged string) {
	t.Helper()
	lines := &noticedBuffer{noticed: make(chan struct{})}
	server := httptest.NewUnstartedServer(h)
	server.Config.ErrorLog = log.New(lines, "", 0)
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetUnencryptedHTTP2(!secure)
	server.Config.Protocols.SetHTTP2(secure)
	scheme := "http"
	if secure {
		scheme = "https"
		server.EnableHTTP2 = true
		server.StartTLS()
	} else {
		server.Start()
	}
	conn, err := net.Dial("tcp", server.Listener.Addr().String()) //nolint:noctx // closed below
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil { // nothing takes as long
		t.Fatal(err)
	}
	if secure {
		conn = tls.Client(conn, &tls.Config{NextProtos: []string{"h2"}, InsecureSkipVerify: true}) //nolint:gosec // of a test
	}
	p := newPeer2(t, conn)
	x := exchanges2[exchange]
	p.sendHeader(t, append([]string{":method", "GET", ":scheme", scheme, ":authority", "h", ":path", "/"}, x.fields...), len(x.body) == 0 && !x.unfinished)
	for i, part := range x.body {
		if i > 0 {
			p.readUntil(func() bool { return len(p.frames[1]) >= i })
		}
		p.framer.WriteData(1, i == len(x.body)-1 && x.trailer == nil, []byte(part)) //nolint:errcheck // the server may have closed it
	}
	if x.trailer != nil {
		p.sendHeader(t, x.trailer, true)
	}
	p.readUntil(func() bool { return len(p.ended) == p.streams })
	p.settle()
	if x.logs {
		<-lines.noticed
	}
	conn.Close()
	server.Close()
	return p.String(), changes.ReplaceAllString(lines.String(), "")
}

// noticedBuffer tells when something has been written.
type noticedBuffer struct {
	lockedBuffer
	once    sync.Once
	noticed chan struct{}
}

func (b *noticedBuffer) Write(p []byte) (int, error) {
	defer b.once.Do(func() { close(b.noticed) })
	return b.lockedBuffer.Write(p)
}

// peer2 is a client of HTTP/2 that notes the frames it gets, by stream.
type peer2 struct {
	framer  *http2.Framer
	header  bytes.Buffer
	encode  *hpack.Encoder
	frames  map[uint32][]string
	ended   map[uint32]bool
	streams int // how many there are
	pongs   int
	err     error
}

func newPeer2(t *testing.T, conn net.Conn) *peer2 {
	t.Helper()
	p := &peer2{framer: http2.NewFramer(conn, conn), frames: map[uint32][]string{}, ended: map[uint32]bool{}, streams: 1}
	p.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	p.encode = hpack.NewEncoder(&p.header)
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	if err := p.framer.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	return p
}

// sendHeader sends fields on stream 1. A later one replaces an earlier one of its
// name, and an empty one removes it.
func (p *peer2) sendHeader(t *testing.T, fields []string, end bool) {
	t.Helper()
	p.header.Reset()
	var names []string
	values := map[string]string{}
	for f := range slices.Chunk(fields, 2) {
		if _, ok := values[f[0]]; !ok {
			names = append(names, f[0])
		}
		values[f[0]] = f[1]
	}
	for _, name := range names {
		if values[name] == "" {
			continue
		}
		if err := p.encode.WriteField(hpack.HeaderField{Name: name, Value: values[name]}); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: p.header.Bytes(), EndHeaders: true, EndStream: end}); err != nil {
		t.Fatal(err)
	}
}

// readUntil reads frames until done, or until the connection ends.
func (p *peer2) readUntil(done func() bool) {
	for !done() && p.err == nil {
		var f http2.Frame
		if f, p.err = p.framer.ReadFrame(); p.err == nil {
			p.note(f)
		}
	}
}

// settle reads what comes after the end of an answer, such as the reset of a
// request that was not read. The server has sent it when it answers a second
// ping: the first one may overtake it.
func (p *peer2) settle() {
	for i := 1; i <= 2 && p.err == nil; i++ {
		p.framer.WritePing(false, [8]byte{}) //nolint:errcheck // the server may have closed it
		p.readUntil(func() bool { return p.pongs == i })
	}
}

func (p *peer2) note(f http2.Frame) {
	id := f.Header().StreamID
	add := func(format string, args ...any) {
		p.frames[id] = append(p.frames[id], fmt.Sprintf(format, args...))
	}
	end := false
	switch f := f.(type) {
	case *http2.MetaHeadersFrame:
		add("HEADERS %v, end %v", withoutDate(f.Fields), f.StreamEnded())
		end = f.StreamEnded()
	case *http2.DataFrame:
		add("DATA %q, end %v", f.Data(), f.StreamEnded())
		end = f.StreamEnded()
	case *http2.RSTStreamFrame:
		add("RST_STREAM %v", f.ErrCode)
		end = true
	case *http2.PushPromiseFrame:
		fields, err := p.framer.ReadMetaHeaders.DecodeFull(f.HeaderBlockFragment())
		add("PUSH_PROMISE of stream %d %v %v", f.PromiseID, fields, err)
		p.streams++
	case *http2.PingFrame:
		p.pongs++
	case *http2.GoAwayFrame:
		add("GOAWAY last %d, %v %q", f.LastStreamID, f.ErrCode, f.DebugData())
	}
	if end {
		p.ended[id] = true
	}
}

func withoutDate(fields []hpack.HeaderField) []hpack.HeaderField {
	return slices.DeleteFunc(fields, func(f hpack.HeaderField) bool { return f.Name == "date" })
}

func (p *peer2) String() string {
	var b strings.Builder
	for _, id := range slices.Sorted(maps.Keys(p.frames)) {
		for _, f := range p.frames[id] {
			fmt.Fprintf(&b, "stream %d: %s\n", id, f)
		}
	}
	if p.err != nil {
		fmt.Fprintf(&b, "then %v", p.err)
	}
	return b.String()
}

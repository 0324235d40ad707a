package clewhttp_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/clewtrace/clew/clewhttp"
)

// exchanges are what handlers do that a wrapper of the writer, the request or the
// body could get wrong. send is written at once, unless it has parts.
var exchanges = []struct {
	name    string
	send    []string // each part is sent when an answer to the one before has begun
	handler http.HandlerFunc
}{
	{"an answer", get("/"), func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") }},
	{"no answer", get("/"), func(http.ResponseWriter, *http.Request) {}},
	{"HEAD", []string{"HEAD / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"}, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") }},
	{"HTTP/1.0", []string{"GET / HTTP/1.0\r\n\r\n"}, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") }},
	{"pipelined", []string{"GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"}, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.URL.Path)
	}},
	{"no body allowed", get("/"), func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNoContent)
		n, err := io.WriteString(w, "hello")
		log.Print(n, err)
	}},
	{"two statuses", get("/"), func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTeapot)
		w.WriteHeader(http.StatusOK)
	}},
	{"too long for its length", get("/"), func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "3")
		_, err := io.WriteString(w, "hello")
		fmt.Fprint(w, err)
	}},
	{"103 early hints", get("/"), func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusAccepted)
	}},
	{"100-continue", []string{"POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\nConnection: close\r\n\r\n", "hello"}, echo},
	{"100-continue, not wanted", []string{"POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"}, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
	}},
	{"a chunked request with trailers", []string{"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTrailer: X-End\r\nConnection: close\r\n\r\n5\r\nhello\r\n0\r\nX-End: yes\r\n\r\n"}, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		fmt.Fprint(w, string(body), err, r.Trailer)
	}},
	{"a chunked request with a trailer that is not announced", []string{"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\n0\r\nX-End: yes\r\n\r\n"}, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		fmt.Fprint(w, string(body), err, r.Trailer)
	}},
	{"trailers", get("/"), func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		io.WriteString(w, "hello")
		w.Header().Set("X-Sum", "1")
		w.Header().Set(http.TrailerPrefix+"X-Late", "2")
	}},
	{"server-sent events", get("/"), func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 3 {
			fmt.Fprintf(w, "data: %d\n\n", i)
			if err := http.NewResponseController(w).Flush(); err != nil {
				fmt.Fprint(w, err)
			}
		}
	}},
	{"an upgrade", []string{"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n", "ping"}, upgrade},
	{"an upgrade through the controller", []string{"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n", "ping"}, upgradeByController},
	{"CONNECT", []string{"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n", "ping"}, upgrade},
	{"deadlines", get("/"), func(w http.ResponseWriter, _ *http.Request) {
		c := http.NewResponseController(w)
		fmt.Fprint(w, c.SetReadDeadline(time.Now().Add(time.Hour)), c.SetWriteDeadline(time.Now().Add(time.Hour)), c.EnableFullDuplex())
	}},
	{"a write deadline that has passed", get("/"), func(w http.ResponseWriter, _ *http.Request) {
		if err := http.NewResponseController(w).SetWriteDeadline(time.Unix(1, 0)); err != nil {
			log.Print(err)
		}
		io.WriteString(w, "never arrives")
	}},
	{"full duplex", []string{"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nConnection: close\r\n\r\n", "hello"}, func(w http.ResponseWriter, r *http.Request) {
		c := http.NewResponseController(w)
		if err := c.EnableFullDuplex(); err != nil {
			fmt.Fprint(w, err)
		}
		io.WriteString(w, "first")
		if err := c.Flush(); err != nil {
			fmt.Fprint(w, err)
		}
		echo(w, r)
	}},
	{"interfaces", get("/"), func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, interfacesOf(w)) }},
	{"a file", get("/"), func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, "testdata/page.txt") }},
	{"a part of a file", []string{"GET / HTTP/1.1\r\nHost: h\r\nRange: bytes=2-5\r\nConnection: close\r\n\r\n"}, func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, "testdata/page.txt")
	}},
	{"a redirect", get("/a"), func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/b", http.StatusFound) }},
	{"an abort", get("/"), func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "half")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}},
	{"a panic", get("/"), func(http.ResponseWriter, *http.Request) { panic("no way out") }},
	{"a body that is not read", post(1000), func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "no") }},
	{"MaxBytesReader", post(3000), func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, 1000)
		if _, err := io.ReadAll(r.Body); err != nil {
			http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
		}
	}},
	{"MaxBytesReader, below the limit", post(500), func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, 1000)
		echo(w, r)
	}},
	{"MaxBytesReader, not read to the end", post(3000), func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, 1000)
		io.ReadFull(r.Body, make([]byte, 100)) //nolint:errcheck // whatever comes
	}},
	{"a form", []string{"POST / HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 7\r\nConnection: close\r\n\r\na=1&b=2"}, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.FormValue("a"), r.FormValue("b"))
	}},
}

func get(path string) []string {
	return []string{"GET " + path + " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"}
}

// post is followed by another request, so that it shows whether the connection
// is kept.
func post(size int) []string {
	return []string{fmt.Sprintf("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%sGET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", size, strings.Repeat("x", size))}
}

func echo(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(w, r.Body); err != nil {
		fmt.Fprint(w, err)
	}
}

func upgrade(w http.ResponseWriter, _ *http.Request) {
	answerUpgrade(w.(http.Hijacker).Hijack())
}

func upgradeByController(w http.ResponseWriter, _ *http.Request) {
	answerUpgrade(http.NewResponseController(w).Hijack())
}

func answerUpgrade(conn net.Conn, rw *bufio.ReadWriter, err error) {
	if err != nil {
		log.Print(err)
		return
	}
	defer conn.Close()
	rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n") //nolint:errcheck // the flush tells
	rw.Flush()                                                                                         //nolint:errcheck // a test
	ping := make([]byte, 4)
	io.ReadFull(rw, ping) //nolint:errcheck // a test
	conn.Write(ping)      //nolint:errcheck // a test
}

// interfacesOf lists the optional interfaces of a writer.
func interfacesOf(w http.ResponseWriter) string {
	var has []string
	note := func(name string, ok bool) {
		if ok {
			has = append(has, name)
		}
	}
	_, ok := w.(http.Flusher)
	note("Flusher", ok)
	_, ok = w.(interface{ FlushError() error })
	note("FlushError", ok)
	_, ok = w.(http.Hijacker)
	note("Hijacker", ok)
	_, ok = w.(http.CloseNotifier) //nolint:staticcheck // deprecated, but there
	note("CloseNotifier", ok)
	_, ok = w.(http.Pusher)
	note("Pusher", ok)
	_, ok = w.(io.ReaderFrom)
	note("ReaderFrom", ok)
	_, ok = w.(io.StringWriter)
	note("StringWriter", ok)
	_, ok = w.(interface{ SetReadDeadline(time.Time) error })
	note("SetReadDeadline", ok)
	_, ok = w.(interface{ SetWriteDeadline(time.Time) error })
	note("SetWriteDeadline", ok)
	_, ok = w.(interface{ EnableFullDuplex() error })
	note("EnableFullDuplex", ok)
	return strings.Join(has, " ")
}

// TestThePeerSeesTheSame runs each exchange with the Handler and without it, and
// compares what comes over the connection, byte by byte but for the date.
func TestThePeerSeesTheSame(t *testing.T) {
	for _, x := range exchanges {
		t.Run(x.name, func(t *testing.T) {
			tel := newTelemetry(t)
			plain, plainLog := talk(t, x.handler, x.send)
			for name, h := range map[string]http.Handler{
				"Handler":         tel.handler(x.handler),
				"nested":          tel.handler(clewhttp.Route(tel.handler(x.handler))),
				"not trusted":     tel.handler(x.handler, clewhttp.WithTrust(nil)),
				"left out":        tel.handler(x.handler, clewhttp.WithFilter(func(*http.Request) bool { return false })),
				"a mux inside it": tel.handler(muxOf(x.handler)),
			} {
				if x.name == "CONNECT" && name == "a mux inside it" {
					continue // it would answer itself
				}
				traced, tracedLog := talk(t, h, x.send)
				if traced != plain {
					t.Errorf("%s: the peer sees\n%q\nwant\n%q", name, traced, plain)
				}
				if tracedLog != plainLog {
					t.Errorf("%s: the server logs\n%s\nwant\n%s", name, tracedLog, plainLog)
				}
			}
		})
	}
}

func muxOf(h http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", h)
	return mux
}

var changes = regexp.MustCompile(`Date: [^\r]*\r|127\.0\.0\.1:\d+|(?s:\ngoroutine .*)|call from .*`) // net/http names the wrapper

// talk returns all that a server sends and logs.
func talk(t *testing.T, h http.Handler, parts []string) (sent, logged string) {
	t.Helper()
	var lines lockedBuffer
	server := httptest.NewUnstartedServer(h)
	server.Config.ErrorLog = log.New(&lines, "", 0)
	server.Start()
	conn, err := net.Dial("tcp", server.Listener.Addr().String()) //nolint:noctx // closed below
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil { // nothing takes as long
		t.Fatal(err)
	}
	var got bytes.Buffer
	buffer := make([]byte, 1<<16)
	for i, part := range parts {
		if i > 0 {
			n, _ := conn.Read(buffer)
			got.Write(buffer[:n])
		}
		conn.Write([]byte(part)) //nolint:errcheck // the server may have closed it
	}
	conn.(*net.TCPConn).CloseWrite() //nolint:errcheck // the server may have closed it
	io.Copy(&got, conn)              //nolint:errcheck // a reset is one of the ends
	conn.Close()
	server.Close()
	return changes.ReplaceAllString(got.String(), ""), changes.ReplaceAllString(lines.String(), "")
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// TestFilesAreSentByTheKernel sees what the connection is given to read from:
// net/http hands it a file as it is, for sendfile.
func TestFilesAreSentByTheKernel(t *testing.T) {
	path := filepath.Join(t.TempDir(), "big")
	if err := os.WriteFile(path, bytes.Repeat([]byte("x"), 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	serve := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, path) })
	tel := newTelemetry(t)
	want := sourcesOf(t, serve)
	if got := sourcesOf(t, tel.handler(serve)); got != want || !strings.Contains(got, "*os.File") {
		t.Errorf("the connection read from %s, want %s", got, want)
	}
	if size := text(tel.spans.Ended()[0], "http.response.body.size"); size != "1048576" {
		t.Errorf("the size of the body is %s", size)
	}
}

// sourcesOf fetches from h and lists what its connection has read from.
func sourcesOf(t *testing.T, h http.Handler) string {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	seen := &readingListener{Listener: server.Listener}
	server.Listener = seen
	server.Start()
	if status, body := fetch(t, server.URL); status != 200 || len(body) != 1<<20 {
		t.Errorf("status %d, %d bytes", status, len(body))
	}
	server.Close()
	return seen.sources.String()
}

type readingListener struct {
	net.Listener
	sources lockedBuffer
}

func (l *readingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return readingConn{conn.(*net.TCPConn), &l.sources}, nil
}

type readingConn struct {
	*net.TCPConn
	sources *lockedBuffer
}

func (c readingConn) ReadFrom(src io.Reader) (int64, error) {
	if limited, ok := src.(*io.LimitedReader); ok {
		fmt.Fprintf(c.sources, "%T of %T ", src, limited.R)
	} else {
		fmt.Fprintf(c.sources, "%T ", src)
	}
	return c.TCPConn.ReadFrom(src)
}

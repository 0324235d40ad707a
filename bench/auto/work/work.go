// Package work is what the contenders do. It knows nothing of tracing.
package work

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// Mux answers with a greeting.
func Mux() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /hello/{name}", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") })
	return mux
}

// Main does what standard input asks for, "server 1000" for example, and prints
// the nanoseconds of processor time and the allocations of one operation.
func Main(h http.Handler) {
	runtime.GOMAXPROCS(1)
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // as programs do that know nothing of tracing
	if err != nil {
		log.Fatal(err)
	}
	go http.Serve(l, h)                             //nolint:errcheck // until the end
	conn, err := net.Dial("tcp", l.Addr().String()) //nolint:noctx // the same
	if err != nil {
		log.Fatal(err)
	}
	logger := slog.New(slog.NewTextHandler(io.Discard, nil)) //nolint:sloglint // it has to format
	buf, wg := make([]byte, 4096), sync.WaitGroup{}
	operations := map[string]func(){
		"server": func() {
			if _, err := io.WriteString(conn, "GET /hello/x HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
				log.Fatal(err)
			}
			if _, err := conn.Read(buf); err != nil {
				log.Fatal(err)
			}
		},
		"both": func() {
			resp, err := http.Get("http://" + l.Addr().String() + "/hello/x") //nolint:noctx // the same
			if err != nil {
				log.Fatal(err)
			}
			io.Copy(io.Discard, resp.Body) //nolint:errcheck // of no interest
			resp.Body.Close()
		},
		"go":        func() { wg.Add(1); go wg.Done(); wg.Wait() },
		"slog":      func() { logger.Info("message", "k", 1) },
		"afterfunc": func() { time.AfterFunc(time.Hour, func() {}).Stop() },
	}
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		var name string
		var n int
		if _, err := fmt.Sscan(in.Text(), &name, &n); err != nil {
			log.Fatal(err)
		}
		measure(operations[name], n)
	}
}

func measure(f func(), n int) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	start := processor()
	for range n {
		f()
	}
	used := processor() - start
	runtime.ReadMemStats(&after)
	fmt.Println(float64(used.Nanoseconds())/float64(n), float64(after.Mallocs-before.Mallocs)/float64(n))
}

func processor() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		log.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

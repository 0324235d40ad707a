package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// load sends requests over conns connections until ctx ends, rate of them per
// second, or as many as are answered if rate is 0. It returns how many were.
func load(ctx context.Context, addr string, conns, rate int) int64 {
	var n atomic.Int64
	var wg sync.WaitGroup
	start := time.Now()
	for range conns {
		wg.Go(func() {
			conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
			if err != nil {
				return
			}
			defer conn.Close()
			r := bufio.NewReader(conn)
			request := []byte("GET / HTTP/1.1\r\nHost: bench\r\n\r\n")
			for i := 0; ctx.Err() == nil; i++ {
				if rate > 0 {
					due := start.Add(time.Duration(i) * time.Second * time.Duration(conns) / time.Duration(rate))
					if wait := time.Until(due); wait > 0 {
						time.Sleep(wait)
					}
				}
				if _, err := conn.Write(request); err != nil {
					return
				}
				resp, err := http.ReadResponse(r, nil)
				if err != nil {
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
				n.Add(1)
			}
		})
	}
	wg.Wait()
	return n.Load()
}

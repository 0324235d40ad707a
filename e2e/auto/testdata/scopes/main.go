// Command scopes serves requests that call an upstream in many ways, none of
// which passes a context on, and makes these requests to itself.
package main

import (
	"context"
	"fmt"
	"io"
	"iter"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"
)

var front, upstream string

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

func up(what string) { get(upstream + "/up/" + what) }

func listen(h http.Handler) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go http.Serve(l, h)
	return "http://" + l.Addr().String()
}

// workers starts workers, which live on.
func workers(n int) chan<- func() {
	jobs := make(chan func())
	for range n {
		go func() {
			for f := range jobs {
				f()
			}
		}()
	}
	return jobs
}

func main() {
	early := workers(2) // in no request
	var (
		once sync.Once
		late chan<- func()
		done sync.WaitGroup // of what outlives its request
	)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /fan/{id}", func(w http.ResponseWriter, r *http.Request) {
		var wg sync.WaitGroup
		for i := range 3 {
			wg.Go(func() { up(r.PathValue("id") + "/" + strconv.Itoa(i)) })
		}
		wg.Wait()
	})
	mux.HandleFunc("GET /timers", func(w http.ResponseWriter, r *http.Request) {
		var wg sync.WaitGroup
		wg.Add(2)
		time.AfterFunc(time.Millisecond, func() { defer wg.Done(); up("timer") })
		ctx, cancel := context.WithCancel(context.Background())
		context.AfterFunc(ctx, func() { defer wg.Done(); up("context") })
		cancel()
		wg.Wait()
	})
	mux.HandleFunc("GET /pull", func(w http.ResponseWriter, r *http.Request) {
		next, stop := iter.Pull(func(yield func(int) bool) { up("pull"); yield(1) })
		next()
		stop()
	})
	mux.HandleFunc("GET /early", func(w http.ResponseWriter, r *http.Request) { // a pool from before
		answered := make(chan bool)
		early <- func() { up("early"); close(answered) }
		<-answered
	})
	mux.HandleFunc("GET /late", func(w http.ResponseWriter, r *http.Request) { // a pool that the first request starts
		once.Do(func() { late = workers(1) })
		answered := make(chan bool)
		late <- func() { up("late"); close(answered) }
		<-answered
	})
	answered := make(chan bool)
	mux.HandleFunc("GET /outlives", func(w http.ResponseWriter, r *http.Request) {
		done.Go(func() { <-answered; up("outlives") })
	})
	ctx, cancel := context.WithCancel(context.Background())
	var timer *time.Timer
	mux.HandleFunc("GET /timers-outlive", func(w http.ResponseWriter, r *http.Request) {
		done.Add(2)
		timer = time.AfterFunc(time.Hour, func() { defer done.Done(); up("timer") })
		context.AfterFunc(ctx, func() { defer done.Done(); up("context") })
	})
	mux.HandleFunc("GET /panics", func(w http.ResponseWriter, r *http.Request) { panic("boom") })
	front, upstream = listen(mux), listen(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "ok") }))

	requests, err := strconv.Atoi(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	for _, path := range []string{"/timers", "/pull", "/early", "/late", "/late", "/outlives", "/timers-outlive"} {
		get(front + path)
	}
	close(answered)
	timer.Reset(0)
	cancel()
	done.Wait()
	http.DefaultClient.CloseIdleConnections() // a request over a new connection is not repeated
	http.Get(front + "/panics")
	load := workers(64)
	var wg sync.WaitGroup
	for i := range requests {
		wg.Add(1)
		load <- func() { defer wg.Done(); get(front + "/fan/" + strconv.Itoa(i)) }
	}
	wg.Wait()
}

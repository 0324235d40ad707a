// Command exits makes a request to itself, and ends in the way that its argument
// says.
package main

import (
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {}))
	if resp, err := http.Get("http://" + l.Addr().String() + "/"); err == nil {
		resp.Body.Close()
	}
	ends[os.Args[1]]()
}

// blocked is a writer that does not come back.
type blocked struct{}

func (blocked) Write([]byte) (int, error) {
	wait()
	return 0, nil
}

// last is one that ends the program.
type last struct{}

func (last) Write([]byte) (int, error) {
	os.Exit(3)
	return 0, nil
}

// wait tells the test that a signal may come.
func wait() {
	fmt.Println("ready")
	select {}
}

var ends = map[string]func(){
	"return":  func() {},
	"exit":    func() { os.Exit(3) },
	"blocked": func() { log.SetOutput(blocked{}); log.Print("blocked") },
	"last":    func() { log.SetOutput(last{}); log.Print("last") },
	"fatal":   func() { log.Fatal("fatal") },
	"panic":   func() { panic(errors.New("main panics")) },
	"nested":  func() { defer func() { panic("second") }(); panic("first") },
	"gopanic": func() { go func() { var m map[string]int; m["x"] = 1 }(); select {} },
	"signal":  wait,
	"own": func() { // a handler that takes its time
		c := make(chan os.Signal, 1)
		signal.Notify(c, syscall.SIGTERM)
		fmt.Println("ready")
		fmt.Println("got", <-c)
		time.Sleep(50 * time.Millisecond)
		os.Exit(7)
	},
	"stopped": func() {
		c := make(chan os.Signal, 1)
		signal.Notify(c, syscall.SIGTERM)
		signal.Stop(c)
		wait()
	},
	"reset": func() {
		c := make(chan os.Signal, 1)
		signal.Notify(c, syscall.SIGTERM)
		signal.Reset()
		wait()
	},
	"ignored": func() {
		signal.Ignore(syscall.SIGTERM)
		c := make(chan os.Signal, 1)
		signal.Notify(c, syscall.SIGUSR1)
		fmt.Println("ready")
		<-c
	},
	"hangup": wait,
}

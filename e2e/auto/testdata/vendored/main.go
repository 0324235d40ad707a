// Command vendored serves a page by a router, and asks for it.
package main

import (
	"fmt"
	"log"
	"net"
	"net/http"

	"github.com/gorilla/mux"
)

func main() {
	m := mux.NewRouter()
	m.HandleFunc("/users/{id:[0-9]+}", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "gorilla") })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go http.Serve(l, m)
	resp, err := http.Get("http://" + l.Addr().String() + "/users/7")
	if err != nil {
		log.Fatal(err)
	}
	resp.Body.Close()
}

// Command after records HTTP with clewhttp.
package main

import (
	"log"
	"net/http"

	"github.com/clewtrace/clew/clewhttp"
)

// begin
func newHandler(mux *http.ServeMux) http.Handler {
	return clewhttp.Handler(mux,
		clewhttp.WithFilter(func(r *http.Request) bool { return r.URL.Path != "/healthz" }),
		clewhttp.WithTrust(nil)) // nobody is trusted: every caller gets a new trace, linked to its own
}

func newClient() *http.Client {
	return &http.Client{Transport: clewhttp.Transport(nil)}
}

// end

func main() {
	client := newClient()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /orders/{id}", func(w http.ResponseWriter, r *http.Request) { fetch(w, r, client) })
	log.Fatal(http.ListenAndServe("localhost:8000", newHandler(mux))) //nolint:gosec // a page of documentation
}

func fetch(w http.ResponseWriter, r *http.Request, client *http.Client) {
	req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, "http://stock:8000/", http.NoBody)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	resp, err := client.Do(req)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	w.WriteHeader(resp.StatusCode)
	_ = resp.Body.Close()
}

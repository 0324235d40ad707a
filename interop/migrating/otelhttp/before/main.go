// Command before records HTTP with otelhttp.
package main

import (
	"log"
	"net/http"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
)

// begin
func newHandler(mux *http.ServeMux) http.Handler {
	return otelhttp.NewHandler(mux, "orders",
		otelhttp.WithFilter(func(r *http.Request) bool { return r.URL.Path != "/healthz" }),
		otelhttp.WithPublicEndpointFn(func(*http.Request) bool { return true }))
}

func newClient() *http.Client {
	return &http.Client{Transport: otelhttp.NewTransport(http.DefaultTransport)}
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

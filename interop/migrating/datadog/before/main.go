// Command before is traced by Datadog's library.
package main

import (
	"context"
	"log"
	"net/http"

	httptrace "github.com/DataDog/dd-trace-go/contrib/net/http/v2"
	"github.com/DataDog/dd-trace-go/v2/ddtrace/tracer"
)

// begin
func main() {
	if err := tracer.Start(tracer.WithService("orders"), tracer.WithEnv("prod")); err != nil {
		log.Print(err)
	}
	defer tracer.Stop()
	mux := httptrace.NewServeMux()
	mux.HandleFunc("GET /orders/{id}", func(w http.ResponseWriter, r *http.Request) {
		if err := look(r.Context(), r.PathValue("id")); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	log.Print(http.ListenAndServe(":8000", mux))
}

func look(ctx context.Context, id string) (err error) {
	span, ctx := tracer.StartSpanFromContext(ctx, "look", tracer.Tag("order.id", id))
	defer func() { span.Finish(tracer.WithError(err)) }()
	client := httptrace.WrapClient(&http.Client{})
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://stock:8000/"+id, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// end

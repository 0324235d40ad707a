// Command before is traced by Elastic's library.
package main

import (
	"context"
	"log"
	"net/http"

	"go.elastic.co/apm/module/apmhttp/v2"
	"go.elastic.co/apm/v2"
)

// begin
func main() {
	defer apm.DefaultTracer().Close()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /orders/{id}", func(w http.ResponseWriter, r *http.Request) {
		if err := look(r.Context(), r.PathValue("id")); err != nil {
			apm.CaptureError(r.Context(), err).Send()
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	log.Print(http.ListenAndServe(":8000", apmhttp.Wrap(mux)))
}

func look(ctx context.Context, id string) error {
	span, ctx := apm.StartSpan(ctx, "look", "app")
	defer span.End()
	span.Context.SetLabel("order_id", id)
	client := apmhttp.WrapClient(http.DefaultClient)
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

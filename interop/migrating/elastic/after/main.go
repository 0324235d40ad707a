// Command after records the same with OpenTelemetry. It sends to Elastic, which
// takes OTLP: OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_HEADERS.
package main

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/clewhttp"
	"github.com/clewtrace/clew/otelsetup"
)

// begin
var tracer = otel.Tracer("orders")

func main() { otelsetup.Main(run) }

func run(ctx context.Context) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /orders/{id}", func(w http.ResponseWriter, r *http.Request) {
		if err := look(r.Context(), r.PathValue("id")); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	return otelsetup.Serve(ctx, &http.Server{Addr: ":8000", Handler: clewhttp.Handler(mux)})
}

func look(ctx context.Context, id string) error {
	ctx, span := tracer.Start(ctx, "look", trace.WithAttributes(attribute.String("order.id", id)))
	defer span.End()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://stock:8000/"+id, http.NoBody)
	if err != nil {
		return fail(span, err)
	}
	resp, err := http.DefaultClient.Do(req) // traced since Start
	if err != nil {
		return fail(span, err)
	}
	return resp.Body.Close()
}

func fail(span trace.Span, err error) error {
	span.RecordError(err)
	span.SetStatus(codes.Error, err.Error())
	return err
}

// end

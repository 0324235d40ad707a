// Command events is a server that passes published events on to subscribers as
// server-sent events, and the two kinds of client that go with it.
//
//	OTEL_SERVICE_NAME=server go run ./examples/events
//	OTEL_SERVICE_NAME=subscriber go run ./examples/events -subscribe -count 1
//	OTEL_SERVICE_NAME=publisher go run ./examples/events -publish 'kettle is hot'
package main

import (
	"context"
	"flag"
	"log/slog"
	"net"
	"net/http"
	"time"

	"go.opentelemetry.io/otel"

	"github.com/clewtrace/clew/clewhttp"
	"github.com/clewtrace/clew/otelsetup"
	"github.com/clewtrace/clew/propagator"
)

var tracer = otel.Tracer("events")

// event is what travels. The trace context is inside it, for the header fields
// of a stream are sent once, before the first event.
type event struct {
	Text  string           `json:"text"`
	Trace propagator.Saved `json:"trace"`
}

func main() {
	addr := flag.String("addr", "localhost:8000", "`address` to listen on")
	url := flag.String("url", "http://localhost:8000/events", "`URL` of the server, for its clients")
	publishText := flag.String("publish", "", "`text` to publish")
	subscribed := flag.Bool("subscribe", false, "print events")
	count := flag.Int("count", 0, "`number` of events after which a subscriber leaves; 0 stays until it is interrupted")
	flag.Parse()
	otelsetup.Main(func(ctx context.Context) error {
		switch {
		case *publishText != "":
			return publish(ctx, *url, *publishText)
		case *subscribed:
			return subscribe(ctx, *url, *count)
		default:
			return serve(ctx, *addr)
		}
	})
}

func serve(ctx context.Context, addr string) error {
	h := &hub{subscribers: make(map[chan event]bool)}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /events", h.publish)
	mux.HandleFunc("GET /events", h.stream)
	return otelsetup.Serve(ctx, &http.Server{
		Addr:              addr,
		Handler:           clewhttp.Handler(mux),
		ReadHeaderTimeout: 10 * time.Second,
		BaseContext: func(l net.Listener) context.Context {
			slog.Info("Listening on http://" + l.Addr().String() + "/")
			return ctx // a stream has no end of its own: Serve would wait for it
		},
	})
}

// Command broker passes orders through NATS JetStream: a server, publishers, and
// a consumer that handles several orders at a time.
//
//	OTEL_SERVICE_NAME=broker go run ./broker serve
//	OTEL_SERVICE_NAME=shop go run ./broker -count 5 publish
//	OTEL_SERVICE_NAME=billing go run ./broker -count 5 -batch 3 consume
package main

import (
	"context"
	"flag"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel"

	"github.com/clewtrace/clew/otelsetup"
)

var tracer = otel.Tracer("broker")

// subject is the name of the subject, and of the stream that stores it.
const subject = "orders"

func main() {
	addr := flag.String("addr", "localhost:4222", "`address` to serve on")
	dir := flag.String("dir", "broker-data", "`folder` in which the server keeps messages")
	url := flag.String("url", nats.DefaultURL, "`URL` of the server, for its clients")
	count := flag.Int("count", 1, "`number` of orders to publish or consume")
	batch := flag.Int("batch", 10, "`number` of orders at most that are consumed together")
	flag.Parse()
	otelsetup.Main(func(ctx context.Context) error {
		switch command := flag.Arg(0); command {
		case "serve":
			return serve(ctx, *addr, *dir)
		case "publish", "consume":
			return withStream(ctx, *url, func(js jetstream.JetStream) error {
				if command == "publish" {
					return publish(ctx, js, *count)
				}
				return consume(ctx, js, *count, *batch)
			})
		default:
			return fmt.Errorf("command %q: want serve, publish or consume", command)
		}
	})
}

// withStream connects to the server at url for as long as use runs.
func withStream(ctx context.Context, url string, use func(jetstream.JetStream) error) error {
	conn, err := nats.Connect(url)
	if err != nil {
		return fmt.Errorf("-url %s: %w", url, err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return err
	}
	if _, err := js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{Name: subject, Subjects: []string{subject}}); err != nil {
		return err
	}
	return use(js)
}

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// serve runs a NATS server in this process. It is stock: a broker needs to know
// nothing about traces to pass them on.
func serve(ctx context.Context, addr, dir string) error {
	host, portText, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("-addr: %w", err)
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return fmt.Errorf("-addr %s: port %q is not a number", addr, portText)
	}
	if port == 0 {
		port = server.RANDOM_PORT
	}
	broker, err := server.NewServer(&server.Options{
		Host: host, Port: port, JetStream: true, StoreDir: dir, NoLog: true, NoSigs: true,
	})
	if err != nil {
		return err
	}
	broker.Start()
	defer broker.WaitForShutdown()
	defer broker.Shutdown()
	if !broker.ReadyForConnections(10 * time.Second) {
		return errors.New("-addr " + addr + ": the server is not ready after 10s")
	}
	slog.Info("Listening on " + broker.ClientURL())
	<-ctx.Done()
	return nil
}

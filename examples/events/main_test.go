package main

import (
	"testing"

	"github.com/clewtrace/clew/examples/internal/exampletest"
)

func TestMain(m *testing.M) { exampletest.Main(m, main) }

func TestEvents(t *testing.T) {
	c := exampletest.NewCollector(t)
	program := exampletest.Path(t)
	server := c.Start(t, program, "server", "-addr", "127.0.0.1:0")
	url := server.URL(t) + "/events"
	leaves := c.Start(t, program, "one", "-url", url, "-subscribe", "-count", "2")
	stays := c.Start(t, program, "two", "-url", url, "-subscribe")
	leaves.AwaitLog(t, "subscribed")
	stays.AwaitLog(t, "subscribed")
	c.Start(t, program, "kettle", "-url", url, "-publish", "kettle is hot").Wait(t, 0)
	c.Start(t, program, "toaster", "-url", url, "-publish", "toast is ready").Wait(t, 0)
	leaves.Wait(t, 0)
	stays.AwaitLog(t, "toast is ready")
	server.Stop(t)
	stays.Wait(t, 0) // the stream has ended

	c.Expect(t, `
		kettle send event PRODUCER
			kettle POST CLIENT
				server POST /events SERVER
					one process event CONSUMER links: one subscribe INTERNAL
					two process event CONSUMER links: two subscribe INTERNAL
		one subscribe INTERNAL
			one GET CLIENT
				server GET /events SERVER
		toaster send event PRODUCER
			toaster POST CLIENT
				server POST /events SERVER
					one process event CONSUMER links: one subscribe INTERNAL
					two process event CONSUMER links: two subscribe INTERNAL
		two subscribe INTERNAL
			two GET CLIENT
				server GET /events SERVER
	`)
}

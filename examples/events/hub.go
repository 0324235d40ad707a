package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"

	"github.com/clewtrace/clew/propagator"
)

const (
	maxText = 64 << 10 // bytes of an event's text
	backlog = 16       // events that wait for a subscriber
)

// hub hands each event to all subscribers of the moment.
type hub struct {
	mu          sync.Mutex
	subscribers map[chan event]bool
}

// publish saves the context of its own server span: what subscribers do with
// the event is shown below it.
func (h *hub) publish(w http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxText))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	h.send(event{Text: string(text), Trace: propagator.Save(r.Context())})
	slog.InfoContext(r.Context(), "published")
	w.WriteHeader(http.StatusAccepted)
}

// send waits for nobody. A subscriber with a full backlog is dropped, which ends
// its stream: it knows then that it has missed something.
func (h *hub) send(e event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for events := range h.subscribers {
		select {
		case events <- e:
		default:
			delete(h.subscribers, events)
			close(events)
		}
	}
}

// stream's server span lasts as long as the subscriber stays.
func (h *hub) stream(w http.ResponseWriter, r *http.Request) {
	events := make(chan event, backlog)
	h.mu.Lock()
	h.subscribers[events] = true
	h.mu.Unlock()
	defer func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.subscribers, events)
	}()

	w.Header().Set("Content-Type", "text/event-stream")
	flusher := http.NewResponseController(w)
	for {
		if err := flusher.Flush(); err != nil { // the first one sends the header
			slog.ErrorContext(r.Context(), "stream ends", slog.Any("error", err))
			return
		}
		select {
		case e, ok := <-events:
			if !ok {
				slog.WarnContext(r.Context(), "subscriber is too slow")
				return
			}
			data, err := json.Marshal(e)
			if err != nil {
				slog.ErrorContext(r.Context(), "event cannot be sent", slog.Any("error", err))
				continue
			}
			fmt.Fprintf(w, "data: %s\n\n", data)
		case <-r.Context().Done():
			return
		}
	}
}

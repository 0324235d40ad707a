package view

import (
	"bufio"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"slices"
	"strconv"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/clewtrace/clew/internal/otlpreceiver"
)

//go:embed page
var page embed.FS

// policy lets the page load its own files and nothing else, and keeps strings
// from becoming markup.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

const (
	defaultTraces = 100 // in an answer to a search
	// MostTraces is how many traces an answer to a search has at most.
	MostTraces = 1000
)

// Handler serves the page and the data of the ring that it shows. It refuses requests
// with a host name other than "localhost", an IP address or one of hosts, and requests
// that pages of other sites make.
func Handler(ring *Ring, hosts ...string) http.Handler {
	h := &handler{ring: ring, budget: otlpreceiver.NewBudget(max(ring.limit/4, minBudget)), streams: make(chan struct{}, maxStreams)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/traces", h.search)
	mux.HandleFunc("GET /api/traces/{trace}", h.trace)
	mux.HandleFunc("GET /api/traces/{trace}/otlp", h.otlp)
	mux.HandleFunc("GET /api/traces/{trace}/spans/{span}", h.span)
	mux.HandleFunc("GET /api/graph", h.graph)
	mux.HandleFunc("GET /api/operations", h.operations)
	mux.HandleFunc("GET /api/changes", h.changes)
	index := func(w http.ResponseWriter, r *http.Request) { http.ServeFileFS(w, r, page, "page/index.html") }
	for _, path := range []string{"/{$}", "/trace/{trace}", "/graph", "/operations"} {
		mux.HandleFunc("GET "+path, index)
	}
	files, err := fs.Sub(page, "page")
	if err != nil {
		panic(err) // the directory is embedded
	}
	mux.Handle("GET /files/", http.StripPrefix("/files/", http.FileServerFS(files)))
	return guard(mux, hosts)
}

type handler struct {
	ring    *Ring
	budget  *otlpreceiver.Budget // of all answers at the same time
	streams chan struct{}
}

// query reads the parameter q. It returns false if it has answered with an error.
func query(w http.ResponseWriter, r *http.Request) (Query, bool) {
	q, err := ParseQuery(r.FormValue("q"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
	return q, err == nil
}

func (h *handler) search(w http.ResponseWriter, r *http.Request) {
	q, ok := query(w, r)
	if !ok {
		return
	}
	before, err := parseNumber(r, "before", 0)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	limit, err := parseNumber(r, "limit", defaultTraces)
	if err != nil || limit > MostTraces {
		http.Error(w, fmt.Sprintf("limit must be a number up to %d", MostTraces), http.StatusBadRequest)
		return
	}
	hold := h.begin(w, r, h.ring.costOfTraces(int64(limit))) //nolint:gosec // bounded above
	if hold == nil {
		return
	}
	defer hold.Release()
	traces, more := h.ring.Search(q, before, int(limit)) //nolint:gosec // bounded above
	writeJSON(w, struct {
		More  bool  `json:"more"`
		Stats Stats `json:"stats"`
	}{more, h.ring.Stats()}, listOf("traces", slices.Values(traces)), h.ring.colourList())
}

func parseNumber(r *http.Request, name string, missing uint64) (uint64, error) {
	text := r.FormValue(name)
	if text == "" {
		return missing, nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s=%q: must be a number", name, text)
	}
	return n, nil
}

func (h *handler) trace(w http.ResponseWriter, r *http.Request) {
	var id TraceID
	if !pathID(w, r, "trace", id[:]) {
		return
	}
	st, ok := h.ring.get(id)
	if !ok {
		notHere(w)
		return
	}
	hold := h.begin(w, r, st.costOfTrace())
	if hold == nil {
		return
	}
	defer hold.Release()
	trace, ok := h.ring.Trace(id)
	if !ok {
		notHere(w)
		return
	}
	writeJSON(w, trace, listOf("names", slices.Values(trace.Names)), listOf("rows", slices.Values(trace.Rows)),
		logList("free_logs", trace.FreeLogs, trace.start), h.ring.colourList())
}

func (h *handler) span(w http.ResponseWriter, r *http.Request) {
	var trace TraceID
	var id [8]byte
	if !pathID(w, r, "trace", trace[:]) || !pathID(w, r, "span", id[:]) {
		return
	}
	st, ok := h.ring.get(trace)
	if !ok {
		notHere(w)
		return
	}
	hold := h.begin(w, r, h.ring.maxItem*expansion+st.costOfLogs())
	if hold == nil {
		return
	}
	defer hold.Release()
	span, ok := h.ring.Span(trace, id)
	if !ok {
		notHere(w)
		return
	}
	writeJSON(w, span, logList("logs", span.Logs, span.start))
}

// otlp answers with the trace as it was received: a request for traces and one for
// logs, both in the JSON encoding of OTLP.
func (h *handler) otlp(w http.ResponseWriter, r *http.Request) {
	var id TraceID
	if !pathID(w, r, "trace", id[:]) {
		return
	}
	st, ok := h.ring.get(id)
	if !ok {
		notHere(w)
		return
	}
	hold := h.begin(w, r, h.ring.maxItem*expansion+int64(len(st.spans)+len(st.logs))*costOfLog)
	if hold == nil {
		return
	}
	defer hold.Release()
	spans := groups(st.spans, func(s otlpreceiver.Span) (otlpreceiver.Origin, proto.Message) { return s.Origin, s.Span })
	logs := groups(st.logs, func(l otlpreceiver.Log) (otlpreceiver.Origin, proto.Message) { return l.Origin, l.LogRecord })
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	out := bufio.NewWriterSize(w, answerBuffer)
	out.WriteString(`{"traces":`) //nolint:errcheck // Flush returns it
	writeRequest(out, names{"resourceSpans", "scopeSpans", "spans"}, spans)
	out.WriteString(`,"logs":`) //nolint:errcheck // as above
	writeRequest(out, names{"resourceLogs", "scopeLogs", "logRecords"}, logs)
	out.WriteString("}") //nolint:errcheck // as above
	out.Flush()          //nolint:errcheck // the page is gone
}

func (h *handler) graph(w http.ResponseWriter, r *http.Request) {
	h.sums(w, r, func(q Query) []list {
		g := h.ring.Graph(q)
		return []list{listOf("nodes", slices.Values(g.Nodes)), listOf("edges", slices.Values(g.Edges))}
	})
}

func (h *handler) operations(w http.ResponseWriter, r *http.Request) {
	h.sums(w, r, func(q Query) []list { return []list{listOf("operations", slices.Values(h.ring.Operations(q)))} })
}

// sums answers with sums over the traces that the query selects.
func (h *handler) sums(w http.ResponseWriter, r *http.Request, of func(Query) []list) {
	q, ok := query(w, r)
	if !ok {
		return
	}
	hold := h.begin(w, r, h.ring.costOfSums())
	if hold == nil {
		return
	}
	defer hold.Release()
	writeJSON(w, struct{}{}, append(of(q), h.ring.colourList())...)
}

const (
	maxStreams  = 64 // pages that follow changes at the same time
	streamPause = 200 * time.Millisecond
	streamBeat  = 15 * time.Second // the time after which a page that is gone is noticed
)

// changes sends server-sent events: the counts of the ring, after each change of it.
func (h *handler) changes(w http.ResponseWriter, r *http.Request) {
	select {
	case h.streams <- struct{}{}:
		defer func() { <-h.streams }()
	default:
		http.Error(w, "too many open pages", http.StatusServiceUnavailable)
		return
	}
	changes, stop := h.ring.Watch()
	defer stop()
	w.Header().Set("Content-Type", "text/event-stream")
	out := http.NewResponseController(w)
	beat := time.NewTicker(streamBeat)
	defer beat.Stop()
	for {
		stats, err := json.Marshal(h.ring.Stats())
		if err != nil {
			return
		}
		fmt.Fprintf(w, "data: %s\n\n", stats)
		if out.Flush() != nil {
			return
		}
		select {
		case <-time.After(streamPause):
		case <-r.Context().Done():
			return
		}
		select {
		case <-changes:
		case <-beat.C:
		case <-r.Context().Done():
			return
		}
	}
}

// pathID reads an id in hex from the path. It returns false if it has answered with an
// error.
func pathID(w http.ResponseWriter, r *http.Request, name string, id []byte) bool {
	b, err := hex.DecodeString(r.PathValue(name))
	if err != nil || len(b) != len(id) {
		http.Error(w, fmt.Sprintf("a %s id has %d hex digits", name, 2*len(id)), http.StatusBadRequest)
		return false
	}
	copy(id, b)
	return true
}

func notHere(w http.ResponseWriter) {
	http.Error(w, "not here: it was not received, or made room for newer traces", http.StatusNotFound)
}

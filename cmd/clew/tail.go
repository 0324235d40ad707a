package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/clewtrace/clew/internal/view"
)

const tailHelp = `Usage: clew tail [flags] [term ...]

Prints the traces of a running clew view as they end, a line each: time, id,
duration, status, service and name of the root. The terms select traces as on
the page: error, service=shop, name~cart, duration>100ms, http.route=/cart, ...

  -from address    page of the clew view (default http://127.0.0.1:4380)
  -n number        print so many of the latest traces first (default 10)
  -tree            print failed and slow traces as trees
  -slow duration   what is slow (default 1s)
  -trace id        print this trace as a tree, and end; 8 digits of it will do
  -json            print JSON, a trace per line
  -settle duration a trace has ended when its root is there and nothing more
                   arrived for so long (default 1s; 5s without a root)

Put -- before a first term that begins with a minus: clew tail -- -service=shop
`

type tailConfig struct {
	from         string
	query        string
	trace        string
	latest       int
	tree, json   bool
	slow, settle time.Duration
}

func parseTail(args []string) (tailConfig, error) {
	var c tailConfig
	f := newFlagSet("tail")
	f.StringVar(&c.from, "from", "http://127.0.0.1:4380", "")
	f.IntVar(&c.latest, "n", 10, "")
	f.BoolVar(&c.tree, "tree", false, "")
	f.DurationVar(&c.slow, "slow", time.Second, "")
	f.StringVar(&c.trace, "trace", "", "")
	f.BoolVar(&c.json, "json", false, "")
	f.DurationVar(&c.settle, "settle", time.Second, "")
	if err := parse(f, args); err != nil {
		return c, err
	}
	if !strings.Contains(c.from, "://") {
		c.from = "http://" + c.from
	}
	u, err := url.Parse(c.from)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return c, usageError{fmt.Errorf("-from %q: must be an address such as http://127.0.0.1:4380", c.from)}
	}
	c.from = u.Scheme + "://" + u.Host
	if c.latest < 0 || c.latest > view.MostTraces {
		return c, usageError{fmt.Errorf("-n %d: must be 0 to %d", c.latest, view.MostTraces)}
	}
	if c.settle <= 0 {
		return c, usageError{fmt.Errorf("-settle %v: must be more than 0", c.settle)}
	}
	if c.slow < 0 {
		return c, usageError{fmt.Errorf("-slow %v: must be 0 or more", c.slow)}
	}
	if c.trace != "" && f.NArg() > 0 {
		return c, usageError{fmt.Errorf("-trace takes no terms, but there is %q", f.Arg(0))}
	}
	if word := flagAmongTerms(f, args); word != "" {
		return c, usageError{fmt.Errorf("%s stands behind the term %q: flags come first", word, f.Arg(0))}
	}
	words := slices.Clone(f.Args())
	for i, word := range words {
		words[i] = quoteTerm(word)
	}
	c.query = strings.Join(words, " ")
	if _, err := view.ParseQuery(c.query); err != nil {
		return c, usageError{err}
	}
	return c, nil
}

// flagAmongTerms returns the first term that looks like a flag, unless the arguments
// have a -- in front of the terms. -trace=id is a term as well.
func flagAmongTerms(f *flag.FlagSet, args []string) string {
	if slices.Contains(args, "--") {
		return ""
	}
	for _, word := range f.Args() {
		name, _, valued := strings.Cut(strings.TrimLeft(word, "-"), "=")
		if strings.HasPrefix(word, "-") && f.Lookup(name) != nil && (name != "trace" || !valued) {
			return word
		}
	}
	return ""
}

// quoteTerm restores the quotes that a shell removed from a term with spaces, such as
// name="GET /".
func quoteTerm(word string) string {
	if strings.Contains(word, `"`) || !strings.ContainsAny(word, " \t\n") {
		return word
	}
	return `"` + word + `"`
}

func runTail(ctx context.Context, args []string, std stdio) error {
	c, err := parseTail(args)
	if err != nil {
		return err
	}
	t := &tailer{
		tailConfig: c,
		source:     newViewClient(c.from),
		out:        tailPrinter{newPrinter(std.out)},
		warn:       std.err,
		known:      make(map[string]*tailed),
	}
	defer t.source.close()
	if c.trace != "" {
		return t.one(ctx)
	}
	err = t.follow(ctx)
	if ctx.Err() != nil {
		return nil // the usual end
	}
	return err
}

// A tailer prints the traces of one clew view.
type tailer struct {
	tailConfig
	source *viewClient
	out    tailPrinter
	warn   io.Writer
	known  map[string]*tailed // by id, the traces of the last answer
	began  bool               // an answer was received
}

// tailed is what is known about a trace.
type tailed struct {
	spans   int
	changed time.Time
	printed bool // or older than what is printed at the start
	open    bool // older, but without its root, which may yet come
}

// one prints the trace that the flag -trace names.
func (t *tailer) one(ctx context.Context) error {
	id := strings.ToLower(t.trace)
	if len(id) != 32 {
		found, err := t.source.search(ctx, "trace="+id, 2)
		if err != nil {
			return err
		}
		if len(found) != 1 {
			return fmt.Errorf("%d traces have ids that begin with %q", len(found), id)
		}
		id = found[0].ID
	}
	return t.print(ctx, view.Summary{ID: id}, true)
}

// follow prints traces until ctx ends. It waits for a view that has gone away, but
// returns an error if no view was there at the start.
func (t *tailer) follow(ctx context.Context) error {
	for lost := false; ; {
		err := t.watch(ctx, func() {
			if lost {
				fmt.Fprintf(t.warn, "clew tail: %s is back\n", t.from)
			}
			lost = false
		})
		if ctx.Err() != nil || !t.began || errors.Is(err, errPrint) {
			return err
		}
		if !lost {
			fmt.Fprintf(t.warn, "clew tail: %v; waiting for it\n", plain(err.Error()))
		}
		lost = true
		select {
		case <-time.After(t.settle):
		case <-ctx.Done():
		}
	}
}

// watch asks for the traces whenever they have changed, and whenever a trace may have
// ended. It calls connected after the first answer.
func (t *tailer) watch(ctx context.Context, connected func()) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	changes, err := t.source.changes(ctx)
	if err != nil {
		return err
	}
	for {
		again, err := t.poll(ctx)
		if err != nil {
			return err
		}
		connected()
		var timer <-chan time.Time
		if again > 0 {
			timer = time.After(again)
		}
		select {
		case _, ok := <-changes:
			if !ok {
				return fmt.Errorf("%s has closed the connection", t.from)
			}
		case <-timer:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// poll prints the traces that have ended. It returns the time after which to ask again
// even if nothing changes, or 0.
func (t *tailer) poll(ctx context.Context) (again time.Duration, err error) {
	found, err := t.source.search(ctx, t.query, view.MostTraces)
	if err != nil {
		return 0, err
	}
	now := time.Now()
	known := make(map[string]*tailed, len(found))
	for i, s := range slices.Backward(found) { // the oldest first
		k := t.known[s.ID]
		if k == nil {
			older := !t.began && i >= t.latest
			k = &tailed{spans: s.Spans, changed: now, printed: older, open: older && s.Partial}
		}
		known[s.ID] = k
		if k.spans != s.Spans {
			k.spans, k.changed = s.Spans, now
			if k.open {
				k.printed, k.open = false, false
			}
		}
		if k.printed {
			continue
		}
		wait := t.settle
		if s.Partial {
			wait *= 5
		}
		// Whether a trace has changed before the start is not known. One without its root
		// may be under way.
		if left := wait - now.Sub(k.changed); left > 0 && (t.began || s.Partial) {
			if again == 0 || left < again {
				again = left
			}
			continue
		}
		if err := t.print(ctx, s, t.tree && (s.Errors > 0 || s.Duration >= int64(t.slow))); err != nil {
			return 0, err
		}
		k.printed = true
	}
	t.known, t.began = known, true
	return again, nil
}

// errPrint says that the output cannot be written.
var errPrint = errors.New("writing")

// print prints a trace as a line or as a tree.
func (t *tailer) print(ctx context.Context, s view.Summary, tree bool) error {
	if !tree {
		if t.json {
			return t.printJSON(s)
		}
		return t.out.line(s)
	}
	trace, err := t.source.trace(ctx, s.ID)
	if errors.Is(err, errGone) && s.Spans > 0 {
		return t.out.line(s) // the view has dropped it since the search
	}
	if err != nil {
		return err
	}
	trace.Messages = t.source.messages(ctx, trace)
	if t.json {
		return t.printJSON(trace)
	}
	return t.out.tree(trace)
}

func (t *tailer) printJSON(v any) error {
	if err := json.NewEncoder(t.out.out).Encode(v); err != nil {
		return fmt.Errorf("%w: %w", errPrint, err)
	}
	return nil
}

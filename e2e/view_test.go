package e2e_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"
	"google.golang.org/protobuf/proto"

	"github.com/clewtrace/clew/e2e/internal/chromium"
	"github.com/clewtrace/clew/e2e/internal/process"
	"github.com/clewtrace/clew/e2e/internal/shop"
)

var screenshots = flag.String("screenshots", "", "write screenshots of clew view to this `directory`")

// viewer is a running clew view.
type viewer struct{ page, otlp string }

var viewAddresses = regexp.MustCompile(`Page +(http://\S+)\nOTLP/HTTP +(http://\S+)\n`)

func startView(t *testing.T, args ...string) viewer {
	t.Helper()
	clew := process.Build(t, "..", "./cmd/clew")
	p := process.Start(t, clew, append([]string{"view", "-page", "127.0.0.1:0", "-http", "127.0.0.1:0", "-grpc", "127.0.0.1:0"}, args...), nil)
	var v viewer
	process.Eventually(t, 10*time.Second, func() error {
		m := viewAddresses.FindStringSubmatch(p.Stdout())
		if m == nil {
			return errors.New("clew view does not say where it listens")
		}
		v = viewer{m[1], m[2]}
		return nil
	})
	return v
}

func (v viewer) send(t *testing.T, traces ...*shop.Trace) {
	t.Helper()
	for _, trace := range traces {
		v.post(t, "/v1/traces", &trace.Traces)
		v.post(t, "/v1/logs", &trace.Logs)
	}
}

func (v viewer) post(t *testing.T, path string, msg proto.Message) {
	t.Helper()
	body, err := proto.Marshal(msg)
	if err != nil {
		t.Fatal(err)
	}
	v.postBody(t, path, "application/x-protobuf", body)
}

func (v viewer) postBody(t *testing.T, path, contentType string, body []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, v.otlp+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", path, resp.Status)
	}
}

// day is a working day's traffic, the last trace failed.
func day() []*shop.Trace {
	now := time.Now()
	var traces []*shop.Trace
	for i := range uint64(40) {
		at := now.Add(-time.Duration(40-i) * 1700 * time.Millisecond)
		if i%3 == 0 {
			traces = append(traces, shop.Checkout(i, at, i%12 == 9))
		} else {
			traces = append(traces, shop.Browse(i, at))
		}
	}
	return append(traces, shop.Checkout(100, now.Add(-2*time.Second), false), shop.Checkout(101, now, true))
}

const (
	listed = `document.querySelectorAll(".list .row").length`
	drawn  = `document.querySelectorAll(".canvas .span").length`
)

func TestViewShowsTheTutorialLive(t *testing.T) {
	v := startView(t)
	p := chromium.Open(t, 1280, 800, false)
	p.Go(v.page)
	p.Until(`document.querySelector(".empty:not([hidden])")`)

	buildExamples(t).runTutorial(t, exportTo(v.otlp))
	p.Until(listed + ` === 1 && document.querySelector(".row .amount").textContent === "4 spans"`)

	// Found by search, and not found by another.
	p.Keys("/name=call-api service=client" + kb.Enter)
	p.Until(listed + ` === 1 && location.search !== ""`)
	p.Keys(kb.Escape + "/service=nobody" + kb.Enter)
	p.Until(listed + ` === 0 && !document.querySelector(".empty").hidden`)
	p.Keys(kb.Escape + kb.Escape) // leaves the field, and the search
	p.Until(listed + ` === 1 && location.search === ""`)
	p.Keys("/http.route=/" + kb.Enter)
	p.Until(listed + ` === 1 && location.search !== ""`)

	// Opened from the keyboard: parents above children, the log line inside its span.
	p.Keys(kb.Escape + "j" + kb.Enter)
	p.Until(drawn + ` === 4`)
	names := chromium.Eval[string](p, `[...document.querySelectorAll(".span .label .name")].map((n) => n.textContent).join(" > ")`)
	if want := "call-api > GET > GET > GET /"; names != want {
		t.Errorf("spans are %s, want %s", names, want)
	}
	p.Keys("jjjj")
	p.Until(`document.querySelector(".detail")?.innerText.includes("Server: Processing request in trace context")`)
	p.Until(`document.querySelector("[role=tree]").getAttribute("aria-activedescendant") === document.querySelector(".span.selected").id`)
	p.Keys(kb.ArrowLeft)
	p.Until(`document.querySelector(".span.selected .name").textContent === "GET"`)
	p.Keys(kb.ArrowLeft)
	p.Until(drawn + ` === 3`)
	p.Keys(kb.ArrowRight)
	p.Until(drawn + ` === 4`)

	// The address leads back to the same span, and Escape to the list.
	p.Reload()
	p.Until(`document.querySelector(".span.selected .name")?.textContent === "GET" && !document.querySelector(".detail").hidden`)
	p.Keys(kb.Escape + kb.Escape)
	p.Until(`location.pathname === "/" && ` + listed + ` === 1`)
}

func TestViewShowsMarkupAsText(t *testing.T) {
	const markup = `<script>document.title = "owned"</script><img src=x onerror="document.title='owned'">`
	v := startView(t)
	trace := shop.NewTrace(1, time.Now())
	root := trace.Span(nil, markup, markup, shop.Server, 0, time.Millisecond, markup, markup)
	trace.Event(root, markup, 0, markup, markup)
	trace.Fail(0, markup, markup, root)
	trace.Log(root, markup, 9, 0, markup, markup, markup)
	trace.Span(root, markup+"2", markup, shop.Client, 0, time.Millisecond, "peer.service", markup+"3")
	v.send(t, trace)
	p := chromium.Open(t, 1280, 800, false)
	clean := func() {
		t.Helper()
		p.Until(`!document.querySelector("main script, main img") && document.title !== "owned"`)
	}
	p.Go(v.page)
	p.Until(listed + ` === 1`)
	clean()
	p.Go(v.page + "/trace/" + hex.EncodeToString(trace.ID()))
	p.Until(drawn + ` === 2`)
	p.Keys("j")
	p.Until(`document.querySelector(".attributes td")`)
	for _, part := range []string{"h1", ".label .name", ".attributes th", ".attributes td", ".exception", ".event-item:not(.exception)", ".log .body"} {
		p.Until(fmt.Sprintf(`document.querySelector("main %s").textContent.includes('<script>document.title = "owned"</script><img src=x')`, part))
	}
	clean()
	p.Go(v.page + "/graph")
	p.Until(`document.querySelectorAll(".picture .service").length === 3`)
	clean()
	p.Go(v.page + "/operations")
	p.Until(`document.querySelectorAll("tbody tr").length === 2`)
	clean()
}

func TestViewCopiesTheTrace(t *testing.T) {
	v, second := startView(t), startView(t)
	trace := shop.Checkout(1, time.Now(), true)
	v.send(t, trace)
	id := hex.EncodeToString(trace.ID())
	p := chromium.Open(t, 1280, 800, false)
	p.AllowClipboard(true)
	p.Go(v.page + "/trace/" + id)
	p.Until(drawn + ` > 10`)
	const said, clipboard = `document.getElementById("said").textContent`, `navigator.clipboard.readText()`

	p.Keys("c")
	p.Until(said + ` === "Trace copied"`)
	var copied struct{ Traces, Logs json.RawMessage }
	if err := json.Unmarshal([]byte(chromium.Eval[string](p, clipboard)), &copied); err != nil {
		t.Fatal(err)
	}
	// It can be sent again, and is the same trace then.
	second.postBody(t, "/v1/traces", "application/json", copied.Traces)
	second.postBody(t, "/v1/logs", "application/json", copied.Logs)
	const fetched = `fetch("/api/traces/%s/otlp").then((r) => r.text())`
	if got, want := chromium.Eval[string](openPage(t, second), fmt.Sprintf(fetched, id)), chromium.Eval[string](p, fmt.Sprintf(fetched, id)); got != want {
		t.Errorf("sent again it is\n%s\nwant\n%s", got, want)
	}

	p.Until(`document.querySelector("button.id").click() ?? true`)
	p.Until(said + ` === "Trace id copied"`)
	if got := chromium.Eval[string](p, clipboard); got != id {
		t.Errorf("copied %q, want %s", got, id)
	}
	p.AllowClipboard(false)
	p.Keys("c")
	p.Until(said + ` === "the browser does not let this page copy"`)
}

func openPage(t *testing.T, v viewer) *chromium.Page {
	t.Helper()
	p := chromium.Open(t, 1280, 800, false)
	p.Go(v.page)
	return p
}

// TestViewOpensLargeTrace also measures; the figures are printed with -v and
// not checked, since they depend on the machine.
func TestViewOpensLargeTrace(t *testing.T) {
	const spans = 10_000
	v := startView(t)
	large := shop.Large(1, time.Now(), spans)
	v.send(t, large)
	p := chromium.Open(t, 1280, 800, false)
	p.Go(v.page)
	p.Until(listed + ` === 1`)
	var opened []float64
	for range 5 {
		opened = append(opened, chromium.Eval[float64](p, openScript))
		p.Keys(kb.Escape)
		p.Until(listed + ` === 1`)
	}
	slices.Sort(opened)
	p.Go(v.page + "/trace/" + hex.EncodeToString(large.ID()))
	p.Until(drawn + ` > 20 && performance.getEntriesByName("trace-shown").length`)
	cold := chromium.Eval[float64](p, `performance.getEntriesByName("trace-shown")[0].startTime`)
	frames := chromium.Eval[struct{ Frames, Median, P95, Worst, Rows float64 }](p, scrollScript)
	t.Logf("a trace of %d spans is on the screen %.0f ms after a click in the list (median of 5; best %.0f, worst %.0f), %.0f ms after its address is opened", spans, opened[2], opened[0], opened[4], cold)
	t.Logf("scrolling through it: %.0f frames, median %.1f ms, p95 %.1f ms, worst %.1f ms", frames.Frames, frames.Median, frames.P95, frames.Worst)
	if frames.Rows > 100 {
		t.Errorf("%v rows are elements, want only those in sight", frames.Rows)
	}
	p.Keys(kb.End)
	p.Until(`document.querySelector(".span.selected") && document.querySelector(".rows").scrollTop > 200000`)
}

// openScript clicks the trace and waits for the frame after its rows are there.
const openScript = `new Promise((resolve) => {
  const from = performance.now();
  const seen = new MutationObserver(() => {
    if (!document.querySelector(".canvas .span")) return;
    seen.disconnect();
    requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - from)));
  });
  seen.observe(document.body, { childList: true, subtree: true });
  document.querySelector(".row").click();
})`

const scrollScript = `new Promise((resolve) => {
  const rows = document.querySelector(".rows");
  const times = [];
  let last = performance.now(), most = 0;
  const step = (now) => {
    times.push(now - last);
    last = now;
    most = Math.max(most, document.querySelectorAll(".canvas .span").length);
    if (times.length < 180) {
      rows.scrollTop += 390; // 15 rows
      requestAnimationFrame(step);
      return;
    }
    times.sort((a, b) => a - b);
    resolve({ Frames: times.length, Median: times[times.length >> 1], P95: times[Math.floor(times.length * 0.95)], Worst: times.at(-1), Rows: most });
  };
  requestAnimationFrame(step);
})`

// TestViewFits looks for anything wider than the window.
func TestViewFits(t *testing.T) {
	v := startView(t)
	traces := day()
	v.send(t, traces...)
	last := hex.EncodeToString(traces[len(traces)-1].ID())
	for _, width := range []int64{360, 1280, 2560} {
		p := chromium.Open(t, width, 900, false)
		for path, ready := range map[string]string{
			"/": listed + " === 42", "/graph": `document.querySelector(".picture svg")`, "/operations": `document.querySelector("tbody tr")`, "/trace/" + last: drawn + " > 10",
		} {
			p.Go(v.page + path)
			p.Until(ready)
			if wide := chromium.Eval[int64](p, `document.documentElement.scrollWidth`); wide > width {
				t.Errorf("%s is %d pixels wide in a window of %d", path, wide, width)
			}
		}
	}
}

// TestViewScreenshots makes the pictures of docs/view.md:
//
//	go test -run TestViewScreenshots . -args -screenshots ../docs/view
func TestViewScreenshots(t *testing.T) {
	if *screenshots == "" {
		t.Skip("needs -screenshots")
	}
	if err := os.MkdirAll(*screenshots, 0o755); err != nil { //nolint:gosec // for the docs
		t.Fatal(err)
	}
	v := startView(t)
	traces := day()
	v.send(t, traces...)
	failed, good := traces[len(traces)-1], traces[len(traces)-2]
	charge := failed.SpanNamed("POST /charges")
	load := good.SpanNamed("cart.Cart/Get")
	for _, shot := range []struct {
		name          string
		path, ready   string
		width, height int64
		dark          bool
	}{
		{"list", "/", listed + " === 42", 1280, 760, false},
		{"waterfall", failed.Path(charge), `document.querySelector(".exception")`, 1440, 860, false},
		{"waterfall-dark", good.Path(load), `document.querySelector(".sampling")`, 1440, 860, true},
		{"graph", "/graph", `document.querySelector(".picture svg")`, 1440, 860, false},
		{"calls-dark", "/operations", `document.querySelector("tbody tr")`, 1280, 760, true},
		{"narrow-list", "/", listed + " === 42", 360, 720, false},
		{"narrow-waterfall", good.Path(load), `document.querySelector(".sampling")`, 360, 720, true},
		{"wide", good.Path(load), `document.querySelector(".sampling")`, 2560, 1200, false},
	} {
		p := chromium.Open(t, shot.width, shot.height, shot.dark)
		p.Go(v.page + shot.path)
		p.Until(shot.ready)
		p.Until(`document.activeElement.blur() ?? true`)
		p.Screenshot(filepath.Join(*screenshots, shot.name+".png"))
	}
}

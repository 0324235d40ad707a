package view_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/clewtrace/clew/internal/otlpreceiver"
	"github.com/clewtrace/clew/internal/view"
)

func TestGuard(t *testing.T) {
	h := view.Handler(ringOf(shop...), "traces.example")
	for _, test := range []struct {
		name   string
		header []string
		status int
	}{
		{"an address", nil, 200},
		{"localhost", []string{"Host", "localhost:4380"}, 200},
		{"a name below localhost", []string{"Host", "clew.localhost"}, 200},
		{"an IPv6 address", []string{"Host", "[::1]:4380"}, 200},
		{"an IPv6 address without port", []string{"Host", "[::1]"}, 200},
		{"an allowed name", []string{"Host", "Traces.example:80"}, 200},
		{"another name", []string{"Host", "evil.example:4380"}, 403},
		{"a name that ends like an allowed one", []string{"Host", "eviltraces.example"}, 403},
		{"no name", []string{"Host", ""}, 403},
		{"the page itself", []string{"Origin", "http://127.0.0.1:4380", "Sec-Fetch-Site", "same-origin"}, 200},
		{"another site", []string{"Origin", "https://evil.example"}, 403},
		{"another port", []string{"Origin", "http://127.0.0.1:8000"}, 403},
		{"a page without origin", []string{"Origin", "null"}, 403},
		{"a script tag elsewhere", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors"}, 403},
		{"a script tag on another port", []string{"Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "no-cors"}, 403},
		{"a link elsewhere", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"}, 200},
		{"an address that was typed", []string{"Sec-Fetch-Site", "none", "Sec-Fetch-Mode", "navigate"}, 200},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := get(t, h, "/api/traces", test.header...)
			if w.Code != test.status {
				t.Errorf("status %d, want %d: %s", w.Code, test.status, w.Body)
			}
			if w.Header().Get("Access-Control-Allow-Origin") != "" {
				t.Error("another site may read")
			}
			if csp := w.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
				t.Errorf("policy %q", csp)
			}
		})
	}
}

func TestAllowOrigins(t *testing.T) {
	var store otlpreceiver.Store
	h := view.AllowOrigins(store.Handler(), "https://app.example")
	for _, test := range []struct {
		method, origin string
		status         int
		allowed        string
	}{
		{http.MethodPost, "", 200, ""},
		{http.MethodPost, "https://app.example", 200, "https://app.example"},
		{http.MethodOptions, "https://app.example", 204, "https://app.example"},
		{http.MethodPost, "https://evil.example", 403, ""},
		{http.MethodOptions, "https://evil.example", 403, ""},
		{http.MethodPost, "null", 403, ""},
	} {
		r := httptest.NewRequestWithContext(t.Context(), test.method, "/v1/traces", strings.NewReader("{}"))
		r.Header.Set("Content-Type", "application/json")
		if test.origin != "" {
			r.Header.Set("Origin", test.origin)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if got := w.Header().Get("Access-Control-Allow-Origin"); w.Code != test.status || got != test.allowed {
			t.Errorf("%s from %q: status %d, allowed %q; want %d, %q", test.method, test.origin, w.Code, got, test.status, test.allowed)
		}
	}
}

func TestAPI(t *testing.T) {
	const trace = "/api/traces/00000000000000000000000000000001"
	h := view.Handler(ringOf(shop...))
	for target, status := range map[string]int{
		"/": 200, "/trace/0123": 200, "/graph": 200, "/operations?q=x": 200, "/files/app.js": 200, "/files/nothing.js": 404, "/nothing": 404,
		"/api/traces": 200, "/api/traces?q=error&limit=5&before=9": 200, "/api/traces?q=duration%3Ex": 400, "/api/traces?limit=1001": 400, "/api/traces?before=x": 400,
		trace: 200, trace + "/otlp": 200, trace + "/spans/0000000000000001": 200, trace + "/spans/0000000000000009": 404, trace + "/spans/01": 400,
		"/api/traces/00000000000000000000000000000009": 404, "/api/traces/zz": 400,
		"/api/traces/00000000000000000000000000000009/otlp": 404, "/api/traces/00000000000000000000000000000009/spans/0000000000000001": 404,
		"/api/graph": 200, "/api/operations?q=%22": 400,
	} {
		w := get(t, h, target)
		if w.Code != status {
			t.Errorf("%s: status %d, want %d: %.100s", target, w.Code, status, w.Body)
		}
		if strings.HasPrefix(target, "/api") && status == 200 && !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s: not JSON", target)
		}
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/traces", nil)
	r.Host = "localhost"
	w := httptest.NewRecorder()
	if h.ServeHTTP(w, r); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: status %d", w.Code)
	}
}

// TestCopiedJSONCanBeSent posts what the page copies back to a receiver.
func TestCopiedJSONCanBeSent(t *testing.T) {
	ring := ringOf(shop...)
	ring.AddLogs(logRecord(1, 3, 1050, "no items"))
	var copied struct{ Traces, Logs json.RawMessage }
	if err := json.Unmarshal(get(t, view.Handler(ring), "/api/traces/00000000000000000000000000000001/otlp").Body.Bytes(), &copied); err != nil {
		t.Fatal(err)
	}
	second := view.NewRing(view.MinBytes)
	for path, body := range map[string][]byte{"/v1/traces": copied.Traces, "/v1/logs": copied.Logs} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, bytes.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		if otlpreceiver.Handler(second).ServeHTTP(w, r); w.Code != http.StatusOK {
			t.Fatalf("%s: status %d: %s", path, w.Code, w.Body)
		}
	}
	if got, want := rows(t, second), rows(t, ring); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if trace, _ := second.Trace(view.TraceID(id(1, 16))); trace.Logs != 1 {
		t.Errorf("%d logs", trace.Logs)
	}
}

func TestChanges(t *testing.T) {
	ring := view.NewRing(view.MinBytes)
	server := httptest.NewServer(view.Handler(ring))
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/api/changes", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	events := json.NewDecoder(&dataLines{r: resp.Body})
	for _, want := range []int64{0, 4} {
		var stats view.Stats
		if err := events.Decode(&stats); err != nil || stats.Spans != want {
			t.Fatalf("%+v, %v; want %d spans", stats, err, want)
		}
		ring.AddTraces(request(shop...))
	}
}

// dataLines reads the data of server-sent events.
type dataLines struct{ r io.Reader }

func (d *dataLines) Read(p []byte) (int, error) {
	n, err := d.r.Read(p)
	return copy(p, bytes.ReplaceAll(p[:n], []byte("data: "), nil)), err
}

// TestFirstPaint adds up what the page loads before it shows anything.
func TestFirstPaint(t *testing.T) {
	h := view.Handler(view.NewRing(0))
	index := get(t, h, "/").Body.String()
	total := 0
	for _, m := range append([][]string{{"", "/"}}, regexp.MustCompile(`(?:src|href)="(/files/[^"#]+)"`).FindAllStringSubmatch(index, -1)...) {
		w := get(t, h, m[1])
		if w.Code != http.StatusOK {
			t.Errorf("%s: status %d", m[1], w.Code)
		}
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		io.Copy(z, w.Body) //nolint:errcheck // a bytes.Buffer takes all
		z.Close()          //nolint:errcheck // the same
		total += b.Len()
	}
	if total > 100_000 {
		t.Errorf("%d bytes compressed, want at most 100 kB", total)
	}
	t.Logf("%d bytes compressed", total)
	if strings.Contains(index, "<script>") || regexp.MustCompile(`(?i)\son[a-z]+=|style=|https?://`).MatchString(index) {
		t.Error("the page has something inline, or from elsewhere")
	}
}

// TestNoMarkupFromData looks for the ways in which text could become markup.
func TestNoMarkupFromData(t *testing.T) {
	files, err := filepath.Glob("page/*.js")
	if err != nil || len(files) < 8 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if m := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|createContextualFragment|\beval\(|new Function`).Find(b); m != nil {
			t.Errorf("%s has %s", name, m)
		}
	}
}

// TestContrast checks the colours against WCAG 2.2: 4.5 for text (1.4.3), 3 for
// what is no text (1.4.11), in both themes.
func TestContrast(t *testing.T) {
	css, err := os.ReadFile("page/style.css")
	if err != nil {
		t.Fatal(err)
	}
	colours := [2]map[string]string{{}, {}} // light, dark
	services := 0
	rule := regexp.MustCompile(`(?:\.(c\d+) \{ )?(--[a-z-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)`)
	for _, m := range rule.FindAllStringSubmatch(string(css), -1) {
		name := m[2]
		if m[1] != "" {
			name = m[1]
			services++
		}
		colours[0][name], colours[1][name] = m[3], m[4]
	}
	if services != 12 {
		t.Errorf("%d colours for services, want 12", services)
	}
	for theme, c := range colours {
		for _, background := range []string{"--bg", "--raised", "--sunken", "--tint"} {
			for name, colour := range c {
				least := 0.0
				switch {
				case name[0] == 'c':
					least = 3
				case name == "--text" || name == "--dim" || name == "--accent" || name == "--bad" || name == "--warn":
					least = 4.5
				}
				if got := contrast(t, colour, c[background]); got < least {
					t.Errorf("theme %d: %s on %s has a contrast of %.2f, want %.1f", theme, name, background, got, least)
				}
			}
		}
	}
}

// contrast is WCAG's contrast ratio.
func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	la, lb := luminance(t, a), luminance(t, b)
	return (max(la, lb) + 0.05) / (min(la, lb) + 0.05)
}

func luminance(t *testing.T, colour string) (l float64) {
	t.Helper()
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		n, err := strconv.ParseUint(colour[1+2*i:3+2*i], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		c := float64(n) / 255
		if c <= 0.04045 {
			l += weight * c / 12.92
		} else {
			l += weight * math.Pow((c+0.055)/1.055, 2.4)
		}
	}
	return l
}

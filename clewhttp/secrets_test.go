package clewhttp_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

const planted = "S3cr3tV4lue"

// plant puts a secret into every header that may hold one.
func plant(r *http.Request) {
	for _, name := range []string{"Authorization", "Proxy-Authorization", "Cookie", "Referer", "X-Api-Key", "X-Forwarded-User", "Sec-Websocket-Key"} {
		r.Header.Set(name, "http://user:"+planted+"@host/?token="+planted+"#"+planted)
	}
}

// TestSecretsOfRequests: whatever becomes of a request, neither spans nor metrics
// hold what its headers and its URL hide. By design, they hold values of
// parameters whose names tell nothing, the path, and what a panic says.
func TestSecretsOfRequests(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Set-Cookie", "session="+planted)
		w.Header().Set("Location", "http://user:"+planted+"@127.0.0.1:1/?token="+planted+"#"+planted)
		switch r.URL.Path {
		case "/moved":
			w.WriteHeader(http.StatusFound)
		case "/bad":
			w.WriteHeader(http.StatusBadRequest)
		case "/failed":
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	defer server.Close()
	closed := httptest.NewServer(nil)
	closed.Close()
	const query = "?token=" + planted + "&api_key=" + planted + "&code=" + planted + "&user[password]=" + planted + "&X-Amz-Signature=" + planted
	for _, path := range []string{"/moved", "/bad", "/failed", "/list;jsessionid=" + planted + "/x"} {
		for _, method := range []string{http.MethodGet, http.MethodPost, "PROPFIND"} {
			for _, address := range []string{server.URL, closed.URL, "http://nothing.invalid"} {
				t.Run(method+" "+address+path, func(t *testing.T) {
					tel := newTelemetry(t)
					url := strings.Replace(address, "//", "//user:"+planted+"@", 1) + path + query + "#" + planted
					r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(planted))
					if err != nil {
						t.Fatal(err)
					}
					plant(r)
					if resp, err := (&http.Client{Transport: tel.transport(base(t))}).Do(r); err == nil {
						resp.Body.Close()
					}
					for _, target := range []string{path + query, "http://user:" + planted + "@host" + path + query} {
						r := request(t, method, target)
						plant(r)
						tel.handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
							_, err := io.Copy(w, r.Body)
							if err != nil {
								t.Error(err)
							}
							w.WriteHeader(http.StatusInternalServerError)
						})).ServeHTTP(httptest.NewRecorder(), r)
					}
					lookForSecrets(t, tel)
				})
			}
		}
	}
	t.Run("a transport that fails in words", func(t *testing.T) {
		tel := newTelemetry(t)
		failing := tel.transport(roundTripper(func(r *http.Request) (*http.Response, error) {
			return nil, errors.New("cannot send " + r.URL.String() + " with Authorization: Bearer " + planted)
		}))
		r := request(t, http.MethodGet, "http://user:"+planted+"@host/?x="+planted)
		r.RequestURI, r.URL.RawQuery = "", "token="+planted
		if _, err := failing.RoundTrip(r); err == nil { //nolint:bodyclose // there is none
			t.Error("sent")
		}
		if s := tel.spans.Ended(); len(s) != 1 || s[0].Status().Code != codes.Error {
			t.Errorf("%d spans", len(s))
		}
		lookForSecrets(t, tel)
	})
}

func lookForSecrets(t *testing.T, tel *telemetry) {
	t.Helper()
	var recorded []string
	for _, s := range tel.spans.Ended() {
		recorded = append(recorded, described(s))
	}
	if len(recorded) == 0 {
		t.Error("no spans")
	}
	var data metricdata.ResourceMetrics
	if err := tel.reader.Collect(t.Context(), &data); err != nil {
		t.Fatal(err)
	}
	for _, scope := range data.ScopeMetrics {
		for _, m := range scope.Metrics {
			recorded = append(recorded, fmt.Sprintf("%s %v", m.Name, m.Data))
		}
	}
	for _, text := range recorded {
		if strings.Contains(text, planted) {
			t.Errorf("recorded: %s", text)
		}
	}
}

func described(s sdktrace.ReadOnlySpan) string {
	var b strings.Builder
	fmt.Fprint(&b, s.Name(), s.Status().Description, s.SpanContext().TraceState())
	for _, a := range s.Attributes() {
		fmt.Fprintf(&b, " %s=%s", a.Key, a.Value.String())
	}
	for _, e := range s.Events() {
		fmt.Fprint(&b, e.Name)
		for _, a := range e.Attributes {
			fmt.Fprintf(&b, " %s=%s", a.Key, a.Value.String())
		}
	}
	return b.String()
}

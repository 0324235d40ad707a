package clewhttp_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/trace"
)

func TestRedirectsCount(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.URL.Path) < 3 {
			http.Redirect(w, r, r.URL.Path+"x", http.StatusFound)
		}
	}))
	defer server.Close()
	tel := newTelemetry(t)
	client := &http.Client{Transport: tel.transport(base(t))}
	resp, err := client.Get(server.URL + "/") //nolint:noctx // a test
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if got := resendCounts(tel); got != ",1,2" {
		t.Errorf("resend counts %s", got)
	}
}

// TestRetriesCount has a RoundTripper that says what it sends again.
func TestRetriesCount(t *testing.T) {
	for _, test := range []struct {
		name     string
		failure  func() (*http.Response, error)
		previous func(*http.Request, *http.Response) *http.Response // what the next try has as its Response
		want     string
	}{
		{"after an answer", unavailable, func(_ *http.Request, failed *http.Response) *http.Response { return failed }, ",1,2"},
		{"without an answer", unreachable, func(r *http.Request, _ *http.Response) *http.Response { return &http.Response{Request: r} }, ",1,2"},
		{"not said", unavailable, func(*http.Request, *http.Response) *http.Response { return nil }, ",,"},
	} {
		t.Run(test.name, func(t *testing.T) {
			tel := newTelemetry(t)
			tries := 0
			traced := tel.transport(roundTripper(func(r *http.Request) (*http.Response, error) {
				if tries++; tries < 3 {
					resp, err := test.failure()
					if resp != nil {
						resp.Request = r
					}
					return resp, err
				}
				return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: r}, nil
			}))
			retrying := roundTripper(func(r *http.Request) (*http.Response, error) {
				for {
					resp, err := traced.RoundTrip(r)
					if err == nil && resp.StatusCode == http.StatusOK {
						return resp, nil
					}
					again := r.Clone(r.Context())
					again.Response = test.previous(r, resp)
					r = again
				}
			})
			resp, err := (&http.Client{Transport: retrying}).Get("http://shop.example/") //nolint:noctx // a test
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if got := resendCounts(tel); got != test.want {
				t.Errorf("resend counts %s, want %s", got, test.want)
			}
		})
	}
}

func unavailable() (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusServiceUnavailable, Body: http.NoBody}, nil
}

func unreachable() (*http.Response, error) { return nil, io.ErrUnexpectedEOF }

// resendCounts lists those of all client spans.
func resendCounts(tel *telemetry) string {
	var counts []string
	for _, s := range tel.ofKind(trace.SpanKindClient) {
		counts = append(counts, text(s, "http.request.resend_count"))
	}
	return strings.Join(counts, ",")
}

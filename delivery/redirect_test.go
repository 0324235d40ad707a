package delivery_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/clewtrace/clew/delivery"
)

// TestRedirectKeepsSecretsAtTheirOrigin: headers and the query hold credentials, and
// belong to the configured origin only, which is scheme, host and port together.
func TestRedirectKeepsSecretsAtTheirOrigin(t *testing.T) {
	got := make(chan *http.Request, 1)
	end := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got <- r })
	elsewhere := httptest.NewServer(end)
	defer elsewhere.Close()
	elsewhereTLS := httptest.NewTLSServer(end)
	defer elsewhereTLS.Close()
	var target string
	for _, secure := range []bool{false, true} {
		mux := http.NewServeMux()
		mux.Handle("/end", end)
		front := httptest.NewUnstartedServer(mux)
		if secure {
			front.StartTLS()
		} else {
			front.Start()
		}
		defer front.Close()
		localhost := strings.Replace(front.URL, "127.0.0.1", "localhost", 1)
		for rule, tc := range map[string]struct {
			target string
			keeps  bool
		}{
			"the same origin":       {front.URL, true},
			"another port":          {elsewhere.URL, false},
			"another port, TLS":     {elsewhereTLS.URL, false},
			"another name":          {localhost, false},
			"a path of its own":     {"", true},
			"the same, with a user": {strings.Replace(front.URL, "://", "://u:p@", 1), true},
		} {
			if secure && rule == "another name" {
				continue // the certificate is not for it
			}
			for _, code := range []int{http.StatusTemporaryRedirect, http.StatusPermanentRedirect} {
				for _, contentType := range []string{"application/x-protobuf", "application/json"} {
					t.Run(fmt.Sprint("TLS=", secure, " ", code, " ", rule, " ", contentType), func(t *testing.T) {
						target = tc.target
						mux := http.NewServeMux()
						mux.Handle("/end", end)
						mux.HandleFunc("/v1/traces", func(w http.ResponseWriter, _ *http.Request) {
							w.Header().Set("Location", target+"/end")
							w.WriteHeader(code)
						})
						front.Config.Handler = mux
						base := delivery.NewBase(nil)
						defer base.CloseIdleConnections()
						if base.TLSClientConfig = trusting(elsewhereTLS); secure {
							base.TLSClientConfig = trusting(front)
							base.TLSClientConfig.RootCAs.AddCert(elsewhereTLS.Certificate())
						}
						cfg := quick(new(handled))
						cfg.Base = base
						tr := newTransport(t, cfg)
						secrets := []string{"Content-Type", contentType, "Api-Key", "topsecret", "Authorization", "Bearer topsecret", "Cookie", "topsecret", "X-Scope-Orgid", "topsecret"}
						via(t, tr.Client(delivery.Traces), front.URL+"/v1/traces?key=topsecret", []byte(`{"resourceSpans":[]}`), secrets...)
						flush(t, tr)
						r := <-got
						sent := strings.Contains(fmt.Sprint(r.Header), "topsecret")
						if sent != tc.keeps || r.Header.Get("Content-Type") != contentType || r.Method != http.MethodPost {
							t.Errorf("%s %s was sent %v; want it to have the headers: %v", r.Method, r.URL, r.Header, tc.keeps)
						}
						if !tc.keeps {
							for name := range r.Header {
								if !slices.Contains([]string{"Content-Type", "Content-Length", "User-Agent", "Accept-Encoding"}, name) {
									t.Errorf("%s: %v was sent", name, r.Header[name])
								}
							}
						}
					})
				}
			}
		}
	}
}

// TestRedirectFromTLSIsAnotherOrigin: though host and port are the same.
func TestRedirectFromTLSIsAnotherOrigin(t *testing.T) {
	for from, to := range map[string]string{"https": "http", "http": "https"} {
		got := make(chan *http.Request, 1)
		tr := newTransport(t, delivery.Config{ErrorHandler: new(handled), Base: network{"sink:4318": func(r *http.Request) (*http.Response, error) {
			if r.URL.Scheme == from {
				return answer(http.StatusPermanentRedirect, "Location", to+"://sink:4318/v1/traces")
			}
			got <- r
			return answer(http.StatusOK)
		}}})
		via(t, tr.Client(delivery.Traces), from+"://sink:4318/v1/traces?key=topsecret", traceRequest("a"), "Api-Key", "topsecret")
		flush(t, tr)
		if r := <-got; strings.Contains(fmt.Sprint(r.Header), "topsecret") || r.Header.Get("Content-Type") == "" {
			t.Errorf("from %s to %s: sent %v", from, to, r.Header)
		}
	}
}

type answering func(*http.Request) *http.Response

func (f answering) RoundTrip(r *http.Request) (*http.Response, error) { return f(r), nil }

// TestRedirectWithinAnOrigin: an origin may be spelt in several ways.
func TestRedirectWithinAnOrigin(t *testing.T) {
	for _, tc := range []struct {
		from, to string
		same     bool
	}{
		{"https://collector", "https://collector:443", true},
		{"https://collector:443", "https://Collector", true},
		{"http://collector", "http://collector:80", true},
		{"http://[::1]", "http://[::1]:80", true},
		{"http://collector", "https://collector", false},
		{"http://collector", "http://collector:443", false},
		{"https://collector:4318", "https://collector", false},
	} {
		t.Run(tc.from+" "+tc.to, func(t *testing.T) {
			got := make(chan string, 1)
			cfg := quick(new(handled))
			cfg.Base = answering(func(r *http.Request) *http.Response {
				resp := &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody, Request: r}
				if r.URL.Path == "/v1/traces" {
					resp.StatusCode = http.StatusTemporaryRedirect
					resp.Header.Set("Location", tc.to+"/end")
				} else {
					got <- r.Header.Get("Api-Key")
				}
				return resp
			})
			tr := newTransport(t, cfg)
			via(t, tr.Client(delivery.Traces), tc.from+"/v1/traces", nil, "Api-Key", "secret")
			flush(t, tr)
			if sent := <-got == "secret"; sent != tc.same {
				t.Errorf("the headers were sent: %v, want %v", sent, tc.same)
			}
		})
	}
}

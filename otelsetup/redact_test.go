package otelsetup_test

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/clewtrace/clew/internal/otlpreceiver"
	"github.com/clewtrace/clew/otelsetup"
)

func TestSensitiveQuery(t *testing.T) {
	for name, want := range map[string]bool{
		"token": true, "access_token": true, "id-token": true, "api_key": true, "ApiKey": true, "key": true, "sig": true,
		"X-Amz-Signature": true, "X-Goog-Credential": true, "AWSAccessKeyId": true, "client.secret": true, "PASSWORD": true, "pwd": true, "jwt": true,
		"": false, "q": false, "page": false, "monkey": false, "design": false, "author": false, "keyword": false,
	} {
		if got := otelsetup.SensitiveQuery(name); got != want {
			t.Errorf("SensitiveQuery(%q) = %v, want %v", name, got, want)
		}
	}
}

// TestURLsAreRedacted looks at the spans of both sides.
func TestURLsAreRedacted(t *testing.T) {
	own := otelsetup.WithSensitiveQuery(func(name string) bool { return name == "q" })
	for _, test := range []struct {
		name, user, query, want string
		opt                     otelsetup.HTTPOption
	}{
		{name: "nothing to hide", query: "q=1&page=2", want: "q=1&page=2"},
		{name: "credentials", user: "user:pass@", query: "q=1", want: "q=1"},
		{name: "a token", query: "token=abc", want: "token=REDACTED"},
		{name: "several, with order and spelling kept", query: "b=%20&sig=a%3D&a=1&api_key=2&c", want: "b=%20&sig=REDACTED&a=1&api_key=REDACTED&c"},
		{name: "an escaped name", query: "%74oken=abc&x=1", want: "%74oken=REDACTED&x=1"},
		{name: "an empty value", query: "token=&password", want: "token=&password"},
		{name: "what cannot be decoded", query: "token%zz=abc&x=%zz", want: "token%zz=REDACTED&x=%zz"},
		{name: "a list of one's own", query: "q=1&token=2", want: "q=REDACTED&token=2", opt: own},
	} {
		t.Run(test.name, func(t *testing.T) {
			store, _, flush := start(t)
			opts := []otelsetup.HTTPOption{}
			if test.opt != nil {
				opts = append(opts, test.opt)
			}
			server := httptest.NewServer(otelsetup.Handler(http.NotFoundHandler(), opts...))
			defer server.Close()
			client := &http.Client{Transport: otelsetup.Transport(&http.Transport{DisableKeepAlives: true}, opts...)}
			host := strings.TrimPrefix(server.URL, "http://")
			get(t.Context(), t, client, "http://"+test.user+host+"/path?"+test.query)
			flush()
			if len(store.Spans()) != 2 {
				t.Fatalf("%d spans, want 2", len(store.Spans()))
			}
			for _, s := range store.Spans() {
				want := "http://" + host + "/path?" + test.want
				if test.user != "" && s.GetKind() == tracepb.Span_SPAN_KIND_CLIENT {
					want = "http://REDACTED:REDACTED@" + host + "/path?" + test.want
				}
				if got := attribute(s, "url.full"); got != want {
					t.Errorf("%v span: url.full %s, want %s", s.GetKind(), got, want)
				}
				for _, a := range s.GetAttributes() {
					if strings.Contains(a.GetValue().GetStringValue(), "abc") || strings.Contains(a.GetValue().GetStringValue(), "pass@") {
						t.Errorf("%s=%s", a.GetKey(), a.GetValue().GetStringValue())
					}
				}
			}
		})
	}
}

// TestPanicIsAnswered asks a real server, because what follows a panic is its
// business.
func TestPanicIsAnswered(t *testing.T) {
	for _, test := range []struct {
		name    string
		handler http.HandlerFunc
		status  int // 0: no answer
		span    int64
	}{
		{"nothing was written", func(http.ResponseWriter, *http.Request) { panic("no way out") }, 500, 500},
		{"only a header field was set", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", "1"); panic("no way out") }, 500, 500},
		{"a status was written", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot); panic("no way out") }, 0, 418},
		{"a body was begun", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "half"); panic("no way out") }, 0, 200},
		{"the handler aborts", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 0, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			store, _, flush := start(t)
			server := httptest.NewUnstartedServer(otelsetup.Handler(test.handler))
			server.Config.ErrorLog = log.New(io.Discard, "", 0)
			server.Start()
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
			if err == nil {
				_, err = io.ReadAll(resp.Body)
				resp.Body.Close()
			}
			if answered := err == nil; answered != (test.status != 0) || answered && resp.StatusCode != test.status {
				t.Errorf("answered %v, %v, want status %d", resp, err, test.status)
			}
			server.Close()
			flush()
			s := store.Spans()[0]
			if got := otlpreceiver.Attribute(s.GetAttributes(), "http.response.status_code").GetIntValue(); got != test.span {
				t.Errorf("the span has status %d, want %d", got, test.span)
			}
			if got := hasException(s, "no way out"); got != (test.span != 0) {
				t.Errorf("the panic is recorded: %v", got)
			}
		})
	}
}

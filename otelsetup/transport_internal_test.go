package otelsetup

import (
	"errors"
	"net/http"
	"testing"
)

// TestProblemsOfTheTransport has each problem once.
func TestProblemsOfTheTransport(t *testing.T) {
	other := func(tr *http.Transport) http.RoundTripper { return tr }
	for _, test := range []struct {
		name string
		use  func(*http.Transport)
		want error
	}{
		{"nothing", func(*http.Transport) {}, nil},
		{"used", func(tr *http.Transport) { tr.CloseIdleConnections() }, errUsed},
		{"https registered", func(tr *http.Transport) { tr.RegisterProtocol("https", other(tr)) }, errHTTPSTaken},
		{"http registered", func(tr *http.Transport) { tr.RegisterProtocol("http", other(tr)) }, errHTTPTaken},
	} {
		tr := &http.Transport{ForceAttemptHTTP2: true}
		test.use(tr)
		if d := detourOf(tr); !errors.Is(d.problem, test.want) {
			t.Errorf("%s: %v", test.name, d.problem)
		}
	}
}

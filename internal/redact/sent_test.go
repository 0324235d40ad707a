package redact_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/clewtrace/clew/internal/redact"
)

// TestSent: an answer that repeats what was sent keeps its length, and loses the secrets.
func TestSent(t *testing.T) {
	u, err := url.Parse("http://user:passw0rd@host/p?k=q%2Fvalue&n=1")
	if err != nil {
		t.Fatal(err)
	}
	sent := redact.SentIn(http.Header{"Authorization": {"Bearer abcdef"}, "X-Tenant": {"blue-team"}, "X-Short": {"abc"}, "Content-Type": {"application/json"}}, u)
	for in, want := range map[string]string{
		"no Bearer abcdef": "no *************", "token ABCDEF.": "token ******.", "x-tenant=blue-team": "x-tenant=*********", "abc": "abc",
		"application/json": "application/json", "q/value q%2Fvalue": "******* *********", "dXNlcjpwYXNzdzByZA==": "********************", "passw0rd": "********",
		"": "",
	} {
		if got := sent.Text(in); got != want {
			t.Errorf("Text(%q) = %q, want %q", in, got, want)
		}
	}
	if got := redact.SentIn(nil, nil).Text("all"); got != "all" {
		t.Errorf("nothing sent: %q", got)
	}
}

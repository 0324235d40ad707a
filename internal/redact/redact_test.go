package redact_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/clewtrace/clew/internal/redact"
)

func TestSensitiveQuery(t *testing.T) {
	for name, want := range map[string]bool{
		"token": true, "access_token": true, "id-token": true, "api_key": true, "ApiKey": true, "key": true, "sig": true,
		"X-Amz-Signature": true, "X-Goog-Credential": true, "AWSAccessKeyId": true, "client.secret": true, "PASSWORD": true, "pwd": true, "jwt": true,
		"session": true, "sessionid": true, "session_id": true, "PHPSESSID": true, "jsessionid": true, "JSESSIONID": true, "sid": true, "pass": true,
		"code": true, "otp": true, "pin": true, "assertion": true, "client_assertion": true, "SAMLResponse": true, "ticket": true, "bearer": true,
		"user[password]": true,
		"":               false, "q": false, "page": false, "monkey": false, "design": false, "author": false, "keyword": false,
		"zip_code": false, "country_code": false, "compass": false, "pinned": false, "ticket_type": false, "sidebar": false, "encode": false,
	} {
		if got := redact.SensitiveQuery(name); got != want {
			t.Errorf("SensitiveQuery(%q) = %v, want %v", name, got, want)
		}
	}
}

func TestURL(t *testing.T) {
	own := func(name string) bool { return name == "q" }
	for _, test := range []struct {
		name, in, want string
		hide           func(string) bool
	}{
		{name: "nothing to hide", in: "http://h:8080/a%2Fb?q=1&page=2", want: "http://h:8080/a%2Fb?q=1&page=2"},
		{name: "credentials", in: "https://user:pass@h/", want: "https://REDACTED:REDACTED@h/"},
		{name: "a user without a password", in: "https://token@h/", want: "https://REDACTED:REDACTED@h/"},
		{name: "a token", in: "/?token=abc", want: "/?token=REDACTED"},
		{name: "several, with order and spelling kept", in: "/?b=%20&sig=a%3D&a=1&api_key=2&c", want: "/?b=%20&sig=REDACTED&a=1&api_key=REDACTED&c"},
		{name: "an escaped name", in: "/?%74oken=abc&x=1", want: "/?%74oken=REDACTED&x=1"},
		{name: "an empty value", in: "/?token=&password", want: "/?token=&password"},
		{name: "what cannot be decoded", in: "/?token%zz=abc&x=%zz", want: "/?token%zz=REDACTED&x=%zz"},
		{name: "semicolons", in: "/?a=1;token=abc;b=2", want: "/?a=1;token=REDACTED;b=2"},
		{name: "a list of one's own", in: "/?q=1&token=2", want: "/?q=REDACTED&token=2", hide: own},
		{name: "a fragment", in: "http://h/p#access_token=abc", want: "http://h/p#REDACTED"},
		{name: "a fragment without a name", in: "http://h/p#abc", want: "http://h/p#REDACTED"},
		{name: "matrix parameters", in: "http://h/a;v=1/list;jsessionid=0A%2F1B/x?q=1", want: "http://h/a;v=1/list;jsessionid=REDACTED/x?q=1"},
		{name: "an equals sign in a path", in: "http://h/token=abc/x", want: "http://h/token=abc/x"},
		{name: "no authority", in: "postgres:user:pass@h/db", want: "REDACTED@h/db"},
		{name: "an unescaped path stays", in: "http://h/%C3%A9%20;v=1", want: "http://h/%C3%A9%20;v=1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			u, err := url.Parse(test.in)
			if err != nil {
				t.Fatal(err)
			}
			before := *u
			if got := redact.URL(u, test.hide); got != test.want {
				t.Errorf("URL(%s) = %s, want %s", test.in, got, test.want)
			}
			if *u != before {
				t.Error("the URL was changed")
			}
		})
	}
	if got := redact.URL(nil, nil); got != "" {
		t.Errorf("URL(nil) = %q", got)
	}
}

func TestText(t *testing.T) {
	for _, test := range []struct{ name, in, want string }{
		{"nothing to hide", "ratio must be between 0 and 1: using 1", "ratio must be between 0 and 1: using 1"},
		{"an address", "http://localhost:4318/v1/traces", "http://localhost:4318/v1/traces"},
		{"a Windows path", `C:\certs\ca.pem`, `C:\certs\ca.pem`},
		{"a URL that does not parse", "http://user:pa%zzss@host:4318", "http://REDACTED@host:4318"},
		{"slashes and spaces in a password", "http://user:pa/s s?w#d@host/x", "http://REDACTED@host/x"},
		{"an @ in a password", "http://user:p@ss@host", "http://REDACTED@host"},
		{"no scheme", "user:pass@proxy:3128", "REDACTED@proxy:3128"},
		{"a query", "http://h:port/p?token=abc&x=1", "http://h:port/p?REDACTED"},
		{"a fragment", "http://h:port/p#abc", "http://h:port/p#REDACTED"},
		{"an error of net/url", `parse "http://user:pass@h%zz/?a=b": invalid URL escape "%zz"`, `parse "http://REDACTED@h%zz/?REDACTED": invalid URL escape "%zz"`},
		{"two URLs", "http://u:p@a/?x=1, https://v:q@b/y?z=1", "http://REDACTED@b/y?REDACTED"},
		{"two queries", "\"http://a/?x=1\" \"http://b/?y=1\"", "\"http://a/?REDACTED\" \"http://b/?REDACTED\""},
		{"a list of headers", "authorization=Bearer abc,x-tenant=1", "authorization=REDACTED,x-tenant=1"},
		{"a header field", "Authorization: Basic dXNlcjpwYXNz", "Authorization: REDACTED"},
		{"a scheme and its credentials", "sent Bearer abc.def.ghi to it", "sent Bearer REDACTED to it"},
		{"pairs of a connection string", "host=db user=x password=abc sslmode=off", "host=db user=x password=REDACTED sslmode=off"},
		{"matrix parameters", "/list;jsessionid=0A1B/x", "/list;jsessionid=REDACTED/x"},
		{"a private key", "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIB\n-----END EC PRIVATE KEY-----\n", "REDACTED"},
		{"a private key in a message", "open -----BEGIN PRIVATE KEY-----: no such file", "open REDACTED"},
		{"a private key in lower case", "unknown -----begin private key-----\nmhccaqee", "unknown REDACTED"},
		{"an @ and nothing before", "@host", "@host"},
		{"empty", "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := redact.Text(test.in); got != test.want {
				t.Errorf("Text(%q) = %q, want %q", test.in, got, test.want)
			}
		})
	}
}

// FuzzSecretsStayHidden puts a secret where URLs carry one, with anything
// around it, and looks for it in what is shown.
func FuzzSecretsStayHidden(f *testing.F) {
	for _, seed := range []string{"", "x", "a b", "@", "%zz", "://", "?", "#", ";", "http://h/", "\x00", "é", "-----BEGIN", "=&"} {
		f.Add(seed, seed)
	}
	const secret = "Xk93Secr3t"
	f.Fuzz(func(t *testing.T, before, after string) {
		for _, text := range []string{
			"http://" + before + secret + after + "@host/path",
			before + secret + "@" + after,
			"-----BEGIN " + before + secret + after,
		} {
			if shown := redact.Text(text); strings.Contains(shown, secret) {
				t.Errorf("Text(%q) = %q", text, shown)
			}
		}
		for _, text := range []string{
			"http://user:" + url.PathEscape(before) + secret + "@host/" + url.PathEscape(after),
			"http://host/p?" + url.QueryEscape(before) + "&token=" + secret + url.QueryEscape(after),
			"http://host/" + url.PathEscape(before) + ";jsessionid=" + secret + url.PathEscape(after),
			"http://host/p#" + before + secret + after,
		} {
			u, err := url.Parse(text)
			if err != nil {
				continue
			}
			if shown := redact.URL(u, nil); strings.Contains(shown, secret) {
				t.Errorf("URL(%q) = %q", text, shown)
			}
		}
	})
}

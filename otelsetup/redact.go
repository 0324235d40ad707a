package otelsetup

import (
	"net/url"
	"strings"
)

// redacted stands for what is hidden in a URL: Semantic Conventions,
// "url.full".
const redacted = "REDACTED"

// sensitive are the parts of a name that tell of a secret. They are compared
// in lower case and without separators.
var sensitive = []string{
	"token", "secret", "password", "passwd", "passphrase", "pwd", "apikey", "accesskey", "privatekey", "signature", "credential", "authorization",
}

// SensitiveQuery reports whether the value of a query parameter is hidden by
// default: names such as access_token, api-key, X-Amz-Signature, client_secret
// and password, and the short forms key, sig, auth and jwt. Case and the
// separators "-", "_" and "." do not matter. See [WithSensitiveQuery].
func SensitiveQuery(name string) bool {
	name = separators.Replace(strings.ToLower(name))
	switch name {
	case "key", "sig", "auth", "jwt":
		return true
	}
	for _, part := range sensitive {
		if strings.Contains(name, part) {
			return true
		}
	}
	return false
}

var separators = strings.NewReplacer("-", "", "_", "", ".", "")

// redactURL writes u without credentials, and without the values of the query
// parameters that hide wants hidden. The rest stays as it was sent.
func redactURL(u *url.URL, hide func(name string) bool) string {
	shown := *u
	if u.User != nil {
		shown.User = url.UserPassword(redacted, redacted)
	}
	shown.RawQuery = redactQuery(u.RawQuery, hide)
	return shown.String()
}

func redactQuery(query string, hide func(name string) bool) string {
	var b strings.Builder // not used unless something is hidden
	kept := 0             // query[:kept] is in b
	for i := 0; i <= len(query); {
		end := len(query)
		if n := strings.IndexAny(query[i:], "&;"); n >= 0 {
			end = i + n
		}
		name, value, _ := strings.Cut(query[i:end], "=")
		if value != "" && hide(unescaped(name)) {
			b.WriteString(query[kept : i+len(name)+1])
			b.WriteString(redacted)
			kept = end
		}
		i = end + 1
	}
	if kept == 0 {
		return query
	}
	b.WriteString(query[kept:])
	return b.String()
}

func unescaped(name string) string {
	if plain, err := url.QueryUnescape(name); err == nil {
		return plain
	}
	return name
}

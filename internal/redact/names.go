package redact

import "strings"

// secretNames are whole names of parameters that carry a secret, and
// secretParts are what a longer name of one contains. Both are written as
// normalized does it.
var (
	secretNames = map[string]bool{
		"key": true, "sig": true, "auth": true, "jwt": true, "sid": true, "pass": true, "code": true, "otp": true, "totp": true, "pin": true,
		"ticket": true, "authcode": true, "devicecode": true, "usercode": true,
	}
	secretParts = []string{
		"token", "secret", "password", "passwd", "passphrase", "passcode", "pwd", "apikey", "accesskey", "privatekey", "signature", "credential",
		"authorization", "session", "sessid", "assertion", "saml", "bearer", "codeverifier",
	}
)

// SensitiveQuery reports whether the value of a query or matrix parameter is
// hidden by default. See clewhttp.SensitiveQuery.
func SensitiveQuery(name string) bool {
	name = normalized(name)
	if secretNames[name] {
		return true
	}
	for _, part := range secretParts {
		if strings.Contains(name, part) {
			return true
		}
	}
	return false
}

// normalized is name in lower case and without separators.
func normalized(name string) string { return separators.Replace(strings.ToLower(name)) }

var separators = strings.NewReplacer("-", "", "_", "", ".", "", "[", "", "]", "")

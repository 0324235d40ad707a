package redact

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
)

// Sent are the secrets of a request, which the answer to it may repeat.
type Sent []string

// minSent is the least length of a text that is taken for a secret: a shorter
// one is found in every answer.
const minSent = 4

// SentIn returns what a request tells to its receiver alone: the values of its
// header fields, other than those that say how the body is encoded, and of u the
// user information and the values of the query. A nil u has none.
func SentIn(header http.Header, u *url.URL) Sent {
	var s Sent
	for name, values := range header {
		switch http.CanonicalHeaderKey(name) {
		case "Content-Type", "Content-Encoding", "Content-Length", "Accept-Encoding", "User-Agent":
			continue
		}
		for _, value := range values {
			s = s.add(value)
			if scheme, credential, ok := strings.Cut(value, " "); ok && authScheme(scheme) {
				s = s.add(strings.TrimSpace(credential))
			}
		}
	}
	if u == nil {
		return s
	}
	for _, values := range u.Query() {
		for _, value := range values {
			s = s.add(value).add(url.QueryEscape(value))
		}
	}
	if u.User != nil {
		name := u.User.Username()
		password, _ := u.User.Password()
		s = s.add(base64.StdEncoding.EncodeToString([]byte(name + ":" + password))).add(password)
		if password == "" {
			s = s.add(name)
		}
	}
	return s
}

func (s Sent) add(secret string) Sent {
	if len(secret) < minSent {
		return s
	}
	return append(s, secret)
}

// Hide overwrites the secrets in an answer with asterisks. The answer keeps its
// length, so that a message in it can still be decoded. Upper and lower case are
// the same, as far as they are ASCII.
func (s Sent) Hide(answer []byte) {
	for _, secret := range s {
		for i := 0; i+len(secret) <= len(answer); i++ {
			if lower(answer[i]) != lower(secret[0]) || !strings.EqualFold(string(answer[i:i+len(secret)]), secret) {
				continue
			}
			for j := range len(secret) {
				answer[i+j] = '*'
			}
		}
	}
}

// Text returns text without the secrets.
func (s Sent) Text(text string) string {
	b := []byte(text)
	s.Hide(b)
	return string(b)
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

package clewhttp

import "net/http"

// otherMethod stands for every method that the conventions do not know, so that
// callers cannot invent series and span names: Semantic Conventions 1.43.0,
// "HTTP spans", note on http.request.method.
const otherMethod = "_OTHER"

// knownMethod returns method if the conventions know it, GET for the empty
// method, which net/http takes for it, and "_OTHER" for anything else. Methods
// are case-sensitive (RFC 9110, "Methods").
func knownMethod(method string) string {
	switch method {
	case "":
		return http.MethodGet
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodConnect, http.MethodOptions, http.MethodTrace, "QUERY":
		return method
	}
	return otherMethod
}

// methodName is the method in the name of a span.
func methodName(known string) string {
	if known == otherMethod {
		return "HTTP"
	}
	return known
}

// protocolVersion is the value of network.protocol.version, or "" for a version
// that HTTP does not have: one that a caller has made up makes no series.
func protocolVersion(major, minor int) string {
	switch {
	case major == 1 && minor == 1:
		return "1.1"
	case major == 1 && minor == 0:
		return "1.0"
	case major == 2:
		return "2"
	case major == 3:
		return "3"
	}
	return ""
}

// statusText is the value of error.type for a status, or "" for a status that
// HTTP does not have.
func statusText(status int) string {
	if status < 100 || status > 599 {
		return ""
	}
	return statusTexts[status-100]
}

var statusTexts = func() (texts [500]string) {
	for i := range texts {
		status := i + 100
		texts[i] = string([]byte{byte('0' + status/100), byte('0' + status/10%10), byte('0' + status%10)})
	}
	return texts
}()

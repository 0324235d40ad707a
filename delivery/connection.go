package delivery

import (
	"crypto/tls"
	"net"
	"net/http"
	"time"
)

// A connection may die without a word: a balancer has forgotten it, or the machine
// behind it is gone. HTTP/1.1 closes a connection on which an attempt got no answer in
// time, but HTTP/2 would go on using it until the kernel gives up, which takes minutes.
// With these times it is found dead and replaced within 15 s.
const (
	pingAfter   = 5 * time.Second // without a frame from the server
	pingTimeout = 5 * time.Second // for the answer to the ping
)

// maxIdle is the number of idle connections to one host: as many as send by default.
const maxIdle = numSignals * defaultSenders

// NewBase returns a transport for [Config].Base or [Route].Base that connects with the
// given TLS configuration; nil means the system's roots and no client certificate. It
// takes proxies from the environment, and replaces a dead connection within 15 s. It is
// not http.DefaultTransport, which the program may have instrumented: the delivery of
// spans must not make spans.
func NewBase(config *tls.Config) *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:       config,
		ForceAttemptHTTP2:     true,
		HTTP2:                 &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
		MaxIdleConnsPerHost:   maxIdle,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   5 * time.Second,
		ExpectContinueTimeout: time.Second,
	}
}

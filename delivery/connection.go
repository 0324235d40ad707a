package delivery

import (
	"crypto/tls"
	"net"
	"net/http"
	"time"
)

// A connection may die without a word: a balancer has forgotten it, or the machine
// behind it is gone. HTTP/1.1 closes a connection on which an attempt got no answer in
// time, but HTTP/2 would go on using it until the kernel gives up, which takes minutes, and
// so would HTTP/1.1 for a [Route] whose attempts have no limit. With these times it is
// found dead and replaced within 15 s.
const (
	pingAfter   = 5 * time.Second // without a frame from the server
	pingTimeout = 5 * time.Second // for the answer to the ping

	// The kernel asks the other end whether it is there (RFC 9293, "TCP Keep-Alives"), and
	// gives up if that, or what it has sent, is not acknowledged. Only Linux can be told
	// the time for the latter; see [giveUp].
	probeAfter = 5 * time.Second // without a packet from the server
	probeEvery = 3 * time.Second
	probes     = 3
	deadAfter  = probeAfter + probes*probeEvery
)

// maxIdle is the number of idle connections to one host: as many as send by default.
const maxIdle = numSignals * defaultSenders

// NewBase returns a transport for [Config].Base or [Route].Base that connects with the
// given TLS configuration; nil means the system's roots and no client certificate. It
// takes proxies from the environment, and replaces a dead connection within 15 s. It is
// not http.DefaultTransport, which the program may have instrumented: the delivery of
// spans must not make spans.
func NewBase(config *tls.Config) *http.Transport {
	dialer := &net.Dialer{
		Timeout:         5 * time.Second,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: probeAfter, Interval: probeEvery, Count: probes},
		Control:         giveUp,
	}
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           dialer.DialContext,
		TLSClientConfig:       config,
		ForceAttemptHTTP2:     true,
		HTTP2:                 &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
		MaxIdleConnsPerHost:   maxIdle,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   5 * time.Second,
		ExpectContinueTimeout: time.Second,
	}
}

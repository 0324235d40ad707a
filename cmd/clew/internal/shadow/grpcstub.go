package shadow

import "strings"

// The exporters of OTLP over HTTP mention gRPC in options that they do not have.
// These files stand for it, because a second google.golang.org/grpc in a
// program would bring a second golang.org/x/net/trace, which registers its pages
// on http.DefaultServeMux.

const grpcPath = prefix + "google.golang.org/grpc/"

// isGRPC reports whether a file of generated code needs all of gRPC.
func isGRPC(name string) bool {
	return strings.HasSuffix(name, "_grpc.pb.go") || strings.HasSuffix(name, ".pb.gw.go")
}

// stubGRPC replaces the packages of gRPC, if there are any.
func stubGRPC(files map[string][]byte) {
	used := false
	for name := range files {
		if strings.HasPrefix(name, grpcPath) {
			delete(files, name)
			used = true
		}
	}
	if !used {
		return
	}
	for name, text := range grpcStubs {
		files[grpcPath+name] = []byte(text)
	}
}

var grpcStubs = map[string]string{
	"grpc.go": `package grpc

import (
	"time"

	"` + grpcPath + `backoff"
	"` + grpcPath + `credentials"
)

type ClientConn struct{}
type DialOption any
type CallOption any
type ConnectParams struct {
	Backoff           backoff.Config
	MinConnectTimeout time.Duration
}

func WithUserAgent(string) DialOption                                      { return nil }
func WithDefaultServiceConfig(string) DialOption                           { return nil }
func WithTransportCredentials(credentials.TransportCredentials) DialOption { return nil }
func WithDefaultCallOptions(...CallOption) DialOption                      { return nil }
func WithConnectParams(ConnectParams) DialOption                           { return nil }
func UseCompressor(string) CallOption                                      { return nil }
`,
	"backoff/backoff.go": `package backoff

import "time"

type Config struct {
	BaseDelay, MaxDelay time.Duration
	Multiplier, Jitter  float64
}

var DefaultConfig Config
`,
	"credentials/credentials.go": `package credentials

import "crypto/tls"

type TransportCredentials any

func NewTLS(*tls.Config) TransportCredentials { return nil }
`,
	"credentials/insecure/insecure.go": `package insecure

import "` + grpcPath + `credentials"

func NewCredentials() credentials.TransportCredentials { return nil }
`,
	"encoding/gzip/gzip.go": `package gzip

const Name = "gzip"
`,
}

package settings

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
)

// TLS holds the certificates of a connection: the ones to trust, and the one to show.
// Their files may be renewed; each connection uses what they hold when it is made.
type TLS struct {
	Host string // of the endpoint

	roots *renewed[*x509.CertPool]  // nil: the system's
	shown *renewed[tls.Certificate] // nil: none
}

// Config returns what crypto/tls takes. It is nil if nothing is set.
func (t TLS) Config() *tls.Config {
	if t.roots == nil && t.shown == nil {
		return nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if t.roots != nil {
		// A pool in the configuration cannot be replaced, so crypto/tls has to leave the
		// verification to verify. The pool still says what is trusted.
		config.RootCAs = t.roots.current()
		config.InsecureSkipVerify = true //nolint:gosec // verify does it
		config.VerifyConnection = t.verify
	}
	if t.shown != nil {
		config.Certificates = []tls.Certificate{t.shown.current()}
		config.GetClientCertificate = t.show
	}
	return config
}

// Same reports whether connections with these certificates can be shared with those of the
// other: the files are the same, and so is the endpoint if it is to be verified.
func (t TLS) Same(other TLS) bool {
	if t.roots == nil && t.shown == nil {
		return other.roots == nil && other.shown == nil
	}
	return t.Host == other.Host && t.roots.same(other.roots) && t.shown.same(other.shown)
}

// verify is what crypto/tls does by itself, with the certificates that are trusted now.
// The name that the server was asked for is missing if it is an IP address. Then the
// server must be the endpoint, which crypto/x509 finds out from a name or an address.
func (t TLS) verify(state tls.ConnectionState) error {
	name := state.ServerName
	if name == "" {
		name = t.Host
	}
	if name == "" || len(state.PeerCertificates) == 0 {
		return errors.New("the server is not known by a name, or has no certificate")
	}
	opts := x509.VerifyOptions{Roots: t.roots.current(), DNSName: name, Intermediates: x509.NewCertPool()}
	for _, certificate := range state.PeerCertificates[1:] {
		opts.Intermediates.AddCert(certificate)
	}
	if _, err := state.PeerCertificates[0].Verify(opts); err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: state.PeerCertificates, Err: err}
	}
	return nil
}

// show returns the certificate to show, or an empty one if the server wants another
// kind, as crypto/tls does.
func (t TLS) show(wanted *tls.CertificateRequestInfo) (*tls.Certificate, error) {
	certificate := t.shown.current()
	if wanted.SupportsCertificate(&certificate) == nil {
		return &certificate, nil
	}
	return new(tls.Certificate), nil
}

// renewed is what some files hold. A file that is replaced is read again. If that
// fails, what it held before stays in use.
type renewed[T any] struct {
	name  string // of the variable
	files []string
	read  func() (T, error)

	mu    sync.Mutex
	value T
	state []fileState // when the files were last read
	bad   bool        // it has been said that they cannot be used
}

type fileState struct {
	size    int64
	changed time.Time
}

// newRenewed reads the files for the first time.
func newRenewed[T any](name string, read func() (T, error), files ...string) (*renewed[T], error) {
	r := &renewed[T]{name: name, files: files, read: read, state: statesOf(files)}
	var err error
	r.value, err = read()
	return r, err
}

// same reports whether both are of the same files, or there are none.
func (r *renewed[T]) same(other *renewed[T]) bool {
	if r == nil || other == nil {
		return r == other
	}
	return slices.Equal(r.files, other.files)
}

// current returns what the files hold now.
func (r *renewed[T]) current() T {
	value, err := r.look()
	if err != nil { // said without the lock, because a handler may connect, too
		p := Problem{Name: r.name, Value: r.files[0], Reason: err.Error(), Using: "what it held before"}
		otel.Handle(errors.New(p.String()))
	}
	return value
}

// look returns what is in use, and an error if that is the first time that the files
// cannot be used.
func (r *renewed[T]) look() (T, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	state := statesOf(r.files) // before reading, so that a change meanwhile is seen next time
	if slices.Equal(state, r.state) {
		return r.value, nil
	}
	r.state = state
	value, err := r.read()
	if err != nil {
		if r.bad {
			err = nil
		}
		r.bad = true
		return r.value, err
	}
	r.value, r.bad = value, false
	return value, nil
}

// statesOf tells apart what files held. One that cannot be read has the zero state.
func statesOf(files []string) []fileState {
	states := make([]fileState, len(files))
	for i, file := range files {
		if info, err := os.Stat(file); err == nil {
			states[i] = fileState{info.Size(), info.ModTime()}
		}
	}
	return states
}

// readRoots reads certificates to trust.
func readRoots(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fileError("must be a PEM file: ", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("must be a PEM file: it holds no certificate")
	}
	return pool, nil
}

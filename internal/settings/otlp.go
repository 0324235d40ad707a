package settings

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/clewtrace/clew/internal/redact"
)

const systemRoots = "the system's certificates"

// otlp reads how a signal is sent.
func (r *reader) otlp(signal string) *OTLP {
	names := func(option string) []string {
		return []string{otlpPrefix + strings.ToUpper(signal) + "_" + option, otlpPrefix + option}
	}
	c := &OTLP{Signal: signal}
	c.Protocol = read(r, protocol, ProtocolProtobuf, names("PROTOCOL")...)
	r.endpoint(c, names("ENDPOINT"), names("INSECURE"))
	c.Headers = r.headers(names("HEADERS"))
	c.Timeout = read(r, timeout, 10*time.Second, names("TIMEOUT")...)
	c.Gzip = read(r, oneOf([]string{"gzip", None}), None, names("COMPRESSION")...) == "gzip"
	c.TLS = r.tls(names("CERTIFICATE"), names("CLIENT_CERTIFICATE"), names("CLIENT_KEY"))
	c.TLS.Host = c.Endpoint.Hostname()
	c.authorize()
	return c
}

// authorize sends the credentials in the endpoint as net/http does with those
// in a URL.
func (c *OTLP) authorize() {
	if user := c.Endpoint.User; user != nil && c.Headers["Authorization"] == "" {
		r := http.Request{Header: http.Header{}}
		password, _ := user.Password()
		r.SetBasicAuth(user.Username(), password)
		c.Headers["Authorization"] = r.Header.Get("Authorization")
	}
}

// protocol accepts what is registered when it is read.
var protocol = kind[string]{
	parse: func(text string) (string, error) {
		const general = otlpPrefix + "PROTOCOL"
		lower := strings.ToLower(text)
		known := names(general)
		if slices.Contains(known, lower) {
			return lower, nil
		}
		return "", errors.New("must be " + either(known) + importHint(general, lower, "; ", ""))
	},
	show: itself,
}

// endpoint reads where a signal is sent. Over HTTP, the signal's own variable is
// taken as it is, and the general one gets the signal's path: OpenTelemetry
// Protocol Exporter, "Endpoint URLs for OTLP/HTTP". So it is with a protocol that
// others plug in.
func (r *reader) endpoint(c *OTLP, names, insecure []string) {
	source, text := r.find(names...)
	if c.Protocol != ProtocolGRPC {
		c.Endpoint = resolveEndpoint(&r.report, c.Signal, names[0], source, text, source == names[1])
		return
	}
	insecureAt, value := r.find(insecure...)
	c.resolveTarget(&r.report, resolveSecurity(&r.report, insecure[0], insecureAt, value), names[0], source, text)
}

// resolveSecurity reads whether an endpoint that does not say so has no TLS.
func resolveSecurity(r *report, variable, source, text string) security {
	set := false
	k := boolean
	k.parse = func(text string) (bool, error) {
		v, err := boolean.parse(text)
		set = err == nil
		return v, err
	}
	if v := resolve(r, k, variable, source, text, false); set {
		return security(strconv.FormatBool(v))
	}
	return ""
}

// resolveEndpoint reads the URL that a signal is sent to over HTTP. A general one
// gets the signal's path.
func resolveEndpoint(r *report, signal, variable, source, text string, general bool) *url.URL {
	const standard = "http://localhost:4318"
	k := address(standard, "")
	parse := k.parse
	k.parse = func(text string) (*url.URL, error) {
		u, err := parse(text)
		switch {
		case err != nil:
		case general:
			u = u.JoinPath("/v1/" + signal)
		case u.Path == "":
			u.Path = "/"
		}
		return u, err
	}
	return resolve(r, k, variable, source, text, mustParse(standard).JoinPath("/v1/"+signal))
}

// mustParse parses a URL of this package.
func mustParse(text string) *url.URL {
	u, err := url.Parse(text)
	if err != nil {
		u = &url.URL{Scheme: "http", Host: "localhost"}
	}
	return u
}

// mask stands for the value of a header.
const mask = "***"

// headers reads "key=value,...", values percent-encoded: OpenTelemetry
// Protocol Exporter, "Specifying headers via environment variables". A pair
// that cannot be used is left out and reported; its value is not shown, since
// headers hold credentials.
func (r *reader) headers(names []string) map[string]string {
	source, text := r.find(names...)
	headers := map[string]string{}
	var bad []string
	for pair := range strings.SplitSeq(text, ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		key, value, found := strings.Cut(pair, "=")
		key = strings.TrimSpace(key)
		value, err := url.PathUnescape(strings.TrimSpace(value))
		if !found || err != nil || !validHeader(key, value) {
			if !found {
				key = mask // it may be the credential itself
			}
			bad = append(bad, redact.Text(key))
			continue
		}
		headers[http.CanonicalHeaderKey(key)] = value
	}
	r.reportHeaders(names[0], source, headers, bad)
	return headers
}

// reportHeaders notes which headers are in effect, and which cannot be used.
func (r *report) reportHeaders(variable, source string, headers map[string]string, bad []string) {
	shown := maskedPairs(slices.Sorted(maps.Keys(headers)))
	if len(bad) > 0 {
		p := Problem{Name: source, Value: maskedPairs(bad), Using: "the other headers: " + shown,
			Reason: "must be key=value,... with HTTP header names and percent-encoded values"}
		if !slices.Contains(r.problems, p) {
			r.problems = append(r.problems, p)
		}
	}
	if source == "" {
		source = Default
	}
	r.record(variable, shown, source)
}

func maskedPairs(keys []string) string {
	if len(keys) == 0 {
		return None
	}
	return strings.Join(keys, "="+mask+",") + "=" + mask
}

// tls reads the files that hold the certificates to trust, and those to show.
func (r *reader) tls(ca, certificate, key []string) TLS {
	caAt, caFile := r.find(ca...)
	certificateAt, certificateFile := r.find(certificate...)
	keyAt, keyFile := r.find(key...)
	if certificateFile != "" && keyAt == "" {
		keyAt = key[slices.Index(certificate, certificateAt)]
	}
	if keyFile != "" && certificateAt == "" {
		certificateAt = certificate[slices.Index(key, keyAt)]
	}
	return resolveTLS(&r.report, ca[0], caAt, caFile, certificate[0], certificateAt, certificateFile, keyAt, keyFile)
}

// KeyPair reads a certificate and its private key. It is nil in a program that
// does not import [ClientCertImport].
var KeyPair func(certificateFile, keyFile string) (tls.Certificate, error)

// resolveTLS loads the files that are named. A certificate comes with its key.
func resolveTLS(r *report, ca, caAt, caFile, certificate, certificateAt, certificateFile, keyAt, keyFile string) TLS {
	var t TLS
	roots := plain
	roots.parse = func(file string) (string, error) {
		read := func() (*x509.CertPool, error) { return readRoots(file) }
		trusted, err := newRenewed(caAt, read, file)
		if err != nil {
			return "", err
		}
		t.roots = trusted
		return file, nil
	}
	resolve(r, roots, ca, caAt, caFile, systemRoots)
	pair := plain
	pair.parse = func(file string) (string, error) {
		if keyFile == "" {
			return "", errors.New("must come with a key: " + keyAt + " is not set")
		}
		if KeyPair == nil {
			return "", errors.New("client certificates need the import of " + ClientCertImport)
		}
		read := func() (tls.Certificate, error) {
			loaded, err := KeyPair(file, keyFile)
			if err != nil {
				err = fileError("must be a PEM file that belongs to "+keyAt+": ", err)
			}
			return loaded, err
		}
		shown, err := newRenewed(certificateAt, read, file, keyFile)
		if err != nil {
			return "", err
		}
		t.shown = shown
		return file, nil
	}
	resolve(r, pair, certificate, certificateAt, certificateFile, None)
	if certificateFile == "" && keyFile != "" {
		r.problem(keyAt, keyFile, "must come with a certificate: "+certificateAt+" is not set", None)
	}
	return t
}

// fileError says why a file cannot be used. The path may be a secret that
// somebody pasted in its place, and is left out: the problem names it, masked.
func fileError(what string, err error) error {
	if pathError, ok := errors.AsType[*os.PathError](err); ok {
		err = fmt.Errorf("%s: %w", pathError.Op, pathError.Err)
	}
	return fmt.Errorf("%s%w", what, err)
}

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
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"
)

const systemRoots = "the system's certificates"

// rules say what an endpoint of a protocol is like.
type rules struct {
	endpoint   string // the default
	signalPath bool   // a general endpoint gets the path /v1/<signal>
	hostPort   bool   // an endpoint may be host:port
}

// protocolRules returns the rules of a protocol. One that others plug in has
// those of OTLP over HTTP.
func protocolRules(protocol string) rules {
	if protocol == ProtocolGRPC {
		return rules{endpoint: "http://localhost:4317", hostPort: true}
	}
	return rules{endpoint: "http://localhost:4318", signalPath: true}
}

// otlp reads how a signal is sent.
func (r *reader) otlp(signal string) *OTLP {
	names := func(option string) []string {
		return []string{otlpPrefix + strings.ToUpper(signal) + "_" + option, otlpPrefix + option}
	}
	c := &OTLP{Signal: signal}
	c.Protocol = read(r, protocol, ProtocolProtobuf, names("PROTOCOL")...)
	c.Endpoint = r.endpoint(signal, protocolRules(c.Protocol), names("ENDPOINT"), names("INSECURE"))
	c.Headers = r.headers(names("HEADERS"))
	c.Timeout = read(r, millis, 10*time.Second, names("TIMEOUT")...)
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

// endpoint reads the URL that a signal is sent to. The signal's own variable
// is taken as it is, the general one gets the signal's path: OpenTelemetry
// Protocol Exporter, "Endpoint URLs for OTLP/HTTP".
func (r *reader) endpoint(signal string, rules rules, names, insecure []string) *url.URL {
	scheme := ""
	if rules.hostPort {
		scheme = "https"
		if read(r, boolean, false, insecure...) {
			scheme = "http"
		}
	}
	source, text := r.find(names...)
	return resolveEndpoint(&r.report, rules, scheme, signal, names[0], source, text, source == names[1])
}

// resolveEndpoint reads the endpoint of a signal. A general one gets the
// signal's path.
func resolveEndpoint(r *report, rules rules, scheme, signal, variable, source, text string, general bool) *url.URL {
	standard := mustParse(rules.endpoint)
	if rules.signalPath {
		standard = standard.JoinPath("/v1/" + signal)
	}
	k := address(rules.endpoint, scheme)
	parse := k.parse
	k.parse = func(text string) (*url.URL, error) {
		u, err := parse(text)
		switch {
		case err != nil || !rules.signalPath:
		case general:
			u = u.JoinPath("/v1/" + signal)
		case u.Path == "":
			u.Path = "/"
		}
		return u, err
	}
	return resolve(r, k, variable, source, text, standard)
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
		if !found || err != nil || !httpguts.ValidHeaderFieldName(key) || !httpguts.ValidHeaderFieldValue(value) {
			if !found {
				key = mask // it may be the credential itself
			}
			bad = append(bad, key)
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
		read := func() (tls.Certificate, error) {
			loaded, err := tls.LoadX509KeyPair(file, keyFile)
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

package settings_test

import (
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/clewtrace/clew/internal/settings"
)

// target reads an endpoint for gRPC.
func target(endpoint, insecure string) (*settings.OTLP, []settings.Problem) {
	settings.AcceptImports()
	s, problems := settings.Read(environ{
		"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_INSECURE": insecure,
	}.lookup)
	return s.Spans[0].OTLP, problems
}

func TestTargetsOfGRPC(t *testing.T) {
	for _, test := range []struct{ endpoint, insecure, target, url, socket string }{
		{"", "", "localhost:4317", "http://localhost:4317", ""},
		{"http://host:4318", "", "host:4318", "http://host:4318", ""},
		{"http://host:4318", "false", "host:4318", "http://host:4318", ""},
		{"https://host", "true", "host:4317", "https://host", ""},
		{"HTTPS://host:443/path", "", "host:443", "https://host:443/path", ""},
		{"host:1", "", "host:1", "https://host:1", ""},
		{"host", "true", "host:4317", "http://host", ""},
		{"[::1]:1", "true", "[::1]:1", "http://[::1]:1", ""},
		{"http://[::1]", "", "[::1]:4317", "http://[::1]", ""},
		{"http://[fe80::1%25eth0]:1", "", "[fe80::1%25eth0]:1", "http://[fe80::1%25eth0]:1", ""},
		{"dns:host:1", "true", "dns:host:1", "http://host:1", ""},
		{"dns:///host:1", "", "dns:///host:1", "https://host:1", ""},
		{"dns://8.8.8.8/host", "true", "dns://8.8.8.8/host:4317", "http://host", ""},
		{"DNS:///host:1", "", "dns:///host:1", "https://host:1", ""},
		{"passthrough:///host:1", "true", "passthrough:///host:1", "http://host:1", ""},
		{"passthrough:host:1", "", "passthrough:host:1", "https://host:1", ""},
		{"ipv4:10.0.0.1:1", "true", "10.0.0.1:1", "http://10.0.0.1:1", ""},
		{"ipv4:10.0.0.1", "", "10.0.0.1:4317", "https://10.0.0.1:4317", ""},
		{"ipv6:[::1]:1", "true", "[::1]:1", "http://[::1]:1", ""},
		{"ipv6:2001:db8::1", "", "[2001:db8::1]:4317", "https://[2001:db8::1]:4317", ""},
		{"unix:///run/otel.sock", "", "unix:///run/otel.sock", "unix:///run/otel.sock", "/run/otel.sock"},
		{"unix:///run/otel.sock", "true", "unix:///run/otel.sock", "unix:///run/otel.sock", "/run/otel.sock"},
		{"unix:///run/otel.sock", "false", "unix:///run/otel.sock", "https://localhost/run/otel.sock", "/run/otel.sock"},
		{"unix:/run/otel.sock", "", "unix:/run/otel.sock", "unix:/run/otel.sock", "/run/otel.sock"},
		{"unix:otel.sock", "", "unix:otel.sock", "unix:otel.sock", "otel.sock"},
		{"unix-abstract:otel", "", "unix-abstract:otel", "unix-abstract:otel", "@otel"},
	} {
		t.Run(test.endpoint+" "+test.insecure, func(t *testing.T) {
			c, problems := target(test.endpoint, test.insecure)
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			if c.Target != test.target || c.Endpoint.String() != test.url || c.Socket() != test.socket {
				t.Errorf("target %q, URL %q, socket %q, want %q, %q and %q", c.Target, c.Endpoint, c.Socket(), test.target, test.url, test.socket)
			}
			checkTarget(t, c.Target)
		})
	}
}

// checkTarget asks gRPC whether it takes a target.
func checkTarget(t *testing.T, target string) {
	t.Helper()
	conn, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	conn.Close() //nolint:errcheck // nothing was connected
}

func TestWrongTargetsOfGRPC(t *testing.T) {
	for _, endpoint := range []string{
		"tcp://host:1", "http://", "http:///path", "host:port", "host:0", "host:70000", ":", ":4317", "unix:", "unix://", "unix:///", "unix://host/sock",
		"unix:///a?b", "unix:///a%zz", "unix-abstract:", "dns:", "dns:///", "dns://8.8.8.8", "dns:///host:port", "dns://user:pass@ns/host",
		"passthrough:", "passthrough://authority/host:1", "ipv4:[::1]:1", "ipv4:host", "ipv4:10.0.0.1:1,10.0.0.2:1", "ipv6:10.0.0.1", "ipv6:", "\x7f%zz",
	} {
		t.Run(endpoint, func(t *testing.T) {
			c, problems := target(endpoint, "")
			const accepted = "must be http://host:port, https://host:port, host:port, dns:///host:port, dns://authority/host:port, " +
				"unix:///path, unix:path, unix-abstract:name, passthrough:///host:port, ipv4:address:port or ipv6:[address]:port"
			if len(problems) != 1 || problems[0].Name != "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" || problems[0].Reason != accepted || problems[0].Using != "http://localhost:4317" {
				t.Errorf("problems %v", problems)
			}
			if c.Target != "localhost:4317" {
				t.Errorf("target %q", c.Target)
			}
		})
	}
}

func TestTargetsKeepSecrets(t *testing.T) {
	const secret = "S3cr3tV4lue"
	settings.AcceptImports()
	for _, endpoint := range []string{
		"user:" + secret + "@host:1", "https://user:" + secret + "@host:1", "dns:///user:" + secret + "@host:1", "dns://user:" + secret + "@ns/host:1",
		"passthrough:///user:" + secret + "@host:1", "unix:///user:" + secret + "@host", "unix://user:" + secret + "@host/x", "http://host:1?api_key=" + secret,
	} {
		s, problems := settings.Read(environ{"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}.lookup)
		for _, e := range s.Effective {
			if strings.Contains(e.Value, secret) {
				t.Errorf("%s shows %s", e.Name, e.Value)
			}
		}
		for _, p := range problems {
			if strings.Contains(p.String(), secret) {
				t.Errorf("a problem shows %s", p)
			}
		}
		if strings.Contains(s.Spans[0].OTLP.Target, secret) && s.Spans[0].OTLP.Socket() == "" {
			t.Errorf("the target is %s", s.Spans[0].OTLP.Target)
		}
	}
}

func TestTargetInAFile(t *testing.T) {
	settings.AcceptImports()
	for secure, url := range map[any]string{nil: "https://host:1", false: "https://host:1", true: "http://host:1"} {
		settings.RegisterFileParser(parse(map[string]any{
			"file_format": "1.0",
			"tracer_provider": map[string]any{"processors": []any{map[string]any{"batch": map[string]any{
				"exporter": map[string]any{"otlp_grpc": map[string]any{"endpoint": "dns:///host:1", "tls": map[string]any{"insecure": secure}}},
			}}}},
		}))
		s, problems := settings.Read(environ{"OTEL_CONFIG_FILE": "otel.yaml"}.lookup)
		if c := s.Spans[0].OTLP; c.Target != "dns:///host:1" || c.Endpoint.String() != url || len(problems) > 0 {
			t.Errorf("insecure %v: target %q, URL %q, problems %v", secure, c.Target, c.Endpoint, problems)
		}
	}
}

// FuzzTarget reads any endpoint: what is accepted, gRPC accepts, and nothing
// panics.
func FuzzTarget(f *testing.F) {
	for _, seed := range []string{"host:1", "http://[::1]:1", "dns://8.8.8.8/host:1", "unix:///run/otel.sock", "unix-abstract:x", "ipv6:[::1]:1", "passthrough:///h", "dns:///h%41", "unix:a%2fb", "host:1/%zz"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, endpoint string) {
		c, problems := target(endpoint, "")
		if c.Endpoint == nil || c.Target == "" {
			t.Fatalf("%q: endpoint %v, target %q, problems %v", endpoint, c.Endpoint, c.Target, problems)
		}
		checkTarget(t, c.Target)
	})
}

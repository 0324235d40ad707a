package settings_test

import (
	"fmt"
	"log/slog"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/clewtrace/clew/internal/settings"
)

// environ is an environment to look names up in.
type environ map[string]string

func (e environ) lookup(name string) (string, bool) { v, ok := e[name]; return v, ok }

// all asks for everything that has variables of its own.
func all() environ {
	return environ{"OTEL_TRACES_EXPORTER": "otlp,zipkin", "OTEL_METRICS_EXPORTER": "otlp,prometheus", "CLEW_AUTO": "true"}
}

// TestTable compares the table with what is read: each default is the one in
// effect, and each variable that is read is in the table.
func TestTable(t *testing.T) {
	settings.AcceptImports()
	s, problems := settings.Read(all().lookup)
	if len(problems) > 0 {
		t.Error(problems)
	}
	inEffect := map[string]string{}
	for _, e := range s.Effective {
		inEffect[e.Name] = e.Value
	}
	for _, v := range settings.Variables() {
		if v.Sentence == "" || !strings.HasSuffix(v.Sentence, ".") {
			t.Errorf("%s has no sentence: %q", v.Name, v.Sentence)
		}
		got, read := inEffect[v.Name]
		delete(inEffect, v.Name)
		switch {
		case !read, strings.HasSuffix(v.Name, "_EXPORTER"), strings.HasSuffix(v.Name, "_ENDPOINT"):
		case got != v.Default && (v.Default != "" || got != "none"):
			if v.Name != "OTEL_SERVICE_NAME" { // found out later
				t.Errorf("%s: %q is in effect, the table says %q", v.Name, got, v.Default)
			}
		}
	}
	for name := range inEffect {
		t.Errorf("%s is read, and not in the table", name)
	}
}

// TestReadLooksUpNothingElse looks at which variables are asked for.
func TestReadLooksUpNothingElse(t *testing.T) {
	known := map[string]bool{}
	for _, v := range settings.Variables() {
		known[v.Name] = false
	}
	settings.AcceptImports()
	for _, protocol := range []string{"http/protobuf", "grpc"} {
		env := all()
		env["OTEL_EXPORTER_OTLP_PROTOCOL"] = protocol
		settings.Read(func(name string) (string, bool) {
			if _, ok := known[name]; !ok {
				t.Errorf("%s is looked up, and not in the table", name)
			}
			known[name] = true
			return env.lookup(name)
		})
	}
	for name, read := range known {
		if !read {
			t.Errorf("%s is in the table, and not read", name)
		}
	}
}

func TestReadLeavesTheProcessAlone(t *testing.T) {
	before := os.Environ()
	s, _ := settings.Read(environ{"OTEL_SERVICE_NAME": "shop", "OTEL_RESOURCE_ATTRIBUTES": "broken"}.lookup)
	if s.ServiceName != "shop" || !slices.Equal(os.Environ(), before) {
		t.Errorf("service %q, environment changed: %v", s.ServiceName, !slices.Equal(os.Environ(), before))
	}
}

func TestPrecedence(t *testing.T) {
	for _, test := range []struct {
		rule string
		env  environ
		want time.Duration
		from string
	}{
		{"the default", environ{}, 10 * time.Second, "default"},
		{"the general variable", environ{"OTEL_EXPORTER_OTLP_TIMEOUT": "1"}, time.Millisecond, "OTEL_EXPORTER_OTLP_TIMEOUT"},
		{"the signal's own variable", environ{"OTEL_EXPORTER_OTLP_TIMEOUT": "1", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": "2"}, 2 * time.Millisecond, "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT"},
		{"an empty variable is unset", environ{"OTEL_EXPORTER_OTLP_TIMEOUT": "1", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": " "}, time.Millisecond, "OTEL_EXPORTER_OTLP_TIMEOUT"},
		{"what cannot be used is the default", environ{"OTEL_EXPORTER_OTLP_TIMEOUT": "1s"}, 10 * time.Second, "default"},
		{"a request takes no longer than an export", environ{"OTEL_BSP_EXPORT_TIMEOUT": "5"}, 5 * time.Millisecond, "default"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			s, _ := settings.Read(test.env.lookup)
			source := ""
			for _, e := range s.Effective {
				if e.Name == "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT" {
					source = e.Source
				}
			}
			if got := s.Spans[0].OTLP.Timeout; got != test.want || source != test.from {
				t.Errorf("%v from %s, want %v from %s", got, source, test.want, test.from)
			}
		})
	}
}

// TestSecretsAreMasked gives every variable a value with a secret in it.
func TestSecretsAreMasked(t *testing.T) {
	const secret = "S3cr3tV4lue"
	values := []string{
		"http://user:" + secret + "@host:4318/p", "http://host:port/?api_key=" + secret, "http://host/p#" + secret, "user:" + secret + "@host",
		"-----BEGIN PRIVATE KEY-----\n" + secret + "\n-----END PRIVATE KEY-----", "authorization=Bearer " + secret,
		"endpoint=http://user:" + secret + "@host/,pollingIntervalMs=x",
	}
	for _, v := range settings.Variables() {
		for i, value := range values {
			t.Run(fmt.Sprintf("%s %d", v.Name, i), func(t *testing.T) {
				env := all()
				if strings.HasPrefix(v.Name, "OTEL_TRACES_SAMPLER") {
					env["OTEL_TRACES_SAMPLER"] = "adaptive"
				}
				env[v.Name] = value
				s, problems := settings.Read(env.lookup)
				if shown := fmt.Sprint(s.Effective, problems); strings.Contains(shown, secret) {
					t.Errorf("shown: %s", shown)
				}
			})
		}
	}
}

// parse makes a file parser of a tree, so that files are read without YAML.
func parse(root map[string]any) settings.FileParser {
	return func(string, func(string) (string, bool)) (map[string]any, error) { return root, nil }
}

// TestAnExporterOfAFileMayBeEmpty: everything has a default.
func TestAnExporterOfAFileMayBeEmpty(t *testing.T) {
	for name, empty := range map[string]any{"nothing": nil, "a map": map[string]any{}} {
		batch := map[string]any{"batch": map[string]any{"exporter": map[string]any{"otlp_http": empty}}}
		settings.RegisterFileParser(parse(map[string]any{"file_format": "1.0", "tracer_provider": map[string]any{"processors": []any{batch}}}))
		s, problems := settings.Read(environ{"OTEL_CONFIG_FILE": "otel.yaml"}.lookup)
		if len(problems) > 0 || len(s.Spans) != 1 || s.Spans[0].OTLP.Endpoint.String() != "http://localhost:4318/v1/traces" {
			t.Errorf("%s: problems %v, %+v", name, problems, s.Spans)
		}
	}
}

func TestFileStandsInPlaceOfTheVariables(t *testing.T) {
	settings.RegisterFileParser(parse(map[string]any{
		"file_format": "1.0",
		"log_level":   "warn2",
		"resource": map[string]any{
			"attributes":            []any{map[string]any{"name": "team", "value": "blue"}},
			"detection/development": map[string]any{"detectors": []any{map[string]any{"service": nil}}},
		},
		"tracer_provider": map[string]any{
			"processors": []any{map[string]any{"batch": map[string]any{
				"schedule_delay": 0, "max_export_batch_size": 7,
				"exporter": map[string]any{"otlp_http": map[string]any{"endpoint": "http://h:1/v1/traces", "timeout": 0}},
			}}},
			"sampler": map[string]any{"parent_based": map[string]any{"root": map[string]any{"trace_id_ratio_based": map[string]any{"ratio": 0.25}}}},
			"colour":  "green",
		},
	}))
	s, problems := settings.Read(environ{
		"OTEL_CONFIG_FILE": "otel.yaml", "OTEL_SERVICE_NAME": "shop", "OTEL_TRACES_SAMPLER": "always_off", "OTEL_BSP_MAX_QUEUE_SIZE": "3",
		"CLEW_DELIVERY_QUEUE_SIZE": "100000",
	}.lookup)
	if len(problems) != 1 || problems[0].String() != "OTEL_CONFIG_FILE: tracer_provider.colour: not supported, and ignored" {
		t.Errorf("problems %v", problems)
	}
	got := []any{s.LogLevel, s.ServiceName, s.Sampler.Name, s.Sampler.Ratio, s.Spans[0].Batch, s.Spans[0].OTLP.Endpoint.String(), s.Spans[0].OTLP.Timeout, s.Propagators, s.Delivery.QueueSize, len(s.Logs), s.PrintLogs}
	want := []any{slog.LevelWarn, "shop", "parentbased_traceidratio", 0.25, settings.Batch{Size: 7, Delay: -1, ExportTimeout: 30 * time.Second}, "http://h:1/v1/traces", 30 * time.Second, []string{}, int64(100000), 0, true}
	for i := range want {
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Errorf("%d: %v, want %v", i, got[i], want[i])
		}
	}
}

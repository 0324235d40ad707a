package e2e_test

import (
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"go.yaml.in/yaml/v3"
)

// exactVersion matches an image reference that names one release.
var exactVersion = regexp.MustCompile(`^[\w./-]+:v?\d+\.\d+\.\d+(-[\w.]+)?(@sha256:[0-9a-f]{64})?$`)

func compose(t *testing.T) *types.Project {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{"../docker-compose.yaml"})
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return project
}

func TestComposeMountsExistingFilesReadOnly(t *testing.T) {
	for name, service := range compose(t).Services {
		for _, v := range service.Volumes {
			if v.Type != types.VolumeTypeBind {
				continue
			}
			if _, err := os.Stat(v.Source); err != nil {
				t.Errorf("%s mounts what is not there: %v", name, err)
			}
			if !v.ReadOnly {
				t.Errorf("%s may write to %s", name, v.Source)
			}
		}
	}
}

func TestComposePublishesOnLoopbackOnly(t *testing.T) {
	for name, service := range compose(t).Services {
		for _, p := range service.Ports {
			if ip := net.ParseIP(p.HostIP); ip == nil || !ip.IsLoopback() {
				t.Errorf("%s publishes port %s on %q", name, p.Published, p.HostIP)
			}
		}
	}
}

func TestComposePinsImages(t *testing.T) {
	for name, service := range compose(t).Services {
		if service.Build == nil && !exactVersion.MatchString(service.Image) {
			t.Errorf("%s runs %q, which is not one release", name, service.Image)
		}
	}
	dockerfile, err := os.ReadFile("../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	for _, from := range regexp.MustCompile(`(?m)^FROM (\S+)`).FindAllStringSubmatch(string(dockerfile), -1) {
		if from[1] != "scratch" && !exactVersion.MatchString(from[1]) {
			t.Errorf("Dockerfile builds from %q, which is not one release", from[1])
		}
	}
}

func TestComposeBuildsExistingPrograms(t *testing.T) {
	built := 0
	for name, service := range compose(t).Services {
		if service.Build == nil {
			continue
		}
		built++
		program := service.Build.Args["PROGRAM"]
		if program == nil {
			t.Errorf("%s does not choose a PROGRAM", name)
			continue
		}
		if _, err := os.Stat(filepath.Join(service.Build.Context, "examples", *program, "main.go")); err != nil {
			t.Errorf("%s builds what is not there: %v", name, err)
		}
	}
	if built == 0 {
		t.Error("no service is built from this repository")
	}
}

// The files that compose mounts name each other's addresses.
func TestComposeAddressesMatch(t *testing.T) {
	project := compose(t)
	var tempo struct {
		Server struct {
			Port int `yaml:"http_listen_port"`
		}
		Distributor struct {
			Receivers struct {
				OTLP struct {
					Protocols struct {
						HTTP struct{ Endpoint string }
					}
				}
			}
		}
	}
	decode(t, "../tempo/tempo.yaml", &tempo)

	var grafana struct {
		Datasources []struct {
			Type, UID, URL string
			IsDefault      bool `yaml:"isDefault"`
		}
	}
	decode(t, "../grafana/provisioning/datasources/tempo.yaml", &grafana)
	if len(grafana.Datasources) != 1 {
		t.Fatalf("%d data sources, want 1", len(grafana.Datasources))
	}
	source := grafana.Datasources[0]
	if source.Type != "tempo" || source.UID != "tempo" || !source.IsDefault {
		t.Errorf("data source %+v, want Tempo as the default with uid tempo", source)
	}
	if want := "http://tempo:" + strconv.Itoa(tempo.Server.Port); source.URL != want {
		t.Errorf("Grafana asks %s, Tempo answers at %s", source.URL, want)
	}

	receiver := tempo.Distributor.Receivers.OTLP.Protocols.HTTP.Endpoint
	host, port, err := net.SplitHostPort(receiver)
	if err != nil || host != "0.0.0.0" {
		t.Errorf("Tempo receives OTLP/HTTP at %q, which other containers cannot reach", receiver)
	}
	for name, service := range project.Services {
		for key, value := range service.Environment {
			if !strings.HasPrefix(key, "OTEL_EXPORTER_OTLP") || value == nil {
				continue
			}
			u, err := url.Parse(*value)
			if err != nil {
				t.Errorf("%s: %s=%q: %v", name, key, *value, err)
				continue
			}
			if _, ok := project.Services[u.Hostname()]; !ok || u.Port() != port {
				t.Errorf("%s exports to %s, Tempo receives at tempo:%s", name, *value, port)
			}
		}
	}
}

func decode(t *testing.T, path string, into any) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(content, into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

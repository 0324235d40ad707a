package e2e_test

import (
	"net"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"go.yaml.in/yaml/v3"
)

// exactVersion matches an image reference that names one release.
var exactVersion = regexp.MustCompile(`^[\w./-]+:v?\d+\.\d+\.\d+(-[\w.]+)?(@sha256:[0-9a-f]{64})?$`)

// unchecked are the services without a health check, and why.
var unchecked = map[string]string{
	"client": "listens nowhere", "tail": noProbe, "balancer": noProbe, "gateway-1": noProbe, "gateway-2": noProbe,
}

const noProbe = "the image holds nothing to ask the Collector with"

// compose loads the compose file as without variables and arguments.
func compose(t *testing.T, envFiles ...string) *types.Project {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{"../docker-compose.yaml"},
		cli.WithEnvFiles(envFiles...), cli.WithDotEnv, cli.WithDefaultProfiles())
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return project
}

// profiles are the ways to start it that its comment names, and the services that
// each adds.
var profiles = []struct {
	name, envFile string
	adds          []string
}{
	{name: "direct"},
	{"tail", "../collector/tail.env", []string{"tail"}},
	{"scale", "../collector/scale.env", []string{"balancer", "gateway-1", "gateway-2"}},
}

// TestCompose checks what runs in each profile.
func TestCompose(t *testing.T) {
	direct := compose(t).ServiceNames()
	for _, p := range profiles {
		t.Run(p.name, func(t *testing.T) {
			var envFiles []string
			if p.envFile != "" {
				envFiles = []string{p.envFile}
			}
			project := compose(t, envFiles...)
			want := slices.Sorted(slices.Values(append(slices.Clone(direct), p.adds...)))
			if got := slices.Sorted(slices.Values(project.ServiceNames())); !slices.Equal(got, want) {
				t.Errorf("services are %v, want %v", got, want)
			}
			for name, service := range project.Services {
				t.Run(name, func(t *testing.T) {
					checkMounts(t, service)
					checkPorts(t, project, service)
					checkImage(t, service)
					checkLimits(t, service)
					checkDependencies(t, project, service)
					checkTelemetry(t, project, service, p.adds)
				})
			}
			checkHomeDashboard(t, project)
			if counts := *project.Services["tempo"].Environment["METRICS_PROCESSORS"]; (counts == "[]") != (p.adds != nil) {
				t.Errorf("Tempo counts %s: it must do so where no Collector does", counts)
			}
		})
	}
}

func checkMounts(t *testing.T, service types.ServiceConfig) {
	t.Helper()
	for _, v := range service.Volumes {
		if v.Type != types.VolumeTypeBind {
			continue
		}
		if _, err := os.Stat(v.Source); err != nil {
			t.Errorf("mounts what is not there: %v", err)
		}
		if !v.ReadOnly {
			t.Errorf("may write to %s", v.Source)
		}
	}
}

// checkPorts wants published ports on loopback alone, and something behind them.
func checkPorts(t *testing.T, project *types.Project, service types.ServiceConfig) {
	t.Helper()
	for _, p := range service.Ports {
		if ip := net.ParseIP(p.HostIP); ip == nil || !ip.IsLoopback() {
			t.Errorf("publishes port %s on %q", p.Published, p.HostIP)
		}
		if !slices.Contains(listens(t, project, service.Name), p.Target) {
			t.Errorf("publishes port %d, where it does not listen", p.Target)
		}
	}
}

// checkImage wants one release of an image, or a program that exists.
func checkImage(t *testing.T, service types.ServiceConfig) {
	t.Helper()
	if service.Build == nil {
		if !exactVersion.MatchString(service.Image) {
			t.Errorf("runs %q, which is not one release", service.Image)
		}
		return
	}
	program := service.Build.Args["PROGRAM"]
	if program == nil {
		t.Fatal("does not choose a PROGRAM")
	}
	if _, err := os.Stat(filepath.Join(service.Build.Context, "examples", *program, "main.go")); err != nil {
		t.Errorf("builds what is not there: %v", err)
	}
	if !service.ReadOnly || !slices.Contains(service.CapDrop, "ALL") || !slices.Contains(service.SecurityOpt, "no-new-privileges:true") {
		t.Error("may do more than it has to")
	}
}

func checkLimits(t *testing.T, service types.ServiceConfig) {
	t.Helper()
	if service.MemLimit == 0 {
		t.Error("has no limit of memory")
	}
	if reason, ok := unchecked[service.Name]; ok != (service.HealthCheck == nil) {
		t.Errorf("health check %+v; reason to have none: %q", service.HealthCheck, reason)
	}
	if service.Restart != types.RestartPolicyUnlessStopped {
		t.Errorf("is restarted %q", service.Restart)
	}
}

func checkDependencies(t *testing.T, project *types.Project, service types.ServiceConfig) {
	t.Helper()
	for name, d := range service.DependsOn {
		other, ok := project.Services[name]
		if !ok {
			if d.Required {
				t.Errorf("depends on %s, which does not run", name)
			}
			continue
		}
		if (d.Condition == types.ServiceConditionHealthy) != (other.HealthCheck != nil) {
			t.Errorf("waits for %s: %s, whose health check is %v", name, d.Condition, other.HealthCheck)
		}
	}
	for _, address := range addresses(strings.Join(service.Command, " ")) {
		checkAddress(t, project, address)
		if _, ok := service.DependsOn[address.Hostname()]; !ok && address.Hostname() != "localhost" {
			t.Errorf("calls %s and does not wait for it", address.Host)
		}
	}
	if service.HealthCheck != nil {
		for _, address := range addresses(strings.Join(service.HealthCheck.Test, " ")) {
			address.Host = service.Name + ":" + address.Port()
			checkAddress(t, project, address)
		}
	}
	for _, v := range service.Volumes {
		if v.Type == types.VolumeTypeBind {
			checkFiles(t, project, v.Source)
		}
	}
}

// checkFiles checks the addresses in what is mounted.
func checkFiles(t *testing.T, project *types.Project, root string) {
	t.Helper()
	err := filepath.WalkDir(root, func(file string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(file) != ".yaml" {
			return err
		}
		content, err := os.ReadFile(file)
		for _, address := range addresses(string(content)) {
			checkAddress(t, project, address)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// checkTelemetry wants each signal of our programs sent to where it is taken.
func checkTelemetry(t *testing.T, project *types.Project, service types.ServiceConfig, collectors []string) {
	t.Helper()
	if service.Build == nil {
		return
	}
	traces := "tempo"
	if len(collectors) > 0 {
		traces = collectors[0]
	}
	for signal, want := range map[string]url.URL{
		"TRACES":  {Host: traces, Path: "/v1/traces"},
		"METRICS": {Host: "prometheus", Path: "/api/v1/otlp/v1/metrics"},
		"LOGS":    {Host: "loki", Path: "/otlp/v1/logs"},
	} {
		value := service.Environment["OTEL_EXPORTER_OTLP_"+signal+"_ENDPOINT"]
		if value == nil {
			t.Errorf("does not say where %s go", signal)
			continue
		}
		got, err := url.Parse(*value)
		if err != nil || got.Hostname() != want.Host || got.Path != want.Path {
			t.Errorf("sends %s to %s (%v), want %s%s", signal, *value, err, want.Host, want.Path)
			continue
		}
		checkAddress(t, project, got)
	}
	if name := service.Environment["OTEL_SERVICE_NAME"]; name == nil || *name != service.Name {
		t.Errorf("is another service in its telemetry: %v", name)
	}
}

func checkHomeDashboard(t *testing.T, project *types.Project) {
	t.Helper()
	grafana := project.Services["grafana"]
	home := grafana.Environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
	for _, v := range grafana.Volumes {
		if home != nil && path.Dir(*home) == v.Target {
			if _, err := os.Stat(filepath.Join(v.Source, path.Base(*home))); err != nil {
				t.Errorf("the start page is not there: %v", err)
			}
			return
		}
	}
	t.Error("the start page is not mounted")
}

func TestDockerfileBuildsFromReleases(t *testing.T) {
	dockerfile, err := os.ReadFile("../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	for _, from := range regexp.MustCompile(`(?m)^FROM (\S+)`).FindAllStringSubmatch(string(dockerfile), -1) {
		if from[1] != "scratch" && !exactVersion.MatchString(from[1]) {
			t.Errorf("the Dockerfile builds from %q, which is not one release", from[1])
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

package e2e_test

import (
	"cmp"
	"net"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"go.yaml.in/yaml/v3"
)

// exactVersion matches an image reference that names one release.
var exactVersion = regexp.MustCompile(`^[\w./-]+:v?\d+\.\d+\.\d+(-[\w.]+)?(@sha256:[0-9a-f]{64})?$`)

// unchecked are the services without a health check, and why.
var unchecked = map[string]string{
	"client": "listens nowhere", "collector": noProbe, "balancer-2": noProbe, "gateway-1": noProbe, "gateway-2": noProbe,
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
	sampler       string // of the services
}{
	{name: "forward", sampler: "parentbased_adaptive"},
	{"tail", "../collector/tail.env", nil, "parentbased_always_on"},
	{"scale", "../collector/scale.env", []string{"balancer-2", "gateway-1", "gateway-2"}, "parentbased_always_on"},
}

// TestCompose checks what runs in each profile.
func TestCompose(t *testing.T) {
	always := compose(t).ServiceNames()
	for _, p := range profiles {
		t.Run(p.name, func(t *testing.T) {
			var envFiles []string
			if p.envFile != "" {
				envFiles = []string{p.envFile}
			}
			project := compose(t, envFiles...)
			want := slices.Sorted(slices.Values(append(slices.Clone(always), p.adds...)))
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
					checkTelemetry(t, project, service, p.sampler)
				})
			}
			checkHomeDashboard(t, project)
			checkImageNames(t, project)
			checkEndpoint(t, project)
			if counts := *project.Services["tempo"].Environment["METRICS_PROCESSORS"]; (counts == "[]") != collectorsCount(t, project) {
				t.Errorf("Tempo counts %s: it must do so where no Collector does, and only there", counts)
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

// checkTelemetry wants our programs to send to the Collector, before it decides.
func checkTelemetry(t *testing.T, project *types.Project, service types.ServiceConfig, sampler string) {
	t.Helper()
	if service.Build == nil {
		return
	}
	variable := func(name string) string {
		if value := service.Environment[name]; value != nil {
			return *value
		}
		return ""
	}
	endpoint, err := url.Parse(variable("OTEL_EXPORTER_OTLP_ENDPOINT"))
	if err != nil || endpoint.Hostname() != "collector" || endpoint.Path != "" {
		t.Fatalf("sends to %v (%v), want the Collector, at no path", endpoint, err)
	}
	checkAddress(t, project, endpoint)
	if name := variable("OTEL_SERVICE_NAME"); name != service.Name {
		t.Errorf("is %q in its telemetry", name)
	}
	if got := variable("OTEL_TRACES_SAMPLER"); got != sampler {
		t.Errorf("samples by %q, want %q", got, sampler)
	}
	delay, err := strconv.Atoi(variable("OTEL_BSP_SCHEDULE_DELAY"))
	for name := range project.Services {
		wait := collectorOf(t, project, name).decisionWait(t)
		if err != nil || wait > 0 && time.Duration(delay)*time.Millisecond > wait/2 {
			t.Errorf("holds spans back for %d ms (%v), and %s decides after %v", delay, err, name, wait)
		}
	}
}

// checkEndpoint wants one address of this machine that takes all three signals,
// over HTTP and gRPC: what a program outside of compose sends to.
func checkEndpoint(t *testing.T, project *types.Project) {
	t.Helper()
	publishers := make(map[string][]string)
	for name, service := range project.Services {
		for _, p := range service.Ports {
			publishers[p.Published] = append(publishers[p.Published], name)
		}
	}
	for _, port := range []string{"4317", "4318"} {
		if !slices.Equal(publishers[port], []string{"collector"}) {
			t.Errorf("port %s is that of %v, want the Collector's", port, publishers[port])
		}
	}
	config := collectorOf(t, project, "collector")
	for _, signal := range []string{"traces", "metrics", "logs"} {
		if pipeline := config.Service.Pipelines[signal]; !slices.Equal(pipeline.Receivers, []string{"otlp"}) || len(pipeline.Exporters) == 0 {
			t.Errorf("the Collector hands %s from %v to %v", signal, pipeline.Receivers, pipeline.Exporters)
		}
	}
}

// checkImageNames wants no image to be built twice: Compose builds all at once, and
// all but one fail because the name is taken.
func checkImageNames(t *testing.T, project *types.Project) {
	t.Helper()
	builders := make(map[string]string)
	for name, service := range project.Services {
		if service.Build == nil {
			continue
		}
		image := cmp.Or(service.Image, project.Name+"-"+name)
		if other, taken := builders[image]; taken {
			t.Errorf("%s and %s build the image %s", other, name, image)
		}
		builders[image] = name
	}
}

// collectorsCount reports whether a Collector makes metrics of spans.
func collectorsCount(t *testing.T, project *types.Project) bool {
	t.Helper()
	for name := range project.Services {
		if collectorOf(t, project, name).Connectors["span_metrics"] != nil {
			return true
		}
	}
	return false
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

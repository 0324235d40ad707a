package e2e_test

import (
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
)

var addressPattern = regexp.MustCompile(`https?://[\w.-]+:\d+[\w./-]*`)

// addresses returns the URLs with a port that are in a text.
func addresses(text string) []*url.URL {
	var found []*url.URL
	for _, match := range addressPattern.FindAllString(text, -1) {
		if u, err := url.Parse(match); err == nil {
			found = append(found, u)
		}
	}
	return found
}

// checkAddress wants a service of that name to listen on that port.
func checkAddress(t *testing.T, project *types.Project, address *url.URL) {
	t.Helper()
	port, err := strconv.ParseUint(address.Port(), 10, 32)
	if ports := listens(t, project, address.Hostname()); err != nil || !slices.Contains(ports, uint32(port)) {
		t.Errorf("%s is no address of a service: it listens on %v", address, ports)
	}
}

// listens returns the ports on which others can reach the service, as its
// configuration or its command says; nil if it does not run.
func listens(t *testing.T, project *types.Project, name string) []uint32 {
	t.Helper()
	service, ok := project.Services[name]
	if !ok {
		return nil
	}
	switch name {
	case "tempo":
		return tempoPorts(t)
	case "prometheus":
		return []uint32{9090} // its default, as those below
	case "loki":
		return []uint32{3100}
	case "grafana":
		return []uint32{3000}
	}
	if file := collectorFile(project, name); file != "" {
		return collectorPorts(t, file)
	}
	if i := slices.Index(service.Command, "-addr"); i >= 0 {
		return reachable(t, service.Command[i+1])
	}
	return nil
}

// reachable is the port of an address that is not loopback.
func reachable(t *testing.T, address string) []uint32 {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	n, portErr := strconv.ParseUint(port, 10, 32)
	if err != nil || portErr != nil || host != "" && host != "0.0.0.0" {
		t.Errorf("%q cannot be reached by other containers", address)
		return nil
	}
	return []uint32{uint32(n)}
}

func tempoPorts(t *testing.T) []uint32 {
	t.Helper()
	var config struct {
		Server struct {
			Port uint32 `yaml:"http_listen_port"`
		}
		Distributor struct {
			Receivers receivers
		}
	}
	decode(t, "../tempo/tempo.yaml", &config)
	return append(config.Distributor.Receivers.ports(t), config.Server.Port)
}

type receivers struct {
	OTLP struct {
		Protocols map[string]struct{ Endpoint string }
	}
}

func (r receivers) ports(t *testing.T) []uint32 {
	t.Helper()
	var ports []uint32
	for _, p := range r.OTLP.Protocols {
		ports = append(ports, reachable(t, withoutVariables(p.Endpoint))...)
	}
	return ports
}

// withoutVariables puts in the defaults of a Collector's configuration.
func withoutVariables(text string) string {
	return regexp.MustCompile(`\$\{env:\w+:-([^}]*)\}`).ReplaceAllString(text, "$1")
}

// collectorFile is the configuration that a service runs a Collector with; "" if
// it is none.
func collectorFile(project *types.Project, name string) string {
	for _, v := range project.Services[name].Volumes {
		if v.Target == "/etc/collector.yaml" {
			return v.Source
		}
	}
	return ""
}

// collectorConfig is what the tests read of a file in collector/.
type collectorConfig struct {
	Receivers  receivers
	Connectors map[string]any
	Processors struct {
		TailSampling struct {
			DecisionWait string `yaml:"decision_wait"`
		} `yaml:"tail_sampling"`
	}
	Exporters struct {
		LoadBalancing struct {
			Resolver struct {
				DNS struct{ Hostname, Port string }
			}
		} `yaml:"load_balancing"`
	}
	Extensions struct {
		Health struct{ Endpoint string } `yaml:"health_check"`
	}
	Service struct {
		Pipelines map[string]struct{ Receivers, Exporters []string }
	}
}

// collectorOf is the configuration of the Collector that a service is, or the
// zero value.
func collectorOf(t *testing.T, project *types.Project, name string) (config collectorConfig) {
	t.Helper()
	if file := collectorFile(project, name); file != "" {
		decode(t, file, &config)
	}
	return config
}

// decisionWait is how long the Collector waits before it decides, 0 if it does not.
func (c collectorConfig) decisionWait(t *testing.T) time.Duration {
	t.Helper()
	text := c.Processors.TailSampling.DecisionWait
	if text == "" {
		return 0
	}
	wait, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return wait
}

func collectorPorts(t *testing.T, path string) []uint32 {
	t.Helper()
	var config collectorConfig
	decode(t, path, &config)
	return append(config.Receivers.ports(t), reachable(t, withoutVariables(config.Extensions.Health.Endpoint))...)
}

// The services look up a name that has the addresses of both balancers, and these
// one that has the addresses of all gateways.
func TestComposeBalancersFindGateways(t *testing.T) {
	project := compose(t, "../collector/scale.env")
	var config collectorConfig
	decode(t, "../collector/balancer.yaml", &config)
	dns := config.Exporters.LoadBalancing.Resolver.DNS
	port, err := strconv.ParseUint(dns.Port, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	if second := project.Services["balancer-2"].Networks["default"]; second == nil || !slices.Contains(second.Aliases, "collector") ||
		collectorFile(project, "balancer-2") != collectorFile(project, "collector") {
		t.Errorf("services do not find the second balancer: %+v", second)
	}
	found, volumes := 0, make(map[string]bool)
	for name, service := range project.Services {
		if !strings.HasPrefix(name, "gateway-") {
			continue
		}
		network := service.Networks["default"]
		if network == nil || !slices.Contains(network.Aliases, withoutVariables(dns.Hostname)) || !slices.Contains(listens(t, project, name), uint32(port)) {
			t.Errorf("%s is not found as %+v", name, dns)
		}
		found++
		for _, v := range service.Volumes {
			if v.Type == types.VolumeTypeVolume {
				volumes[v.Source] = true
			}
		}
	}
	if found < 2 || len(volumes) != found {
		t.Errorf("%d gateways with the volumes %v, want two or more with one each", found, volumes)
	}
}

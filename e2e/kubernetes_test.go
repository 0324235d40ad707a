package e2e_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// cluster is what the manifests make together.
type cluster struct {
	pods     map[string]corev1.PodTemplateSpec // by Deployment or StatefulSet
	services map[string]corev1.Service
	configs  map[string]corev1.ConfigMap
	sets     map[string]appsv1.StatefulSet
}

// readManifests decodes every document into the type of its kind. A field that
// the type has not is an error.
func readManifests(t *testing.T) cluster {
	t.Helper()
	c := cluster{map[string]corev1.PodTemplateSpec{}, map[string]corev1.Service{}, map[string]corev1.ConfigMap{}, map[string]appsv1.StatefulSet{}}
	files, err := filepath.Glob("../kubernetes/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no manifests: %v", err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(content)))
		for {
			document, err := reader.Read()
			if errors.Is(err, io.EOF) {
				break
			}
			if err == nil {
				err = c.add(document)
			}
			if err != nil {
				t.Fatalf("%s: %v\n%s", file, err, document)
			}
		}
	}
	return c
}

func (c *cluster) add(document []byte) error {
	var head struct{ APIVersion, Kind string }
	if err := yaml.Unmarshal(document, &head); err != nil {
		return err
	}
	var err error
	switch head.APIVersion + " " + head.Kind {
	case "apps/v1 Deployment":
		var d appsv1.Deployment
		err = yaml.UnmarshalStrict(document, &d)
		c.pods[d.Name] = d.Spec.Template
		err = errors.Join(err, selects(d.Spec.Selector.MatchLabels, d.Spec.Template))
	case "apps/v1 StatefulSet":
		var s appsv1.StatefulSet
		err = yaml.UnmarshalStrict(document, &s)
		c.pods[s.Name], c.sets[s.Name] = s.Spec.Template, s
		err = errors.Join(err, selects(s.Spec.Selector.MatchLabels, s.Spec.Template))
	case "v1 Service":
		var s corev1.Service
		err = yaml.UnmarshalStrict(document, &s)
		c.services[s.Name] = s
	case "v1 ConfigMap":
		var m corev1.ConfigMap
		err = yaml.UnmarshalStrict(document, &m)
		c.configs[m.Name] = m
	case "policy/v1 PodDisruptionBudget":
		err = yaml.UnmarshalStrict(document, &policyv1.PodDisruptionBudget{})
	default:
		err = fmt.Errorf("kind %q is not known to the test", head)
	}
	return err
}

func selects(labels map[string]string, pod corev1.PodTemplateSpec) error {
	if len(labels) == 0 || !maps.Equal(labels, pod.Labels) {
		return fmt.Errorf("selects %v, the pods have %v", labels, pod.Labels)
	}
	return nil
}

// stores are expected to run in the cluster; the manifests do not bring them.
var stores = map[string]string{"tempo": "4318", "prometheus": "9090", "loki": "3100"}

func TestKubernetesManifests(t *testing.T) {
	c := readManifests(t)
	for name, pod := range c.pods {
		t.Run(name, func(t *testing.T) {
			container := pod.Spec.Containers[0]
			c.checkContainer(t, container)
			for _, address := range c.addressesOf(t, pod) {
				host, port, _ := strings.Cut(address, ":")
				if stores[host] != port && !c.answers(host, port) {
					t.Errorf("%s is no address of a service", address)
				}
			}
		})
	}
	for name, service := range c.services {
		for _, p := range service.Spec.Ports {
			if !c.answers(name, strconv.Itoa(int(p.Port))) {
				t.Errorf("nothing answers at port %d of service %s", p.Port, name)
			}
		}
	}
}

func (c *cluster) checkContainer(t *testing.T, container corev1.Container) {
	t.Helper()
	if !exactVersion.MatchString(container.Image) && container.Image != "clew-shop:1" {
		t.Errorf("runs %q, which is not one release", container.Image)
	}
	if container.Resources.Limits.Memory().IsZero() || container.Resources.Requests.Cpu().IsZero() {
		t.Error("has no limit of memory, or asks for no processor")
	}
	if probe := container.ReadinessProbe; probe == nil || !slices.ContainsFunc(container.Ports, func(p corev1.ContainerPort) bool {
		return p.Name == probe.HTTPGet.Port.StrVal
	}) {
		t.Error("has no probe, or one of a port that it does not have")
	}
	s := container.SecurityContext
	if s == nil || !*s.RunAsNonRoot || !*s.ReadOnlyRootFilesystem || *s.AllowPrivilegeEscalation || !slices.Contains(s.Capabilities.Drop, "ALL") {
		t.Error("may do more than it has to")
	}
}

// addressesOf returns each host:port in the pod's command, variables and mounted
// files.
func (c *cluster) addressesOf(t *testing.T, pod corev1.PodTemplateSpec) (found []string) {
	t.Helper()
	container := pod.Spec.Containers[0]
	texts := slices.Clone(container.Args)
	for _, from := range container.EnvFrom {
		config, ok := c.configs[from.ConfigMapRef.Name]
		if !ok {
			t.Errorf("has its variables from %s, which is not there", from.ConfigMapRef.Name)
		}
		// What compose sets for its two tiers, but for the address.
		for name, value := range compose(t, "../collector/scale.env").Services["checkout"].Environment {
			own := name == "OTEL_SERVICE_NAME" || name == "OTEL_RESOURCE_ATTRIBUTES" || name == "OTEL_EXPORTER_OTLP_ENDPOINT"
			if !own && value != nil && config.Data[name] != *value {
				t.Errorf("%s is %q, in compose %q", name, config.Data[name], *value)
			}
		}
		endpoint := config.Data["OTEL_EXPORTER_OTLP_ENDPOINT"]
		if u, err := url.Parse(endpoint); err != nil || u.Hostname() != "balancer" || u.Path != "" {
			t.Errorf("sends to %q", endpoint)
		}
		texts = append(texts, endpoint)
	}
	if file, ok := strings.CutPrefix(container.Args[0], "--config="); ok {
		content, err := os.ReadFile(filepath.Join("../collector", path.Base(file)))
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, withoutVariables(string(content)))
		c.checkCollector(t, pod, filepath.Join("../collector", path.Base(file)))
	}
	for _, u := range addresses(strings.Join(texts, " ")) {
		found = append(found, u.Host)
	}
	return found
}

// checkCollector wants the ports of the configuration, and of its directories
// those that have to be written to.
func (c *cluster) checkCollector(t *testing.T, pod corev1.PodTemplateSpec, file string) {
	t.Helper()
	container := pod.Spec.Containers[0]
	var ports []uint32
	for _, p := range container.Ports {
		ports = append(ports, uint32(p.ContainerPort)) //nolint:gosec // a port
	}
	if want := collectorPorts(t, file); !slices.Equal(slices.Sorted(slices.Values(ports)), slices.Sorted(slices.Values(want))) {
		t.Errorf("has the ports %v, its configuration %v", ports, want)
	}
	if image := compose(t, "../collector/scale.env").Services["collector"].Image; container.Image != image {
		t.Errorf("runs %s, compose %s", container.Image, image)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, directory, writes := strings.Cut(withoutVariables(string(content)), "\n    directory: ")
	directory, _, _ = strings.Cut(directory, "\n")
	if writes && !slices.ContainsFunc(container.VolumeMounts, func(m corev1.VolumeMount) bool { return m.MountPath == directory && !m.ReadOnly }) {
		t.Errorf("cannot write to %s", directory)
	}
}

// answers reports whether the service of that name has pods behind that port.
func (c *cluster) answers(name, port string) bool {
	service, ok := c.services[name]
	if !ok {
		return false
	}
	for _, p := range service.Spec.Ports {
		if strconv.Itoa(int(p.Port)) != port {
			continue
		}
		for _, pod := range c.pods {
			if maps.Equal(pod.Labels, service.Spec.Selector) && slices.ContainsFunc(pod.Spec.Containers[0].Ports, func(cp corev1.ContainerPort) bool {
				return cp.Name == p.TargetPort.StrVal
			}) {
				return true
			}
		}
	}
	return false
}

// Balancers ask the name service for the addresses of all gateways, which only a
// headless service has.
func TestKubernetesGatewaysAreFound(t *testing.T) {
	c := readManifests(t)
	set, service := c.sets["gateway"], c.services["gateway"]
	if service.Spec.ClusterIP != corev1.ClusterIPNone || set.Spec.ServiceName != service.Name {
		t.Errorf("service %q of set %q is not headless", service.Name, set.Spec.ServiceName)
	}
	content, err := os.ReadFile("../collector/balancer.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains([]byte(withoutVariables(string(content))), []byte("\n        hostname: gateway\n        port: \"4317\"\n")) || !c.answers("gateway", "4317") {
		t.Error("balancers look for gateways elsewhere")
	}
}

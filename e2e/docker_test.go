package e2e_test

import (
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/clewtrace/clew/e2e/internal/process"
	"github.com/clewtrace/clew/internal/otlpreceiver"
)

const (
	maxImage    = 30_000_000 // bytes
	maxStop     = 3          // seconds from SIGTERM to SIGKILL
	healthLimit = time.Minute
)

// docker runs the client and returns what it prints.
func docker(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "docker", args...)
	cmd.Env = append(os.Environ(), "DOCKER_BUILDKIT=1")
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("docker %q: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// needEngine skips the test where images cannot be built.
func needEngine(t *testing.T) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "docker", "info").CombinedOutput(); err != nil {
		t.Skipf("no Docker Engine, .ci/with-docker starts one: %s", out)
	}
	base := baseImage(t)
	if exec.CommandContext(t.Context(), "docker", "image", "inspect", base).Run() == nil {
		return
	}
	if out, err := exec.CommandContext(t.Context(), "docker", "pull", base).CombinedOutput(); err != nil {
		t.Skipf("%s cannot be pulled, .ci/with-docker makes one: %s", base, out)
	}
}

// baseImage is the one that the Dockerfile builds in.
func baseImage(t *testing.T) string {
	t.Helper()
	dockerfile, err := os.ReadFile("../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(dockerfile), "\nFROM ")
	base, _, _ := strings.Cut(rest, " ")
	return base
}

// buildImage builds the image of a program of examples/.
func buildImage(t *testing.T, program string) (image string) {
	t.Helper()
	image = "clew-e2e-" + program
	docker(t, "", "build", "--build-arg", "PROGRAM="+program, "-t", image, "..")
	removeLater(t, image)
	return image
}

func TestDockerImages(t *testing.T) {
	needEngine(t)
	for _, program := range []string{"server", "client", "shop"} {
		t.Run(program, func(t *testing.T) {
			image := buildImage(t, program)
			size, err := strconv.Atoi(docker(t, "", "image", "inspect", "--format", "{{.Size}}", image))
			if err != nil || size > maxImage {
				t.Errorf("the image has %d bytes (%v), want at most %d", size, err, maxImage)
			}
			checkBuildInfo(t, image)
			t.Logf("%.1f MB", float64(size)/1e6)
		})
	}
}

// checkBuildInfo compares what the program in the image says of itself with the
// repository.
func checkBuildInfo(t *testing.T, image string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	container := docker(t, "", "create", image)
	docker(t, "", "cp", container+":/program", path)
	docker(t, "", "rm", container)
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	settings := make(map[string]string)
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	git := func(args ...string) string {
		cmd := exec.CommandContext(t.Context(), "git", args...)
		cmd.Dir = ".."
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(out))
	}
	if got, want := settings["vcs.revision"], git("rev-parse", "HEAD"); got != want {
		t.Errorf("vcs.revision is %q, want %q", got, want)
	}
	if got, want := settings["vcs.modified"], strconv.FormatBool(git("status", "--porcelain") != ""); got != want {
		t.Errorf("vcs.modified is %q, want %q", got, want)
	}
	if info.Main.Version == "" || info.Main.Version == "(devel)" {
		t.Errorf("the version is %q", info.Main.Version)
	}
	if settings["CGO_ENABLED"] != "0" {
		t.Error("the program is not static")
	}
}

// container runs a service of the compose file, as that says but for its telemetry:
// all of it goes to a receiver on loopback, in the host's network.
func container(t *testing.T, project *types.Project, name, image, receiver string) (id string) {
	t.Helper()
	service := project.Services[name]
	if service.HealthCheck != nil {
		image = withHealthCheck(t, image, name, service.HealthCheck.Test)
	}
	args := []string{"run", "--detach", "--network=host", "--read-only=" + strconv.FormatBool(service.ReadOnly),
		"--memory=" + strconv.FormatInt(int64(service.MemLimit), 10)}
	for other := range project.Services {
		args = append(args, "--add-host="+other+":127.0.0.1")
	}
	for _, c := range service.CapDrop {
		args = append(args, "--cap-drop="+c)
	}
	for _, o := range service.SecurityOpt {
		args = append(args, "--security-opt="+o)
	}
	for key, value := range service.Environment {
		if value != nil && !strings.HasPrefix(key, "OTEL_EXPORTER_OTLP_") {
			args = append(args, "--env="+key+"="+*value)
		}
	}
	args = append(args, "--env=OTEL_EXPORTER_OTLP_ENDPOINT="+receiver, "--env=OTEL_TRACES_SAMPLER=parentbased_always_on", "--env=SHOP_FAULT=", image)
	id = docker(t, "", append(args, service.Command...)...)
	t.Cleanup(func() {
		if t.Failed() {
			logs, _ := exec.Command("docker", "logs", id).CombinedOutput() //nolint:noctx // t.Context has ended
			t.Logf("%s:\n%s", name, logs)
		}
		_ = exec.Command("docker", "rm", "--force", id).Run() //nolint:noctx // t.Context has ended
	})
	if service.HealthCheck != nil {
		process.Eventually(t, healthLimit, func() error {
			if status := docker(t, "", "inspect", "--format", "{{.State.Health.Status}}", id); status != "healthy" {
				return fmt.Errorf("%s is %s", name, status)
			}
			return nil
		})
	}
	return id
}

// withHealthCheck returns an image with the health check of the compose file: to
// docker run only a shell command can be given, and there is no shell.
func withHealthCheck(t *testing.T, image, name string, test []string) string {
	t.Helper()
	command, err := json.Marshal(test[1:])
	if err != nil {
		t.Fatal(err)
	}
	checked := image + "-" + name
	docker(t, "FROM "+image+"\nHEALTHCHECK --interval=200ms --start-period=30s CMD "+string(command), "build", "-t", checked, "-")
	removeLater(t, checked)
	return checked
}

func removeLater(t *testing.T, image string) {
	t.Helper()
	t.Cleanup(func() { _ = exec.Command("docker", "rmi", "--force", image).Run() }) //nolint:noctx // t.Context has ended
}

// stop ends the container as compose does. One that has not ended by itself in
// time is killed, and its exit code says so.
func stop(t *testing.T, name, id string) {
	t.Helper()
	began := time.Now()
	docker(t, "", "stop", "--time", strconv.Itoa(maxStop), id)
	t.Logf("%s stops in %v", name, time.Since(began).Round(time.Millisecond))
	if code := docker(t, "", "inspect", "--format", "{{.State.ExitCode}}", id); code != "0" {
		t.Errorf("%s exits with %s, want 0: a graceful end", name, code)
	}
}

// TestDockerContainers compares with what arrives only after all have stopped.
func TestDockerContainers(t *testing.T) {
	needEngine(t)
	project := compose(t)
	var store otlpreceiver.Store
	receiver := httptest.NewServer(store.Handler())
	defer receiver.Close()

	t.Run("shop", func(t *testing.T) {
		image := buildImage(t, "shop")
		services := []string{"inventory", "payment", "worker", "checkout"}
		ids := make(map[string]string)
		for _, name := range services {
			ids[name] = container(t, project, name, image, receiver.URL)
		}
		order(t, "http://127.0.0.1:8001/carts/1")
		awaitLog(t, ids["worker"], "order shipped")
		slices.Reverse(services)
		for _, name := range services {
			stop(t, name, ids[name])
		}
		expectSpans(t, &store, map[string]int{
			"checkout PUT /carts/{cart}/items/{sku}": 1, "checkout POST /carts/{cart}/order": 1, "checkout send shipments": 1, "checkout POST": 3,
			"inventory POST /reservations": 1, "inventory UPDATE products": 1, "payment POST /charges": 1, "payment authorize card": 1,
			"worker POST /jobs": 1, "worker process shipments": 1, "worker pack": 1, "worker send confirmation": 1,
		})
		expectSignals(t, &store, services)
	})
	t.Run("server and client", func(t *testing.T) {
		store = otlpreceiver.Store{}
		server := container(t, project, "server", buildImage(t, "server"), receiver.URL)
		client := container(t, project, "client", buildImage(t, "client"), receiver.URL)
		awaitLog(t, client, "Received response")
		stop(t, "client", client)
		stop(t, "server", server)
		expectSpans(t, &store, map[string]int{"client call-api": 1, "client GET": 1, "server GET": 1, "server GET /": 1})
		expectSignals(t, &store, []string{"server", "client"})
	})
}

// order puts a mug into the cart and orders it.
func order(t *testing.T, cart string) {
	t.Helper()
	for _, r := range []struct{ method, url string }{{http.MethodPut, cart + "/items/mug"}, {http.MethodPost, cart + "/order"}} {
		req, err := http.NewRequestWithContext(t.Context(), r.method, r.url, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode >= http.StatusBadRequest {
			t.Fatalf("%s %s: %s: %s", r.method, r.url, resp.Status, body)
		}
	}
}

func awaitLog(t *testing.T, id, text string) {
	t.Helper()
	process.Eventually(t, healthLimit, func() error {
		if logs := docker(t, "", "logs", id); !strings.Contains(logs, text) {
			return fmt.Errorf("no %q in\n%s", text, logs)
		}
		return nil
	})
}

func expectSpans(t *testing.T, store *otlpreceiver.Store, want map[string]int) {
	t.Helper()
	got := make(map[string]int)
	for _, s := range store.Spans() {
		got[s.Service()+" "+s.GetName()]++
	}
	for name, n := range want {
		if got[name] != n {
			t.Errorf("%d spans %s have arrived, want %d", got[name], name, n)
		}
		delete(got, name)
	}
	for name, n := range got {
		t.Errorf("%d spans %s have arrived, want none", n, name)
	}
}

// expectSignals wants log lines and metrics of each service.
func expectSignals(t *testing.T, store *otlpreceiver.Store, services []string) {
	t.Helper()
	for _, name := range services {
		if !slices.ContainsFunc(store.Logs(), func(l otlpreceiver.Log) bool { return l.Service() == name }) {
			t.Errorf("no log lines of %s have arrived", name)
		}
		if !slices.ContainsFunc(store.Metrics(), func(m otlpreceiver.Metric) bool { return m.Service() == name }) {
			t.Errorf("no metrics of %s have arrived", name)
		}
	}
}

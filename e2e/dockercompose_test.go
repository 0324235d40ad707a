package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/clewtrace/clew/e2e/internal/gobuild"
)

// plugins of the Docker client: Compose, and what it builds images with. These are
// the newest releases that build with the Go of go.mod.
var plugins = []gobuild.Module{
	{
		Name:    "docker-compose",
		Path:    "github.com/docker/compose/v5",
		Version: "v5.6.0",
		Sum:     "h1:WCDEV0D1CtZLyPdklHdEjFBnCStosBYkfsD3tvM/ITU=",
		Program: "./cmd",
	},
	{
		Name:    "docker-buildx",
		Path:    "github.com/docker/buildx",
		Version: "v0.38.2",
		Sum:     "h1:TTn5GXRaZatKpvJ4l7xXuS/N8kTIkLFP0WvGRkbbW9U=",
		Program: "./cmd/buildx",
		Link:    "-X github.com/docker/buildx/version.Version=v0.38.2", // which Compose asks for
	},
}

// composeCommand returns a function that runs docker compose, with a current
// Compose, on the compose file in a project of the test's own.
func composeCommand(t *testing.T) func(args ...string) (string, error) {
	t.Helper()
	config := t.TempDir()
	if err := os.Mkdir(filepath.Join(config, "cli-plugins"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, p := range plugins {
		path, err := p.Build()
		if err == nil {
			err = os.Symlink(path, filepath.Join(config, "cli-plugins", p.Name))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return func(args ...string) (string, error) {
		args = append([]string{"compose", "--file", "../docker-compose.yaml", "--project-name", "clew-e2e", "--progress", "plain"}, args...)
		cmd := exec.Command("docker", args...) //nolint:noctx // also when t.Context has ended
		cmd.Env = append(os.Environ(), "DOCKER_CONFIG="+config)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
}

// TestDockerCompose has Compose build all images at once, as docker compose up
// does, and starts the shop without the images that have to be pulled.
func TestDockerCompose(t *testing.T) {
	needEngine(t)
	run := composeCommand(t)
	t.Cleanup(func() {
		if out, err := run("down", "--volumes", "--rmi", "local"); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
	if out, err := run("build"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	shop := []string{"inventory", "payment", "worker", "checkout", "load"}
	if out, err := run(append([]string{"up", "--detach", "--no-deps", "--pull", "never", "--wait", "--wait-timeout", "120"}, shop...)...); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := run("ps", "--services", "--status", "running")
	if got := strings.Fields(out); err != nil || !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(shop))) {
		t.Errorf("%q run (%v), want %q", got, err, shop)
	}
	order(t, "http://127.0.0.1:8001/carts/1")
}

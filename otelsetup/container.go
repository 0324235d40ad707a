package otelsetup

import (
	"bytes"
	"context"
	"io"
	"os"
	"regexp"
	"strings"

	"go.opentelemetry.io/otel/sdk/resource"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// mountDetector finds the id of the container among its mounts. With version 2 of
// the cgroups a container sees a root of its own, and nothing of its id.
type mountDetector struct{ path string }

// maxMounts bounds what is read, in bytes.
const maxMounts = 1 << 20

// Detect implements [resource.Detector]. Where there are no mounts to read there is
// no container either.
func (d mountDetector) Detect(context.Context) (*resource.Resource, error) {
	file, err := os.Open(d.path)
	if err != nil {
		return resource.Empty(), nil //nolint:nilerr // not Linux, or nothing that is to be known
	}
	defer file.Close() //nolint:errcheck // it was only read
	mounts, err := io.ReadAll(io.LimitReader(file, maxMounts))
	if err != nil {
		return resource.Empty(), nil //nolint:nilerr // the same
	}
	id := containerID(mounts)
	if id == "" {
		return resource.Empty(), nil
	}
	return resource.NewWithAttributes(semconv.SchemaURL, semconv.ContainerID(id)), nil
}

// cgroupID is the id at the end of the path of a cgroup: docker-<id>.scope,
// cri-containerd-<id>.scope, libpod-<id>, or the id alone.
var cgroupID = regexp.MustCompile(`[/:-]([0-9a-f]{64})(?:\.scope)?$`)

// pathID is the id in a path on the host, of the directory that an engine has for
// the container.
var pathID = regexp.MustCompile(`/([0-9a-f]{64})/`)

// containerID finds the id in a file as proc_pid_mountinfo(5) describes it: what is
// mounted stands in the fourth field, and where in the fifth.
//
// The files that an engine mounts into each container lie in the directory that it
// has for it. In a pod of Kubernetes they belong to the pod's sandbox, a container
// of another id, so that none is better than theirs.
func containerID(mounts []byte) string {
	var inFile string
	pod := false
	for line := range bytes.Lines(mounts) {
		fields := strings.Fields(string(line))
		if len(fields) < 10 {
			continue
		}
		root, point := fields[3], fields[4]
		if _, kind, ok := strings.Cut(string(line), " - "); ok && strings.HasPrefix(kind, "cgroup") {
			if m := cgroupID.FindStringSubmatch(root); m != nil {
				return m[1]
			}
		}
		pod = pod || strings.Contains(root, "/pods/") || strings.Contains(root, "/sandboxes/")
		switch point {
		case "/etc/hostname", "/etc/hosts", "/etc/resolv.conf", "/run/.containerenv":
			if m := pathID.FindStringSubmatch(root); m != nil {
				inFile = m[1]
			}
		}
	}
	if pod {
		return ""
	}
	return inFile
}

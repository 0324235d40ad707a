package otelsetup

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// TestContainerIDInMounts reads mounts as engines make them. The ids are made up.
func TestContainerIDInMounts(t *testing.T) {
	id, other := strings.Repeat("0123456789abcdef", 4), strings.Repeat("fedcba9876543210", 4)
	const proc = "1045 1043 0:58 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw\n"
	const cgroup2 = "1048 1047 0:27 / /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - cgroup2 cgroup rw,nsdelegate\n"
	for _, test := range []struct{ engine, mounts, want string }{
		{"Docker", proc + cgroup2 +
			"1043 906 0:54 / / rw,relatime master:397 - overlay overlay rw,lowerdir=/var/lib/docker/overlay2/l/ABC:/var/lib/docker/overlay2/l/DEF,upperdir=/var/lib/docker/overlay2/" + other + "/diff,workdir=/var/lib/docker/overlay2/" + other + "/work\n" +
			"1052 1043 254:1 /docker/volumes/" + other + "/_data /data rw,relatime - ext4 /dev/vda1 rw\n" +
			"1053 1043 254:1 /docker/containers/" + id + "/resolv.conf /etc/resolv.conf rw,relatime - ext4 /dev/vda1 rw\n" +
			"1054 1043 254:1 /docker/containers/" + id + "/hostname /etc/hostname rw,relatime - ext4 /dev/vda1 rw\n" +
			"1055 1043 254:1 /docker/containers/" + id + "/hosts /etc/hosts rw,relatime - ext4 /dev/vda1 rw\n", id},
		{"Docker, its data elsewhere", proc + cgroup2 +
			"2210 2180 8:1 /srv/data/containers/" + id + "/hostname /etc/hostname rw,relatime - ext4 /dev/sda1 rw,errors=remount-ro\n", id},
		{"containerd with nerdctl", proc + cgroup2 +
			"733 716 0:25 /nerdctl/1935db59/containers/default/" + id + "/resolv.conf /etc/resolv.conf rw,relatime master:5 - ext4 /dev/sda1 rw\n" +
			"734 716 8:1 /var/lib/nerdctl/1935db59/etchosts/default/" + id + "/hosts /etc/hosts rw,relatime master:1 - ext4 /dev/sda1 rw\n", id},
		{"Podman", proc + cgroup2 +
			"1185 1179 0:24 /containers/storage/overlay-containers/" + id + "/userdata/resolv.conf /etc/resolv.conf rw,nosuid,nodev shared:12 - tmpfs tmpfs rw,seclabel\n" +
			"1186 1179 0:24 /containers/storage/overlay-containers/" + id + "/userdata/.containerenv /run/.containerenv rw,nosuid,nodev shared:12 - tmpfs tmpfs rw,seclabel\n" +
			"1187 1179 0:24 /containers/storage/overlay-containers/" + id + "/userdata/hostname /etc/hostname rw,nosuid,nodev shared:12 - tmpfs tmpfs rw,seclabel\n", id},
		{"Podman, rootless", proc + cgroup2 +
			"863 781 0:51 /containers/overlay-containers/" + id + "/userdata/hostname /etc/hostname rw,nosuid,nodev,relatime - tmpfs tmpfs rw,size=1608k,uid=1000,gid=1000,inode64\n", id},
		{"Kubernetes, the host's cgroups", proc +
			"1630 1625 0:27 /kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podd0544205_72df_11e8_b691_080027c5d95e.slice/cri-containerd-" + id + ".scope /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw\n" +
			"1640 1620 8:1 /var/lib/containerd/io.containerd.grpc.v1.cri/sandboxes/" + other + "/hostname /etc/hostname rw,relatime - ext4 /dev/sda1 rw\n", id},
		{"Kubernetes, cgroups of version 1", proc +
			"1631 1630 0:30 /kubepods/besteffort/podd0544205-72df-11e8-b691-080027c5d95e/" + id + " /sys/fs/cgroup/memory ro,nosuid - cgroup cgroup rw,memory\n", id},
		{"Kubernetes with containerd: only the sandbox is known", proc + cgroup2 +
			"1638 1620 8:1 /var/lib/kubelet/pods/eb0129d5-131c-48ff-8689-8e6a754e5391/etc-hosts /etc/hosts rw,relatime - ext4 /dev/sda1 rw\n" +
			"1640 1620 8:1 /var/lib/containerd/io.containerd.grpc.v1.cri/sandboxes/" + other + "/hostname /etc/hostname rw,relatime - ext4 /dev/sda1 rw\n", ""},
		{"Kubernetes with CRI-O: the same", proc + cgroup2 +
			"1640 1620 0:24 /containers/storage/overlay-containers/" + other + "/userdata/hostname /etc/hostname rw,nosuid - tmpfs tmpfs rw\n" +
			"1641 1620 8:4 /var/lib/kubelet/pods/eb0129d5-131c-48ff-8689-8e6a754e5391/etc-hosts /etc/hosts rw,relatime - xfs /dev/sda4 rw\n", ""},
		{"no container", proc + "25 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n" + cgroup2, ""},
		{"a path that only looks like one", proc + "26 25 8:1 /home/" + id + "/hostname /mnt rw,relatime - ext4 /dev/sda1 rw\n", ""},
		{"nothing", "", ""},
		{"broken lines", "1 2\n\n - cgroup\n" + strings.Repeat("x ", 20), ""},
	} {
		t.Run(test.engine, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "mountinfo")
			if err := os.WriteFile(path, []byte(test.mounts), 0o600); err != nil {
				t.Fatal(err)
			}
			found, err := mountDetector{path}.Detect(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			got, _ := found.Set().Value(semconv.ContainerIDKey)
			if got.AsString() != test.want {
				t.Errorf("container.id %q, want %q", got.AsString(), test.want)
			}
		})
	}
}

func TestNoMountsAreNoError(t *testing.T) {
	found, err := mountDetector{filepath.Join(t.TempDir(), "nothing")}.Detect(t.Context())
	if err != nil || found.Len() != 0 {
		t.Errorf("%v, %v", found, err)
	}
}

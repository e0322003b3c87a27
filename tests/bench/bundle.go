package main

import (
	_ "embed" // the payload's source
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/moby/profiles/seccomp"
	"github.com/opencontainers/runtime-spec/specs-go"
)

//go:embed payload/payload.c
var payloadSource string

// bundle is one on disk, twice: with a process that ends and one that waits.
type bundle struct {
	name    string
	dir     string
	waiting string
	payload string // the program, as the host sees it
}

// makeBundles makes the bundles to measure: what `spec` writes, and the same
// with Docker's default seccomp profile.
func makeBundles(dir string) ([]bundle, error) {
	payload := filepath.Join(dir, "payload")
	compile := exec.Command("gcc", "-Os", "-static", "-x", "c", "-", "-o", payload)
	compile.Stdin = strings.NewReader(payloadSource)
	if out, err := compile.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("compile the payload: %w: %s", err, out)
	}
	plain := defaultSpec()
	filtered := defaultSpec()
	profile, err := seccomp.GetDefaultProfile(filtered)
	if err != nil {
		return nil, fmt.Errorf("default seccomp profile: %w", err)
	}
	filtered.Linux.Seccomp = profile

	var bundles []bundle
	for _, kind := range []struct {
		name string
		spec *specs.Spec
	}{{"spec-default", plain}, {"docker-seccomp", filtered}} {
		b := bundle{
			name:    kind.name,
			dir:     filepath.Join(dir, kind.name),
			waiting: filepath.Join(dir, kind.name+"-waiting"),
			payload: payload,
		}
		kind.spec.Process.Args = []string{"/payload"}
		if err := writeBundle(b.dir, payload, kind.spec); err != nil {
			return nil, err
		}
		kind.spec.Process.Args = []string{"/payload", "wait"}
		if err := writeBundle(b.waiting, payload, kind.spec); err != nil {
			return nil, err
		}
		bundles = append(bundles, b)
	}
	return bundles, nil
}

func writeBundle(dir, payload string, spec *specs.Spec) error {
	rootfs := filepath.Join(dir, "rootfs")
	if err := os.MkdirAll(rootfs, 0o755); err != nil {
		return err
	}
	if err := os.Link(payload, filepath.Join(rootfs, "payload")); err != nil {
		return err
	}
	config, err := json.MarshalIndent(spec, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "config.json"), config, 0o600)
}

// defaultSpec is what the runtimes' spec command writes, without a terminal,
// and of a version that crun 1.8 accepts.
func defaultSpec() *specs.Spec {
	caps := []string{"CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"}
	return &specs.Spec{
		Version: "1.0.2",
		Process: &specs.Process{
			Cwd:             "/",
			Env:             []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"},
			Capabilities:    &specs.LinuxCapabilities{Bounding: caps, Effective: caps, Permitted: caps},
			Rlimits:         []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Hard: 1024, Soft: 1024}},
			NoNewPrivileges: true,
		},
		Root:     &specs.Root{Path: "rootfs", Readonly: true},
		Hostname: "bench",
		Mounts:   defaultMounts(),
		Linux: &specs.Linux{
			Namespaces: []specs.LinuxNamespace{{Type: "pid"}, {Type: "network"}, {Type: "ipc"}, {Type: "uts"}, {Type: "mount"}},
			Resources:  &specs.LinuxResources{Devices: []specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}}},
			MaskedPaths: []string{
				"/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
				"/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi",
			},
			ReadonlyPaths: []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"},
		},
	}
}

func defaultMounts() []specs.Mount {
	return []specs.Mount{
		{Destination: "/proc", Type: "proc", Source: "proc"},
		{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
		{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
		{Destination: "/dev/shm", Type: "tmpfs", Source: "shm", Options: []string{"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"}},
		{Destination: "/dev/mqueue", Type: "mqueue", Source: "mqueue", Options: []string{"nosuid", "noexec", "nodev"}},
		{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"nosuid", "noexec", "nodev", "ro"}},
		{Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup", Options: []string{"nosuid", "noexec", "nodev", "relatime", "ro"}},
	}
}

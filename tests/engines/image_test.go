//go:build engines

package engines

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// image is the name of the one image there is: busybox, and a few users.
const image = "localhost/busybox:latest"

// archive is where putImage puts the image.
const archive = "/var/tmp/busybox.tar"

// putImage writes the image into the house.
func (h *house) putImage() {
	h.putArchive(archive, image, map[string]any{"Cmd": []string{"sh"}, "Env": []string{"PATH=/bin"}})
}

// putArchive writes an image with busybox into the house, in the format of
// `docker save` that all engines load.
func (h *house) putArchive(file, tag string, what map[string]any) {
	layer := busyboxLayer()
	config, err := json.Marshal(map[string]any{
		"architecture": runtime.GOARCH,
		"os":           "linux",
		"config":       what,
		"rootfs":       map[string]any{"type": "layers", "diff_ids": []string{fmt.Sprintf("sha256:%x", sha256.Sum256(layer))}},
	})
	if err != nil {
		fail("%v", err)
	}
	name := fmt.Sprintf("%x.json", sha256.Sum256(config))
	manifest, err := json.Marshal([]map[string]any{{"Config": name, "RepoTags": []string{tag}, "Layers": []string{"layer.tar"}}})
	if err != nil {
		fail("%v", err)
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	add(w, tar.Header{Name: name, Mode: 0o644}, config)
	add(w, tar.Header{Name: "layer.tar", Mode: 0o644}, layer)
	add(w, tar.Header{Name: "manifest.json", Mode: 0o644}, manifest)
	finish(w)
	h.write(file, b.String())
}

// busyboxLayer is a root filesystem as a tar archive.
func busyboxLayer() []byte {
	path, err := exec.LookPath("busybox")
	if err != nil {
		fail("%v", err)
	}
	program, err := os.ReadFile(path)
	if err != nil {
		fail("%v", err)
	}
	applets, err := exec.Command(path, "--list").Output()
	if err != nil {
		fail("busybox --list: %v", err)
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, dir := range []string{"bin/", "dev/", "etc/", "proc/", "root/", "run/", "sys/", "var/", "home/", "home/user/"} {
		add(w, tar.Header{Name: dir, Typeflag: tar.TypeDir, Mode: 0o755}, nil)
	}
	add(w, tar.Header{Name: "tmp/", Typeflag: tar.TypeDir, Mode: 0o1777}, nil)
	add(w, tar.Header{Name: "bin/busybox", Mode: 0o755}, program)
	for name := range strings.FieldsSeq(string(applets)) {
		if name != "busybox" {
			add(w, tar.Header{Name: "bin/" + name, Typeflag: tar.TypeSymlink, Linkname: "busybox", Mode: 0o777}, nil)
		}
	}
	add(w, tar.Header{Name: "bin/no-program", Mode: 0o644}, []byte("not executable\n"))
	add(w, tar.Header{Name: "etc/passwd", Mode: 0o644}, []byte("root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n"))
	add(w, tar.Header{Name: "etc/group", Mode: 0o644}, []byte("root:x:0:\nuser:x:1000:\nmore:x:2000:user\n"))
	finish(w)
	return b.Bytes()
}

func add(w *tar.Writer, header tar.Header, data []byte) {
	header.Size = int64(len(data))
	err := w.WriteHeader(&header)
	if err == nil {
		_, err = w.Write(data)
	}
	if err != nil {
		fail("%s: %v", header.Name, err)
	}
}

func finish(w *tar.Writer) {
	if err := w.Close(); err != nil {
		fail("%v", err)
	}
}

// putStorage says where Podman and Buildah keep images.
func (h *house) putStorage() {
	h.write("/etc/containers/storage.conf", `[storage]
driver = "overlay"
runroot = "/run/containers/storage"
graphroot = "/var/lib/containers/storage"
`)
}

// putEngine tells Podman and Buildah what a house has: no journal, and perhaps no
// systemd.
func (h *house) putEngine() {
	h.write("/etc/containers/containers.conf.d/house.conf", `[containers]
log_driver = "k8s-file"

[engine]
cgroup_manager = "`+h.cgroupDriver()+`"
events_logger = "file"
`)
}

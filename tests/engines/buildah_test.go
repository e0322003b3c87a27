//go:build engines

package engines

import (
	"strings"
	"testing"
)

func TestBuildah(t *testing.T) {
	compare(t, []string{"buildah"}, openBuildah, buildahChecks)
}

// openBuildah gives Buildah the image; its commands say which runtime they want.
func openBuildah(h *house, runtime string) *engine {
	h.putEngine()
	h.putStorage()
	h.putImage()
	e := &engine{house: h, cli: []string{"buildah"}, runtime: runtime}
	e.sweep = func() {
		e.must("rm", "--all")
		h.must("rm", "-rf", "/opt/context")
	}
	h.must("sh", "-c", "buildah rm $(buildah from docker-archive:"+archive+")")
	return e
}

// build builds an image from instructions and returns how that ended.
func (e *engine) build(instructions string, options ...string) result {
	e.write("/opt/context/Dockerfile", "FROM "+image+"\n"+instructions)
	args := append([]string{"build", "--tag=localhost/built", "--runtime=/usr/local/sbin/" + e.runtime}, options...)
	return e.try(append(args, "/opt/context")...)
}

// built runs a program in the image that was built last.
func (e *engine) built(options []string, program ...string) string {
	name := e.must("from", "localhost/built")
	defer e.must("rm", name)
	return e.must(append(append(append([]string{"run", "--runtime=/usr/local/sbin/" + e.runtime}, options...), name), program...)...)
}

var buildahChecks = []check{
	{"a build keeps what its steps write", func(e *engine) {
		e.build("RUN echo one >/file\nRUN echo two >>/file\nENV A=b\nRUN echo $A >>/file\n").ok()
		want("the file", e.built(nil, "cat", "/file"), "one\ntwo\nb")
	}},
	{"steps have the user, the directory and the shell of the file", func(e *engine) {
		e.build("WORKDIR /place\nRUN chown user /place\nUSER user\nRUN id -un >who; pwd >>who\nSHELL [\"/bin/sh\", \"-ec\"]\nRUN [\"touch\", \"exec\"]\n").ok()
		want("what they saw", e.built(nil, "sh", "-c", "cat who; ls"), "user\n/place\nexec\nwho")
	}},
	{"a step that fails ends the build with its status", func(e *engine) {
		r := e.build("RUN exit 7\n")
		want("the status", r.status, 7)
	}},
	{"a program that is missing is said whole", func(e *engine) {
		e.write("/opt/context/Dockerfile", "FROM "+image+"\nRUN [\"nosuch\"]\n")
		e.refuses(1, e.ours(`exec \"nosuch\"`+notFound),
			"build", "--runtime=/usr/local/sbin/"+e.runtime, "/opt/context")
	}},
	{"a mount that cannot be is said whole", func(e *engine) {
		r := e.build("RUN true\n", "--volume=/usr:/etc/passwd/usr")
		if strings.Contains(r.stderr, "ensuring mount targets") {
			r.fails([]string{"/etc/passwd/usr: not a directory"}) // Buildah 1.43 looks itself
			return
		}
		r.fails(e.ours(" on /etc/passwd/usr (mounts[", "not a directory (the image has a file on the way to it)"))
	}},
	{"memory that is too little to start with is said whole", func(e *engine) {
		e.build("RUN true\n", "--memory=8k").fails(e.ours("start ", "the out-of-memory killer"))
	}},
	{"the runtime is named by a variable, and has options", func(e *engine) {
		e.write("/opt/context/Dockerfile", "FROM "+image+"\nRUN echo one >/file\n")
		e.house.must("env", "BUILDAH_RUNTIME=/usr/local/sbin/"+e.runtime, "buildah", "build", "--runtime-flag=debug", "--tag=localhost/built", "/opt/context")
		want("the file", e.built(nil, "cat", "/file"), "one")
	}},
	{"mounts of a step: a cache, a secret, a file of the context", func(e *engine) {
		e.write("/opt/context/input", "input\n")
		e.write("/opt/secret", "whisper\n")
		e.build("RUN --mount=type=bind,source=input,target=/in --mount=type=secret,id=word --mount=type=tmpfs,target=/fs cat /in /run/secrets/word >/out && touch /fs/file\n",
			"--secret=id=word,src=/opt/secret").ok()
		want("what the step saw", e.built(nil, "sh", "-c", "cat /out; ls -A /fs /run/secrets 2>/dev/null | grep -v : || :"), "input\nwhisper")
	}},
	{"limits hold in a build", func(e *engine) {
		e.build("RUN (cat /sys/fs/cgroup/memory.max || cat /sys/fs/cgroup/memory/memory.limit_in_bytes || cat /proc/self/cgroup) >/limit 2>/dev/null\nRUN ulimit -n >/files\n",
			"--memory=64m", "--ulimit=nofile=99:99", "--network=none").ok()
		want("the limit of memory", e.built(nil, "cat", "/limit"), "67108864")
		want("the limit of files", e.built(nil, "cat", "/files"), "99")
	}},
	{"a build in a user namespace", func(e *engine) {
		e.build("RUN cat /proc/self/uid_map >/map\n", "--userns-uid-map=0:100000:65536", "--userns-gid-map=0:100000:65536").ok()
		want("the map", e.built(nil, "sh", "-c", "echo $(cat /map)"), "0 100000 65536")
	}},
	{"capabilities and volumes of run", func(e *engine) {
		e.build("RUN true\n").ok()
		e.house.must("mkdir", "-p", "/opt/shared")
		want("the capability", e.built([]string{"--cap-add=CAP_NET_ADMIN"}, "sh", "-c", "printf %x $((0x$(grep ^CapEff: /proc/self/status | cut -f 2) >> 12 & 1))"), "1")
		e.built([]string{"--volume=/opt/shared:/shared:rw"}, "sh", "-c", "echo out >/shared/file")
		want("the volume", e.read("/opt/shared/file"), "out\n")
	}},
	{"run on a terminal", func(e *engine) {
		name := e.must("from", image)
		screen := e.open("run", "--tty", "--runtime=/usr/local/sbin/"+e.runtime, name, "sh")
		screen.enter("stty size; tty\n")
		screen.await("33 77")
		screen.await("/dev/pts/0")
		screen.enter("exit 5\n")
		want("the status", screen.end(), 5)
	}},
	{"all steps together, in one layer", func(e *engine) {
		e.build("RUN mkdir /a\nRUN touch /a/b\n", "--squash", "--layers=false").ok()
		want("what is there", e.built(nil, "ls", "/a"), "b")
	}},
}

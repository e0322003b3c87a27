//go:build engines

package engines

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
)

// clientOfCRI is the program of tests/engines/cri.
const clientOfCRI = build + "cri"

func TestCRI(t *testing.T) {
	compare(t, append(debians.programs, clientOfCRI), debians.openCRI, criChecks())
}

func TestCRIOfTheNewestContainerd(t *testing.T) {
	compare(t, append(newest.programs, clientOfCRI), newest.openCRI, criChecks())
}

func criChecks() []check {
	return slices.Concat(criLife, criStreams, criSecurity, criIsolation, criBelow)
}

// openCRI starts containerd with a network of Debian's plugins, and gives it a
// pause image and the image.
func (c containerd) openCRI(h *house, runtime string) *engine {
	c.configure(h, runtime)
	h.write("/etc/cni/net.d/10-pods.conflist", `{
		"cniVersion": "0.4.0", "name": "pods", "plugins": [
			{"type": "bridge", "bridge": "pods", "isGateway": true, "ipMasq": true,
			 "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.88.0.0/16"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
			{"type": "portmap", "capabilities": {"portMappings": true}}]}`)
	h.must("sh", "-c", "mkdir -p /opt/cni && ln -s /usr/lib/cni /opt/cni/bin")
	h.putImage()
	h.putPause()
	h.startContainerd()
	for _, name := range []string{archive, pauseArchive} {
		h.must("ctr", "--namespace=k8s.io", "images", "import", name)
	}
	e := &engine{house: h, cli: []string{"cri"}, runtime: runtime}
	e.sweep = func() {
		for _, b := range e.list("ListContainers", message{}, "containers") {
			e.call("RemoveContainer", message{"containerId": b["id"]})
		}
		for _, p := range e.list("ListPodSandbox", message{}, "items") {
			if p.at("metadata.name") != home {
				pod{engine: e, id: p.at("id")}.remove()
			}
		}
	}
	return e
}

// pauseArchive is where putPause puts an image.
const pauseArchive = "/var/tmp/pause.tar"

// putPause makes the image of the container that holds a pod's namespaces, with
// the name by which containerd asks for it. As the first process of a pod it
// collects those that nobody else does.
func (h *house) putPause() {
	var name string
	for line := range strings.Lines(h.must("containerd", "config", "dump")) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " = ")
		if key == "sandbox_image" || key == "sandbox" {
			name = strings.Trim(value, `"'`)
		}
	}
	h.putArchive(pauseArchive, name, map[string]any{
		"Entrypoint": []string{"sh", "-c", "while :; do sleep 1000 & wait; done"}, "Env": []string{"PATH=/bin"},
	})
}

// message is a message of CRI, or a part of one.
type message map[string]any

// with is the message and what others say more.
func (m message) with(others ...message) message {
	sum := maps.Clone(m)
	for _, other := range others {
		for name, value := range other {
			if part, ok := value.(message); ok {
				whole, _ := sum[name].(message)
				value = message{}.with(whole, part)
			}
			sum[name] = value
		}
	}
	return sum
}

func (m message) String() string {
	text, err := json.Marshal(map[string]any(m))
	if err != nil {
		fail("%v", err)
	}
	return string(text)
}

// at is the field that a path of names and numbers leads to, as text: "" if there
// is none, as protobuf leaves out what is zero.
func (m message) at(path string) string {
	var value any = map[string]any(m)
	for _, name := range strings.Split(path, ".") {
		switch v := value.(type) {
		case map[string]any:
			value = v[name]
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil || i >= len(v) {
				return ""
			}
			value = v[i]
		default:
			return ""
		}
	}
	if value == nil {
		return ""
	}
	return fmt.Sprint(value)
}

// call asks containerd something that it has to answer.
func (e *engine) call(method string, request message) message {
	var answer message
	decode(e.must(method, request.String()), &answer)
	return answer
}

// ask returns a field of the answer.
func (e *engine) ask(method string, request message, path string) string {
	return e.call(method, request).at(path)
}

// list returns the messages of a field of the answer.
func (e *engine) list(method string, request message, field string) []message {
	var answer map[string][]message
	decode(e.must(method, request.String()), &answer)
	return answer[field]
}

// pod is a pod that runs.
type pod struct {
	*engine
	id     string
	config message
}

// handler is the name of the runtime in the configuration of containerd.
func (e *engine) handler() string { return "private-" + e.runtime }

// podConfig is the configuration of a pod.
func (e *engine) podConfig(name string, options ...message) message {
	parent := "/kubepods/" + name
	if e.cgroupDriver() == "systemd" {
		parent = "/kubepods.slice/kubepods-" + name + ".slice"
	}
	return message{
		"metadata":     message{"name": name, "uid": name, "namespace": "default"},
		"hostname":     name,
		"logDirectory": "/var/log/pods/" + name,
		"linux":        message{"cgroupParent": parent},
	}.with(sharing(message{"pid": "CONTAINER"})).with(options...)
}

// pod starts a pod.
func (e *engine) pod(name string, options ...message) pod {
	config := e.podConfig(name, options...)
	id := e.ask("RunPodSandbox", message{"config": config, "runtimeHandler": e.handler()}, "podSandboxId")
	return pod{e, id, config}
}

// home is the name of a pod that is there for all checks that do without a pod of
// their own.
const home = "home"

// home is the pod of that name.
func (e *engine) home() pod {
	for _, p := range e.list("ListPodSandbox", message{}, "items") {
		if p.at("metadata.name") != home {
			continue
		}
		found := pod{e, p.at("id"), e.podConfig(home)}
		if p.at("state") != "SANDBOX_NOTREADY" {
			return found
		}
		found.remove() // something has ended it
	}
	return e.pod(home)
}

// remove ends and removes a pod.
func (p pod) remove() {
	p.call("StopPodSandbox", p.named())
	p.call("RemovePodSandbox", p.named())
}

// named is a request that names the pod.
func (p pod) named() message { return message{"podSandboxId": p.id} }

// since2 fails for a containerd that is older than what.
func (e *engine) since2(what string) { e.since(2, 0, what) }

// since is since2 for what came with another version.
func (e *engine) since(major, minor int, what string) {
	var has [2]int
	version := e.ask("Version", message{}, "runtimeVersion")
	if _, err := fmt.Sscanf(strings.TrimPrefix(version, "v"), "%d.%d", &has[0], &has[1]); err != nil {
		fail("the version %q: %v", version, err)
	}
	if slices.Compare(has[:], []int{major, minor}) < 0 {
		fail("containerd %s has no %s", version, what)
	}
}

// box is a container of a pod.
type box struct {
	pod
	id  string
	log string
}

// script is a program that the shell runs.
func script(text string) []string { return []string{"sh", "-c", text} }

// idle is a program that does nothing for a while.
var idle = []string{"sleep", "1000"}

// boxes makes the names of containers unique.
var boxes atomic.Int64

// create makes a container.
func (p pod) create(program []string, options ...message) box {
	name := "box" + strconv.FormatInt(boxes.Add(1), 10)
	config := message{
		"metadata": message{"name": name},
		"image":    message{"image": image},
		"command":  program,
		"logPath":  name + ".log",
	}.with(sharing(message{"pid": "CONTAINER"})).with(options...)
	id := p.ask("CreateContainer", message{"podSandboxId": p.id, "config": config, "sandboxConfig": p.config}, "containerId")
	return box{p, id, filepath.Join(p.config.at("logDirectory"), name+".log")}
}

// start makes a container and starts it.
func (p pod) start(program []string, options ...message) box {
	b := p.create(program, options...)
	b.call("StartContainer", b.named())
	return b
}

// named is a request that names the container.
func (b box) named(options ...message) message {
	return message{"containerId": b.id}.with(options...)
}

// status is a field of the status of a container.
func (b box) status(field string) string {
	return b.ask("ContainerStatus", b.named(), "status."+field)
}

// ends waits for the end of a container and returns its exit status.
func (b box) ends() string {
	return cmp.Or(b.ask("Await", b.named(), "status.exitCode"), "0")
}

// logged is what a container has written, as its log file has it: the stream
// before each line. Two streams have no order among each other.
func (b box) logged() string {
	var lines []string
	for line := range strings.Lines(b.read(b.log)) {
		fields := strings.SplitN(line, " ", 4) // time, stream, F of a full line
		lines = append(lines, fields[1]+": "+fields[3])
	}
	slices.SortStableFunc(lines, func(a, b string) int { return cmp.Compare(b[:len("stdout")], a[:len("stdout")]) })
	return strings.Join(lines, "")
}

// shows runs a script in a container of its own, which has to write text and to
// succeed.
func (p pod) shows(text, program string, options ...message) {
	b := p.start(script(program), options...)
	code := b.ends()
	got := strings.ReplaceAll(strings.TrimSuffix(b.logged(), "\n"), "stdout: ", "")
	if got != text || code != "0" {
		fail("%s: wrote %q, want %q, exit status %s", program, got, text, code)
	}
}

// sync runs a program in a container with exec-sync.
func (b box) sync(program []string) (status, output string) {
	answer := b.call("ExecSync", b.named(message{"cmd": program}))
	var said struct {
		ExitCode       int
		Stdout, Stderr []byte
	}
	decode(answer.String(), &said)
	return strconv.Itoa(said.ExitCode), string(said.Stdout) + string(said.Stderr)
}

// prints runs a script in a container with exec-sync, which has to write text and
// to succeed.
func (b box) prints(text, program string) {
	if status, got := b.sync(script(program)); status != "0" || got != text+"\n" {
		fail("%s: wrote %q, want %q, exit status %s", program, got, text, status)
	}
}

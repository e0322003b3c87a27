package nsenter

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The test binary is the stage, too: the constructor runs in every program that
// links the package, and what it has prepared arrives here.
func TestMain(m *testing.M) {
	switch {
	case IsStage():
		answer()
	case os.Getenv(sealMode) != "":
		holdSealed(os.Getenv(sealMode))
	default:
		os.Exit(m.Run())
	}
}

// view is what an init process sees.
type view struct {
	PID, UID, GID  int
	Cwd, Comm      string
	Namespaces     map[string]string
	UIDMap, GIDMap []string
	Cgroups        map[string]string
	Monotonic      float64
	Descriptors    map[int]string
	Soft, Hard     uint64
	Dumpable       int
	Env            []string
}

// answer tells what there is to see each time the parent asks, and ends when
// the parent closes the link.
func answer() {
	buf := make([]byte, 1)
	for {
		if n, err := unix.Read(LinkFD, buf); n < 1 || err != nil {
			os.Exit(0)
		}
		b, err := json.Marshal(look())
		if err != nil {
			os.Exit(1)
		}
		if _, err := unix.Write(LinkFD, b); err != nil {
			os.Exit(2)
		}
	}
}

func look() view {
	v := view{PID: os.Getpid(), UID: os.Getuid(), GID: os.Getgid(), Env: os.Environ(), Cgroups: make(map[string]string), Descriptors: make(map[int]string)}
	v.Cwd, _ = os.Getwd()
	v.Comm = strings.TrimSpace(fileText("/proc/self/comm"))
	v.Namespaces = namespacesOf("self")
	v.UIDMap = strings.Fields(fileText("/proc/self/uid_map"))
	v.GIDMap = strings.Fields(fileText("/proc/self/gid_map"))
	v.Soft, v.Hard = FileLimit()
	for line := range strings.Lines(fileText("/proc/self/cgroup")) {
		if f := strings.SplitN(strings.TrimSpace(line), ":", 3); len(f) == 3 {
			v.Cgroups[f[1]] = f[2]
		}
	}
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) == nil {
		v.Monotonic = time.Duration(ts.Nano()).Seconds()
	}
	v.Dumpable, _ = unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	for fd := range 64 {
		target, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd))
		// The Go runtime has some of its own.
		if err == nil && !strings.HasPrefix(target, "anon_inode:[event") && !strings.HasPrefix(target, "/sys/fs/cgroup") {
			v.Descriptors[fd] = target
		}
	}
	return v
}

func fileText(path string) string {
	b, _ := os.ReadFile(path)
	return string(b)
}

// namespacesOf names the namespaces of a process by the words of /proc.
func namespacesOf(pid string) map[string]string {
	out := make(map[string]string)
	for _, name := range []string{"cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"} {
		out[name], _ = os.Readlink("/proc/" + pid + "/ns/" + name)
	}
	return out
}

// differing lists the names whose namespaces differ.
func differing(a, b map[string]string) []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(a)) {
		if a[name] != b[name] {
			names = append(names, name)
		}
	}
	return names
}

// launched is a stage of this very program, with nothing as its streams.
func launched(t *testing.T, in Inherit) *Stage {
	t.Helper()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	in.Stdio = [3]uintptr{null.Fd(), null.Fd(), uintptr(unix.Stderr)}
	stage, err := Launch(in)
	if err != nil {
		t.Fatal(err)
	}
	return stage
}

// inhabitant is an init process in its namespaces, until the end of the test.
type inhabitant struct{ pid, link int }

func enter(t *testing.T, in Inherit, ns *Namespaces) inhabitant {
	t.Helper()
	stage := launched(t, in)
	pid, link, err := stage.Enter(ns)
	if err != nil {
		t.Fatal(err)
	}
	stage.Reap()
	i := inhabitant{pid, link}
	t.Cleanup(func() {
		unix.Close(link)
		var status unix.WaitStatus
		if _, err := unix.Wait4(pid, &status, 0, nil); err != nil || status != 0 {
			t.Errorf("the init process ended with %v, %#x", err, status)
		}
	})
	return i
}

// look asks the process what it sees.
func (i inhabitant) look(t *testing.T) (v view) {
	t.Helper()
	if _, err := unix.Write(i.link, []byte{1}); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 16<<10)
	n, err := unix.Read(i.link, buf)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(buf[:n], &v); err != nil {
		t.Fatalf("%v: %q", err, buf[:n])
	}
	return v
}

// expectNoChild fails if this process has a child left.
func expectNoChild(t *testing.T) {
	t.Helper()
	if pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); !errors.Is(err, unix.ECHILD) {
		t.Errorf("a child is left: %d, %v", pid, err)
	}
}

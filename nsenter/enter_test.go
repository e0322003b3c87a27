package nsenter

import (
	"errors"
	"maps"
	"math"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"hull/internal/testkit"
)

// oneToOne maps the ids that a test runs with.
var oneToOne = []IDMapping{{ContainerID: 0, HostID: 0, Size: 1000}}

func TestAStageEntersTheNewNamespacesAndNoOthers(t *testing.T) {
	testkit.RequireRoot(t)
	const all = unix.CLONE_NEWCGROUP | unix.CLONE_NEWIPC | unix.CLONE_NEWNS | unix.CLONE_NEWNET |
		unix.CLONE_NEWPID | unix.CLONE_NEWTIME | unix.CLONE_NEWUSER | unix.CLONE_NEWUTS
	cases := map[string]uint64{"none": 0, "all": all, "all but user": all &^ unix.CLONE_NEWUSER}
	for _, k := range namespaceKinds() {
		cases[k.file] = k.flag
	}
	for name, flags := range cases {
		t.Run(name, func(t *testing.T) {
			i := enter(t, Inherit{}, &Namespaces{New: flags, UIDMappings: oneToOne, GIDMappings: oneToOne})
			v := i.look(t)
			var want []string
			for _, k := range namespaceKinds() {
				if flags&k.flag != 0 {
					want = append(want, k.file)
				}
			}
			slices.Sort(want)
			if got := differing(v.Namespaces, namespacesOf("self")); !slices.Equal(got, want) {
				t.Errorf("the process is in other namespaces of %v, want %v", got, want)
			}
			if wantPID := i.pid; flags&unix.CLONE_NEWPID == 0 && v.PID != wantPID {
				t.Errorf("its pid is %d, want %d", v.PID, wantPID)
			}
			if flags&unix.CLONE_NEWPID != 0 && v.PID != 1 {
				t.Errorf("its pid in a new namespace is %d", v.PID)
			}
		})
	}
	expectNoChild(t)
}

func TestAStageJoinsEachKindOfNamespace(t *testing.T) {
	testkit.RequireRoot(t)
	for _, k := range namespaceKinds() {
		t.Run(k.file, func(t *testing.T) {
			holder := enter(t, Inherit{}, &Namespaces{New: k.flag, UIDMappings: oneToOne, GIDMappings: oneToOne})
			// A cgroup namespace is its own only after its birth: it is there
			// once it answers.
			held := holder.look(t).Namespaces[k.file]
			f, err := os.Open("/proc/" + strconv.Itoa(holder.pid) + "/ns/" + k.file)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			v := enter(t, Inherit{}, &Namespaces{Join: []Join{{Name: "it", Type: k.flag, File: f}}}).look(t)
			if got := differing(v.Namespaces, namespacesOf("self")); !slices.Equal(got, []string{k.file}) {
				t.Errorf("the process is in other namespaces of %v", got)
			}
			if v.Namespaces[k.file] != held {
				t.Errorf("the process is in %s, not in the holder's", v.Namespaces[k.file])
			}
		})
	}
	expectNoChild(t)
}

func TestAPidfdJoinsAllNamespacesOfAContainerAtOnce(t *testing.T) {
	testkit.RequireRoot(t)
	const flags = unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWUTS
	holder := enter(t, Inherit{}, &Namespaces{New: flags, UIDMappings: oneToOne, GIDMappings: oneToOne})
	fd, err := unix.PidfdOpen(holder.pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "pidfd")
	defer f.Close()
	v := enter(t, Inherit{}, &Namespaces{Join: []Join{{Name: "all", Type: flags, File: f}}}).look(t)
	if got := differing(v.Namespaces, holder.look(t).Namespaces); len(got) > 0 {
		t.Errorf("the process is not in the holder's namespaces of %v", got)
	}
	if v.PID == 1 || v.PID == holder.pid {
		t.Errorf("its pid is %d, not one after the holder's 1", v.PID)
	}
}

func TestIDsAndClocksAreMappedAsAsked(t *testing.T) {
	testkit.RequireRoot(t)
	v := enter(t, Inherit{}, &Namespaces{
		New:          unix.CLONE_NEWUSER | unix.CLONE_NEWTIME,
		UIDMappings:  []IDMapping{{0, 100000, 10}, {10, 200000, 5}},
		GIDMappings:  []IDMapping{{0, 300000, 7}},
		ClockOffsets: []ClockOffset{{Clock: "monotonic", Seconds: 1e7}, {Clock: "boottime", Seconds: 5}},
	}).look(t)
	if want := strings.Fields("0 100000 10 10 200000 5"); !slices.Equal(v.UIDMap, want) {
		t.Errorf("uid_map is %v, want %v", v.UIDMap, want)
	}
	if want := strings.Fields("0 300000 7"); !slices.Equal(v.GIDMap, want) {
		t.Errorf("gid_map is %v, want %v", v.GIDMap, want)
	}
	if v.UID != 0 || v.GID != 0 {
		t.Errorf("the process is %d:%d, not root", v.UID, v.GID)
	}
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		t.Fatal(err)
	}
	if ahead := v.Monotonic - float64(ts.Sec); math.Abs(ahead-1e7) > 60 {
		t.Errorf("its monotonic clock is %f s ahead, want 1e7", ahead)
	}
}

func TestTheInitProcessIsAChildWithNothingButWhatItInherits(t *testing.T) {
	testkit.RequireRoot(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	uts, err := os.Open("/proc/self/ns/ipc")
	if err != nil {
		t.Fatal(err)
	}
	defer uts.Close()
	dir := t.TempDir()
	i := enter(t, Inherit{Dir: dir, Preserved: []uintptr{r.Fd(), w.Fd()}},
		&Namespaces{New: unix.CLONE_NEWPID, Join: []Join{{Name: "own", Type: unix.CLONE_NEWIPC, File: uts}}})
	v := i.look(t)
	want := []int{0, 1, 2, LinkFD, FirstPreservedFD, FirstPreservedFD + 1}
	// Who started the tests may have left something to all that they start.
	for fd := len(want); fd < 64; fd++ {
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			want = append(want, fd)
		}
	}
	if !slices.Equal(slices.Sorted(maps.Keys(v.Descriptors)), want) {
		t.Errorf("its descriptors are %v, want %v", v.Descriptors, want)
	}
	if v.Cwd != dir {
		t.Errorf("its directory is %q, want %q", v.Cwd, dir)
	}
	if want := stageEnv(); !slices.Equal(v.Env, want) {
		t.Errorf("its environment is %q, want %q", v.Env, want)
	}
	if v.Comm != "hull:init" || v.Dumpable != 0 {
		t.Errorf("its name is %q, and dumpable %d, want hull:init and 0", v.Comm, v.Dumpable)
	}
	status := fileText("/proc/" + strconv.Itoa(i.pid) + "/status")
	if !strings.Contains(status, "\nPPid:\t"+strconv.Itoa(os.Getpid())+"\n") {
		t.Errorf("its parent is not this process:\n%s", status)
	}
}

func TestAStageKnowsTheFileLimitThatItInherited(t *testing.T) {
	testkit.RequireRoot(t)
	// What any other child inherits: Go has raised this process's own.
	out, err := exec.Command("/bin/sh", "-c", "ulimit -Sn; ulimit -Hn").Output()
	if err != nil {
		t.Fatal(err)
	}
	v := enter(t, Inherit{}, &Namespaces{}).look(t)
	want := strings.Fields(strings.ReplaceAll(string(out), "unlimited", strconv.FormatUint(unix.RLIM_INFINITY, 10)))
	got := []string{strconv.FormatUint(v.Soft, 10), strconv.FormatUint(v.Hard, 10)}
	if !slices.Equal(got, want) {
		t.Errorf("FileLimit() = %v, want %v", got, want)
	}
}

func TestWhatCannotBeEnteredIsNamedAndLeavesNoProcess(t *testing.T) {
	testkit.RequireRoot(t)
	uts, err := os.Open("/proc/self/ns/uts")
	if err != nil {
		t.Fatal(err)
	}
	defer uts.Close()
	for name, tt := range map[string]struct {
		ns    Namespaces
		words string
		cause error
	}{
		"a namespace of another kind": {
			Namespaces{Join: []Join{{Name: "linux.namespaces[1] (network)", Type: unix.CLONE_NEWNET, File: uts}}},
			"join linux.namespaces[1] (network): invalid argument (the file is not a namespace", unix.EINVAL,
		},
		"id mappings that overlap": {
			Namespaces{New: unix.CLONE_NEWUSER, UIDMappings: []IDMapping{{0, 0, 10}, {5, 100, 10}}, GIDMappings: oneToOne},
			"map linux.uidMappings: invalid argument (ranges must not overlap", unix.EINVAL,
		},
		"no gid mapping": {
			Namespaces{New: unix.CLONE_NEWUSER, UIDMappings: oneToOne},
			"map linux.gidMappings: invalid argument", unix.EINVAL,
		},
		"a clock before its start": {
			Namespaces{New: unix.CLONE_NEWTIME, ClockOffsets: []ClockOffset{{Clock: "monotonic", Seconds: -1 << 40}}},
			"set linux.timeOffsets: numerical result out of range (offsets must keep", unix.ERANGE,
		},
		"an unknown flag": {
			Namespaces{New: unix.CLONE_NEWUTS | unix.CLONE_THREAD},
			"make uts namespace: invalid argument (the kernel lacks", unix.EINVAL,
		},
		"a cgroup that is none": {
			Namespaces{Cgroup: Cgroup{Into: uts}},
			"make init process, no namespace", unix.EBADF,
		},
		"more namespaces than there are": {
			Namespaces{Join: slices.Repeat([]Join{{Name: "uts", Type: unix.CLONE_NEWUTS, File: uts}}, 9)},
			"too many namespaces", nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := launched(t, Inherit{}).Enter(&tt.ns)
			if err == nil || !strings.HasPrefix(strings.TrimPrefix(err.Error(), "start init: "), tt.words) {
				t.Errorf("Enter() = %v, want %q", err, tt.words)
			}
			if tt.cause != nil && !errors.Is(err, tt.cause) {
				t.Errorf("Enter() = %v, want cause %v", err, tt.cause)
			}
			expectNoChild(t)
		})
	}
}

func TestAnAbortedStageIsGone(t *testing.T) {
	testkit.RequireRoot(t)
	launched(t, Inherit{}).Abort()
	expectNoChild(t)
}

func TestAFailureAfterTheCloneArrivesOnTheLink(t *testing.T) {
	testkit.RequireRoot(t)
	closed, err := os.Open(os.DevNull) // not writable: what goes wrong with a tasks file
	if err != nil {
		t.Fatal(err)
	}
	defer closed.Close()
	const want = "join /dev/null: bad file descriptor"
	ns := &Namespaces{Cgroup: Cgroup{Tasks: []*os.File{closed}}}
	stage := launched(t, Inherit{})
	pid, link, err := stage.Enter(ns)
	if err != nil {
		// It overtook the report of the birth, and Enter has it.
		if err.Error() != want {
			t.Errorf("Enter() = %v, want %s", err, want)
		}
		expectNoChild(t)
		return
	}
	defer unix.Close(link)
	stage.Reap()
	buf := make([]byte, 256)
	n, err := unix.Read(link, buf)
	if err != nil {
		t.Fatal(err)
	}
	failure, ok := IsFailure(buf[:n], ns)
	if !ok || failure.Error() != want {
		t.Errorf("IsFailure() = %v, %v", failure, ok)
	}
	if _, ok := IsFailure([]byte{1}, ns); ok {
		t.Error("a message of the link is taken for a report")
	}
	var status unix.WaitStatus
	if _, err := unix.Wait4(pid, &status, 0, nil); err != nil || status.ExitStatus() != 1 {
		t.Errorf("the init process ended with %v, %#x, want exit status 1", err, status)
	}
	expectNoChild(t)
}

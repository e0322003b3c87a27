package nsenter

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"hull/internal/testkit"
)

// sealMode makes the test binary a runtime that starts one stage from itself,
// in the given way, and waits.
const sealMode = "HULL_TEST_SEAL"

// ways are how holdSealed can start its stage. The last shows that the attack
// of the test works where nothing prevents it.
var ways = map[string]func() (*os.File, error){
	"a read-only clone of the mount": readOnlyClone,
	"a sealed copy":                  sealedCopy,
	"nothing":                        func() (*os.File, error) { return os.Open("/proc/self/exe") },
}

// holdSealed prints the pid of a stage that has become an init process, and
// ends with its standard input.
func holdSealed(way string) {
	f, err := ways[way]()
	if err == nil {
		var stage *Stage
		if stage, err = launch(f, Inherit{Stdio: [3]uintptr{0, 2, 2}}); err == nil {
			f.Close()
			var pid int
			pid, _, err = stage.Enter(&Namespaces{New: unix.CLONE_NEWNS})
			fmt.Println(pid)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	_, _ = os.Stdin.Read(make([]byte, 1))
	os.Exit(0)
}

func TestTheExecutableCannotBeWrittenThroughAProcess(t *testing.T) {
	testkit.RequireRoot(t)
	for way := range ways {
		t.Run(way, func(t *testing.T) {
			victim := filepath.Join(t.TempDir(), "runtime")
			before, err := os.ReadFile("/proc/self/exe")
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(victim, before, 0o755); err != nil {
				t.Fatal(err)
			}
			held := holdExecutable(t, victim, way)
			err = overwrite(held)
			after, readErr := os.ReadFile(victim)
			if readErr != nil {
				t.Fatal(readErr)
			}
			changed := !bytes.Equal(before, after)
			if protected := way != "nothing"; protected != (err != nil) || protected == changed {
				t.Errorf("with %s, overwriting gave %v, and the file changed: %v", way, err, changed)
			}
		})
	}
}

// holdExecutable runs victim and returns what a process of its container can
// keep of it once all of its processes have ended.
func holdExecutable(t *testing.T, victim, way string) (held int) {
	t.Helper()
	cmd := exec.Command(victim)
	cmd.Env = []string{sealMode + "=" + way}
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 16)
	n, err := out.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(line[:n])))
	if err != nil {
		t.Fatal(err)
	}
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pidfd)
	path := fmt.Sprintf("/proc/%d/exe", pid)
	if held, err = unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(held) })
	if way != "nothing" {
		if err := makeWritable(held); err == nil {
			t.Error("the mount of the executable could be made writable")
		}
		if fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CLOEXEC, 0); err == nil {
			defer unix.Close(fd)
			if _, err := unix.Write(fd, []byte("x")); err == nil {
				t.Error("the executable could be written while the process ran")
			}
		}
	}
	in.Close()
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, 10_000); err != nil {
		t.Fatal(err)
	}
	return held
}

// overwrite does what the exploits of CVE-2019-5736 do: nothing executes the
// file any more that could make the kernel say ETXTBSY.
func overwrite(held int) error {
	fd, err := unix.Open("/proc/self/fd/"+strconv.Itoa(held), unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	_, err = unix.Pwrite(fd, []byte("#!/bin/evil"), 0)
	return err
}

// makeWritable tries what mount(2) and its successors offer.
func makeWritable(fd int) error {
	attr := unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_RDONLY}
	err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH, &attr)
	if err == nil {
		return nil
	}
	tree, cloneErr := unix.OpenTree(fd, "", unix.AT_EMPTY_PATH|unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if cloneErr == nil {
		defer unix.Close(tree)
		return unix.MountSetattr(tree, "", unix.AT_EMPTY_PATH, &attr)
	}
	return unix.Mount("", "/proc/self/fd/"+strconv.Itoa(fd), "", unix.MS_REMOUNT|unix.MS_BIND, "")
}

func TestAMissingPrivilegeLeavesTheSealedCopy(t *testing.T) {
	testkit.RequireRoot(t)
	f, err := sealedCopy()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	original, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	copied := make([]byte, len(original))
	if _, err := f.ReadAt(copied, 0); err != nil || !bytes.Equal(copied, original) {
		t.Errorf("the copy differs: %v", err)
	}
	for name, attack := range map[string]func() error{
		"write":     func() error { _, err := f.WriteAt([]byte("x"), 0); return err },
		"shrink":    func() error { return f.Truncate(0) },
		"grow":      func() error { return f.Truncate(int64(len(original)) + 1) },
		"unseal":    func() error { _, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, 0); return err },
		"map":       func() error { _, err := unix.Mmap(int(f.Fd()), 0, 4096, unix.PROT_WRITE, unix.MAP_SHARED); return err },
		"overwrite": func() error { return overwrite(int(f.Fd())) },
	} {
		if err := attack(); err == nil {
			t.Errorf("%s: the sealed copy let it happen", name)
		}
	}
}

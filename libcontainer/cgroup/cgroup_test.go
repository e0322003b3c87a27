package cgroup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestNewTouchesNothingAndCreateMakesEveryDirectory(t *testing.T) {
	onEach(t, func(sc scene) {
		t, c := sc.t, sc.c
		if got := leftovers(c); len(got) != 0 {
			t.Fatalf("New made %v", got)
		}
		create(t, c)
		if got := leftovers(c); len(got) != len(c.rec.Hierarchies) || len(got) == 0 {
			t.Fatalf("made %v of %v", got, c.rec.Hierarchies)
		}
		if err := c.Remove(); err != nil {
			t.Fatal(err)
		}
		if got := leftovers(c); len(got) != 0 {
			t.Errorf("left %v", got)
		}
		if err := c.Remove(); err != nil {
			t.Errorf("the second Remove: %v", err)
		}
	})
}

func TestAJoinedProcessIsInEveryHierarchy(t *testing.T) {
	onEach(t, func(sc scene) {
		t, c := sc.t, sc.c
		create(t, c)
		cmd := start(t, c, "sleep 1000")
		content, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", cmd.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range c.rec.Hierarchies {
			if want := ":" + h.Controllers + ":" + h.Path + "\n"; !strings.Contains(string(content), want) {
				t.Errorf("not in %q:\n%s", want, content)
			}
		}
		pids, err := c.Procs()
		if err != nil || !slices.Contains(pids, cmd.Process.Pid) {
			t.Errorf("Procs: %v %v, want %d in it", pids, err, cmd.Process.Pid)
		}
		if err := c.EnsureUnused(); err == nil {
			t.Error("EnsureUnused accepts a cgroup with a process")
		}
	})
}

func TestAdoptMovesAProcessWithItsThreads(t *testing.T) {
	onEach(t, func(sc scene) {
		t, c := sc.t, sc.c
		create(t, c)
		cmd := adopted(t, c)
		if pids, err := c.Procs(); err != nil || !slices.Equal(pids, []int{cmd.Process.Pid}) {
			t.Errorf("Procs: %v %v", pids, err)
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

func TestRemoveDoesNotKillAndNamesWhoIsThere(t *testing.T) {
	onEach(t, func(sc scene) {
		t, c := sc.t, sc.c
		create(t, c)
		cmd := start(t, c, "sleep 1000")
		h := c.core()
		err := h.remove(time.Now().Add(20 * time.Millisecond))
		if err == nil || !strings.Contains(err.Error(), strconv.Itoa(cmd.Process.Pid)) {
			t.Errorf("got %v", err)
		}
		if err := cmd.Process.Signal(syscall.Signal(0)); err != nil {
			t.Errorf("the process is gone: %v", err)
		}
	})
}

func TestParentsThatCreateMadeAreRemovedAndOthersStay(t *testing.T) {
	for name, sys := range systems(t) {
		t.Run(name, func(t *testing.T) {
			top := testPath(t)
			a := newCgroup(t, sys, top+"/x/a")
			b := newCgroup(t, sys, top+"/x/b")
			create(t, a)
			create(t, b)
			exists := func() bool {
				_, err := os.Stat(a.core().Mount + top)
				return err == nil
			}
			if err := a.Remove(); err != nil {
				t.Fatal(err)
			}
			if !exists() {
				t.Fatal("the parent of b was removed with a")
			}
			// b did not make the parents, so that they stay.
			if err := b.Remove(); err != nil {
				t.Fatal(err)
			}
			if !exists() {
				t.Fatal("b removed what it had not made")
			}
			if err := a.Remove(); err != nil {
				t.Fatal(err)
			}
			if exists() {
				t.Error("a left the parents that it had made")
			}
		})
	}
}

func TestSiblingsThatComeAndGoDoNotDisturbEachOther(t *testing.T) {
	sys, ok := systems(t)["v2 alone"]
	if !ok {
		t.Skip("SKIP: no cgroup2 mount")
	}
	top := testPath(t)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for range 200 {
				c, err := newOn(sys, Config{Path: top + "/x/" + strconv.Itoa(i)})
				if err == nil {
					err = c.Create()
				}
				if err == nil {
					err = c.Remove()
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if _, err := os.Stat(sys.root + top); err == nil {
		_ = os.Remove(sys.root + top + "/x")
		_ = os.Remove(sys.root + top)
	}
}

func TestASubPathCannotLeaveTheCgroup(t *testing.T) {
	onEach(t, func(sc scene) {
		t, c := sc.t, sc.c
		create(t, c)
		for _, sub := range []string{"..", "../..", "a/../../..", "/", "missing"} {
			j, err := c.JoinAt([]Sub{{Path: sub}}, 0, OwnCredentials)
			if err == nil {
				j.Close()
				t.Errorf("%q is accepted", sub)
			}
		}
	})
}

func TestARecordIsEnoughToRemoveAfterACrash(t *testing.T) {
	onEach(t, func(sc scene) {
		t, c := sc.t, sc.c
		rec := c.Record() // stored before Create
		create(t, c)
		start(t, c, "sleep 1000")
		other, err := Load(rec)
		if err != nil {
			t.Fatal(err)
		}
		if err := other.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := other.Remove(); err != nil {
			t.Fatal(err)
		}
		if got := leftovers(c); len(got) != 0 {
			t.Errorf("left %v", got)
		}
	})
}

func TestLoadRefusesWhatMustNotBeRemoved(t *testing.T) {
	for _, h := range []Hierarchy{
		{Mount: "/sys/fs/cgroup", Path: "/"},
		{Mount: "/sys/fs/cgroup", Path: ""},
		{Mount: "/sys/fs/cgroup", Path: "/a/../.."},
		{Mount: "/sys/fs/cgroup", Path: "a"},
		{Mount: "sys", Path: "/a"},
	} {
		if _, err := Load(Record{Hierarchies: []Hierarchy{h}}); err == nil {
			t.Errorf("%+v is accepted", h)
		}
	}
}

func TestAnUnprivilegedCallerGoesWithoutOnlyIfNobodyAskedForACgroup(t *testing.T) {
	for name, sys := range systems(t) {
		t.Run(name, func(t *testing.T) {
			var warned []error
			id := filepath.Base(testPath(t))
			tolerant, err := newOn(sys, Config{
				ID: id, Unwritable: Tolerate,
				Warn: func(err error) { warned = append(warned, err) },
			})
			if err != nil {
				t.Fatal(err)
			}
			explicit, err := newOn(sys, Config{ID: id, Path: "/" + id, Unwritable: Tolerate})
			if err != nil {
				t.Fatal(err)
			}
			var tolerantErr, explicitErr error
			asNobody(func() {
				tolerantErr = tolerant.Create()
				explicitErr = explicit.Create()
			})
			if tolerantErr != nil || len(warned) == 0 {
				t.Errorf("Create: %v, with %d warnings", tolerantErr, len(warned))
			}
			if !errors.Is(explicitErr, unix.EACCES) && !errors.Is(explicitErr, unix.EPERM) {
				t.Errorf("with a path: %v", explicitErr)
			}
			if err := tolerant.Freeze(); !errors.Is(err, ErrNoCgroup) {
				t.Errorf("Freeze: %v", err)
			}
			if err := tolerant.Remove(); err != nil {
				t.Errorf("Remove: %v", err)
			}
		})
	}
}

func TestWhatCannotBeMadeIsNotMounted(t *testing.T) {
	for name, sys := range systems(t) {
		t.Run(name, func(t *testing.T) {
			var warned []error
			var c *Cgroup
			var err error
			asNobody(func() {
				c, err = newOn(sys, Config{
					ID: filepath.Base(testPath(t)), Unwritable: Tolerate,
					Warn: func(err error) { warned = append(warned, err) },
				})
			})
			if err != nil {
				t.Fatal(err)
			}
			if len(warned) != 1 || len(c.Record().Hierarchies) != 0 {
				t.Errorf("warned of %v, and kept %v", warned, c.Record().Hierarchies)
			}
			mounts, err := c.Mounts(SharedNamespace)
			if err != nil || len(mounts) != 1 || mounts[0].Kind != Tmpfs {
				t.Errorf("mounts %v, %v", mounts, err)
			}
		})
	}
}

// asNobody runs f on a thread of its own with an unprivileged user ID.
func asNobody(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends with it
		_, _, _ = unix.RawSyscall(unix.SYS_SETRESUID, 65534, 65534, 65534)
		f()
	}()
	<-done
}

func TestADisabledCgroupDoesNothing(t *testing.T) {
	c, err := New(Config{Driver: Disabled, ID: "x", Path: "/whatever"})
	if err != nil {
		t.Fatal(err)
	}
	j, err := c.Join(OwnCredentials, nil)
	if err != nil || j.Into != nil || len(j.Tasks) != 0 || j.Adopt != nil {
		t.Errorf("Join: %+v %v", j, err)
	}
	for name, f := range map[string]func() error{
		"Create": c.Create, "Kill": c.Kill, "Remove": c.Remove, "EnsureUnused": c.EnsureUnused,
		"Adopt": func() error { return c.Adopt(1) },
	} {
		if err := f(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

package libcontainer_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"hull/libcontainer"
	_ "hull/libcontainer/initproc" // every program that embeds the runtime has this line
	"hull/spec"
)

func TestMain(m *testing.M) {
	if os.Geteuid() != 0 {
		log.Fatal("needs root: containers are real")
	}
	os.Exit(m.Run())
}

// workplace makes a directory for state and a bundle whose program is busybox
// with args, and returns both with a function that removes them.
func workplace(args ...string) (root, bundle string, remove func()) {
	dir, err := os.MkdirTemp("", "hull-example-")
	check(err)
	bundle = filepath.Join(dir, "bundle")
	for _, d := range []string{"bin", "proc", "sys", "dev", "etc"} {
		check(os.MkdirAll(filepath.Join(bundle, "rootfs", d), 0o755))
	}
	busybox, err := exec.LookPath("busybox")
	check(err)
	program, err := os.ReadFile(busybox)
	check(err)
	check(os.WriteFile(filepath.Join(bundle, "rootfs/bin/busybox"), program, 0o755))

	s := spec.Default()
	s.Process.Terminal = false
	s.Process.Args = append([]string{"/bin/busybox"}, args...)
	text, err := spec.Encode(s)
	check(err)
	check(os.WriteFile(filepath.Join(bundle, "config.json"), text, 0o644))
	return filepath.Join(dir, "state"), bundle, func() { check(os.RemoveAll(dir)) }
}

func check(err error) {
	if err != nil {
		log.Panic(err)
	}
}

// destroy ends an example's container.
func destroy(c *libcontainer.Container) { check(c.Destroy(libcontainer.Force)) }

// A container from its creation to its end.
func Example() {
	root, bundle, remove := workplace("echo", "hello from a container")
	defer remove()

	rt := &libcontainer.Runtime{Root: root, Warn: func(err error) { log.Print(err) }}
	c, err := rt.Create(context.Background(), "example-hello", libcontainer.CreateOptions{
		Bundle: bundle,
		Stdio:  libcontainer.Stdio{Out: os.Stdout, Err: os.Stderr},
	})
	check(err)
	defer destroy(c)

	check(c.Start())
	status, err := c.Init().Wait()
	check(err)
	fmt.Println("exit status", status.Shell())
	// Output:
	// hello from a container
	// exit status 0
}

// Another program can load a container by its ID.
func ExampleRuntime_Load() {
	root, bundle, remove := workplace("sleep", "60")
	defer remove()
	rt := &libcontainer.Runtime{Root: root}
	created, err := rt.Create(context.Background(), "example-load", libcontainer.CreateOptions{Bundle: bundle})
	check(err)
	defer destroy(created)

	c, err := rt.Load("example-load")
	check(err)
	defer c.Close()
	state, err := c.State()
	check(err)
	fmt.Println(c.ID(), state.Status)

	_, err = rt.Load("another")
	fmt.Println(errors.Is(err, libcontainer.ErrNotExist))
	// Output:
	// example-load created
	// true
}

// Exec runs one more process in a running container.
func ExampleContainer_Exec() {
	root, bundle, remove := workplace("sleep", "60")
	defer remove()
	rt := &libcontainer.Runtime{Root: root}
	c, err := rt.Create(context.Background(), "example-exec", libcontainer.CreateOptions{Bundle: bundle})
	check(err)
	defer destroy(c)
	check(c.Start())

	p, err := c.Exec(context.Background(), libcontainer.ExecOptions{
		Process: &specs.Process{
			Args: []string{"/bin/busybox", "sh", "-c", "echo hostname $(hostname); exit 3"},
			Cwd:  "/",
		},
		Stdio: libcontainer.Stdio{Out: os.Stdout},
	})
	check(err)
	status, err := p.Wait()
	check(err)
	fmt.Println("exit status", status.Code)
	// Output:
	// hostname hull
	// exit status 3
}

// A paused container takes no CPU time until it is resumed.
func ExampleContainer_Pause() {
	root, bundle, remove := workplace("sleep", "60")
	defer remove()
	rt := &libcontainer.Runtime{Root: root}
	c, err := rt.Create(context.Background(), "example-pause", libcontainer.CreateOptions{Bundle: bundle})
	check(err)
	defer destroy(c)
	check(c.Start())

	check(c.Pause())
	state, err := c.State()
	check(err)
	fmt.Println(state.Status)

	check(c.Resume())
	state, err = c.State()
	check(err)
	fmt.Println(state.Status)
	// Output:
	// paused
	// running
}

// Signal reaches the first process; Destroy takes away what is left.
func ExampleContainer_Signal() {
	root, bundle, remove := workplace("sleep", "60")
	defer remove()
	rt := &libcontainer.Runtime{Root: root}
	c, err := rt.Create(context.Background(), "example-signal", libcontainer.CreateOptions{Bundle: bundle})
	check(err)
	check(c.Start())
	pids, err := c.Processes()
	check(err)
	fmt.Println("processes:", len(pids))

	check(c.Signal(unix.SIGKILL))
	status, err := c.Init().Wait()
	check(err)
	fmt.Println("killed by", unix.SignalName(status.Signal))

	err = c.Signal(unix.SIGTERM)
	fmt.Println(errors.Is(err, libcontainer.ErrNotRunning))
	check(c.Destroy(libcontainer.IfStopped))
	// Output:
	// processes: 1
	// killed by SIGKILL
	// true
}

// Config is the configuration as of creation; Stats is what the container uses.
func ExampleContainer_Stats() {
	root, bundle, remove := workplace("sleep", "60")
	defer remove()
	rt := &libcontainer.Runtime{Root: root}
	c, err := rt.Create(context.Background(), "example-stats", libcontainer.CreateOptions{Bundle: bundle})
	check(err)
	defer destroy(c)
	check(c.Start())

	s, err := c.Config()
	check(err)
	fmt.Println("it runs", s.Process.Args[1:])
	stats, err := c.Stats()
	check(err)
	fmt.Println("processes:", stats.Pids.Current)
	// Output:
	// it runs [sleep 60]
	// processes: 1
}

// Update changes what it names, and nothing if one value is refused.
func ExampleContainer_Update() {
	root, bundle, remove := workplace("sleep", "60")
	defer remove()
	rt := &libcontainer.Runtime{Root: root}
	c, err := rt.Create(context.Background(), "example-update", libcontainer.CreateOptions{Bundle: bundle})
	check(err)
	defer destroy(c)
	check(c.Start())

	limit := int64(50)
	pids := &specs.LinuxPids{Limit: &limit}
	err = c.Update(libcontainer.UpdateOptions{Resources: &specs.LinuxResources{Pids: pids, CPU: &specs.LinuxCPU{Cpus: "9999"}}})
	fmt.Println("refused:", err != nil)
	stats, err := c.Stats()
	check(err)
	fmt.Println("limit:", stats.Pids.Limit)

	check(c.Update(libcontainer.UpdateOptions{Resources: &specs.LinuxResources{Pids: pids}}))
	stats, err = c.Stats()
	check(err)
	fmt.Println("limit:", stats.Pids.Limit)
	// Output:
	// refused: true
	// limit: 0
	// limit: 50
}

// Watch goes on until the container stops, or its function wants no more.
func ExampleContainer_Watch() {
	root, bundle, remove := workplace("sleep", "60")
	defer remove()
	rt := &libcontainer.Runtime{Root: root}
	c, err := rt.Create(context.Background(), "example-watch", libcontainer.CreateOptions{Bundle: bundle})
	check(err)
	defer destroy(c)
	check(c.Start())

	enough := errors.New("enough")
	err = c.Watch(time.Millisecond, func(e libcontainer.Event) error {
		fmt.Println("processes:", e.Stats.Pids.Current)
		return enough
	})
	fmt.Println(err)
	// Output:
	// processes: 1
	// enough
}

package libcontainer

import (
	"encoding/json"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/libcontainer/hook"
	"hull/libcontainer/plan"
	"hull/spec"
)

// hooks runs hooks of one moment of a container's life in the runtime's
// namespaces.
type hooks struct {
	container *Container
	status    specs.ContainerState
	pid       int
	// end ends a hook when it is readable (see hook.Place), or is -1.
	end    int
	output hook.Output
}

// runEach runs the hooks in their order and asks failed what becomes of one that
// does; an error ends it.
func (h hooks) runEach(list []plan.Hook, failed func(error) error) error {
	if len(list) == 0 {
		return nil
	}
	state, err := json.Marshal(h.container.stateAs(h.status, h.pid))
	if err != nil {
		return fault.New("encode state of", h.container.record.ID, err)
	}
	place := hook.Place{Dir: h.container.hookDirectory(), End: h.end, Output: h.output}
	for i := range list {
		one := list[i]
		one.State = state
		if err := hook.Run(&one, place); err != nil {
			if err := failed(err); err != nil {
				return err
			}
		}
	}
	return nil
}

// run runs the hooks until one fails.
func (h hooks) run(list []plan.Hook) error {
	return h.runEach(list, func(err error) error { return err })
}

// hookDirectory is the bundle, unless that is gone by now.
func (c *Container) hookDirectory() string {
	if unix.Access(c.record.Bundle, unix.X_OK) != nil {
		return "/"
	}
	return c.record.Bundle
}

// runPoststart runs the poststart hooks until one fails.
func (c *Container) runPoststart() error {
	if len(c.record.Poststart) == 0 {
		return nil
	}
	output, err := c.openHookOutput()
	if err != nil {
		return err
	}
	defer closeHookOutput(output)
	return hooks{container: c, status: specs.StateRunning, pid: c.record.PID, end: -1, output: output}.run(c.record.Poststart)
}

// runPoststop runs the poststop hooks, all of them: what fails is a warning
// (runtime.md, "Lifecycle", 13).
func (c *Container) runPoststop() {
	if len(c.record.Poststop) == 0 {
		return
	}
	output, err := c.openHookOutput()
	if err != nil {
		c.runtime.warn(err)
	}
	defer closeHookOutput(output)
	err = hooks{container: c, status: specs.StateStopped, end: -1, output: output}.runEach(c.record.Poststop, func(err error) error {
		c.runtime.warn(err)
		return nil
	})
	if err != nil {
		c.runtime.warn(err)
	}
}

// openHookOutput opens the files that annotations name for the output of hooks.
func (c *Container) openHookOutput() (out hook.Output, err error) {
	for _, f := range [...]struct {
		annotation string
		fd         *int
	}{
		{spec.AnnotationHookStdout, &out.Stdout},
		{spec.AnnotationHookStderr, &out.Stderr},
	} {
		path := inBundle(c.record.Bundle, c.record.Annotations[f.annotation])
		if path == "" {
			continue
		}
		if *f.fd, err = openForAppending(path); err != nil {
			closeHookOutput(out)
			return hook.Output{}, hookOutputFailure(f.annotation, path, err)
		}
	}
	return out, nil
}

func hookOutputFailure(annotation, path string, cause error) error {
	return fault.New("open annotations."+annotation, path, cause)
}

// openForAppending opens a file or makes it. A fifo that nobody reads is an
// error and not a wait without end.
func openForAppending(path string) (int, error) {
	const mode = 0o700 // as those who know the annotation from elsewhere find it
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CREAT|unix.O_APPEND|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOCTTY, mode)
	if err != nil {
		return 0, err
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFL, unix.O_APPEND); err != nil {
		unix.Close(fd)
		return 0, err
	}
	return fd, nil
}

func closeHookOutput(out hook.Output) {
	for _, fd := range [...]int{out.Stdout, out.Stderr} {
		if fd != 0 {
			unix.Close(fd)
		}
	}
}

package libcontainer

import (
	"encoding/base64"
	"errors"
	"path/filepath"
	"strconv"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/internal/linux"
	"hull/libcontainer/link"
	"hull/libcontainer/seccomp"
	"hull/libcontainer/seccomp/profile"
	"hull/spec"
)

// filterSource is what a configuration says of the seccomp filter:
// linux.seccomp, and the annotations that are about it.
type filterSource struct {
	// profile is linux.seccomp, with the path of whoever gets the listener.
	profile specs.LinuxSeccomp
	// program takes the place of the rules in profile, if it is not empty.
	program []byte
	unknown seccomp.UnknownCalls
}

// filterOf checks what s says of the filter.
func filterOf(s *specs.Spec) (f filterSource, err error) {
	if s.Linux != nil && s.Linux.Seccomp != nil {
		f.profile = *s.Linux.Seccomp
	}
	if len(s.Annotations) > 0 {
		if err := f.annotate(s.Annotations); err != nil {
			return f, err
		}
	}
	return f, seccomp.Validate(&f.profile)
}

func (f *filterSource) annotate(annotations map[string]string) error {
	if strict, ok := annotations[spec.AnnotationSeccompStrict]; ok && strict != "0" {
		f.unknown = seccomp.RefuseUnknown
	}
	if receiver, ok := annotations[spec.AnnotationSeccompReceiver]; ok {
		if !filepath.IsAbs(receiver) {
			return fault.Newf("", "annotations."+spec.AnnotationSeccompReceiver, "%q is not an absolute path", receiver)
		}
		if f.profile.ListenerPath == "" {
			f.profile.ListenerPath = receiver
		}
	}
	text, ok := annotations[spec.AnnotationSeccompBPF]
	if !ok {
		return nil
	}
	const object = "annotations." + spec.AnnotationSeccompBPF
	var err error
	if f.program, err = base64.StdEncoding.DecodeString(text); err != nil {
		return fault.Newf("", object, "not base64: %w", err)
	}
	if err := seccomp.CheckProgram(f.program); err != nil {
		return fault.New("", object, err)
	}
	if seccomp.ProgramNotifies(f.program) && f.profile.ListenerPath == "" {
		return fault.Newf("", object, "the program notifies, and nobody would get the listener").
			WithHint("set linux.seccomp.listenerPath or annotations.%s", spec.AnnotationSeccompReceiver)
	}
	return nil
}

// wanted reports whether there is a filter.
func (f *filterSource) wanted() bool {
	return len(f.program) > 0 || !profile.Disabled(&f.profile)
}

// notifies reports whether loading the filter gives a listener.
func (f *filterSource) notifies() bool {
	if len(f.program) > 0 {
		return seccomp.ProgramNotifies(f.program)
	}
	return profile.Notifies(&f.profile)
}

// killsThread reports whether the filter may end a thread and not the process.
func (f *filterSource) killsThread() bool {
	if len(f.program) > 0 {
		return seccomp.ProgramKillsThread(f.program)
	}
	return f.wanted() && profile.KillsThread(&f.profile)
}

// maySilence is seccomp.MaySilence of what the filter was compiled to: a thread
// that is killed says nothing either.
func (f *filterSource) maySilence(program []byte) bool {
	return f.killsThread() || seccomp.MaySilence(program)
}

// compile returns the filter, from the directory cache if it is there.
func (f *filterSource) compile(cache string, warn func(error)) (*seccomp.Filter, error) {
	if len(f.program) > 0 {
		return startable(seccomp.FromProgram(f.program, &f.profile))
	}
	return startable(seccomp.Cached(cache, &f.profile, f.unknown, warn))
}

// compileAnew is compile without a cache.
func (f *filterSource) compileAnew() (*seccomp.Filter, error) {
	if len(f.program) > 0 {
		return startable(seccomp.FromProgram(f.program, &f.profile))
	}
	return startable(seccomp.Compile(&f.profile, f.unknown))
}

// startable refuses a filter under which no program can be started.
func startable(f *seccomp.Filter, err error) (*seccomp.Filter, error) {
	if err != nil || f == nil {
		return f, err
	}
	return f, seccomp.CheckExecve(f.Program)
}

// compileFilter returns the container's filter, on another thread: if it is not
// cached it takes as long as all the rest.
func (n *creation) compileFilter() <-chan compiled {
	out := make(chan compiled, 1)
	if n.spec.Process == nil || !n.filter.wanted() {
		out <- compiled{}
		return out
	}
	go func() {
		var c compiled
		c.filter, c.err = n.filter.compile(n.runtime.filterCache(), func(err error) {
			c.warnings = append(c.warnings, err)
		})
		out <- c
	}()
	return out
}

// compiled is what came of a profile. The warnings are given on by whoever
// takes it: Runtime.Warn is called on one goroutine only.
type compiled struct {
	filter   *seccomp.Filter
	warnings []error
	err      error
}

// encoded is a filter as init is told of it, and as exec finds it.
func encoded(f *seccomp.Filter) []byte {
	return link.EncodeFilter(link.Filter{Flags: f.Flags, Program: f.Program})
}

// loadFilter takes the filter as create compiled it: libseccomp is not run, but
// for a container that was created without a process.
func (e *execution) loadFilter() error {
	source, err := filterOf(e.spec)
	if err != nil || !source.wanted() {
		return err
	}
	if e.filter, err = e.container.dir.LoadFilter(); err != nil {
		return err
	}
	if e.filter == nil {
		r := e.container.runtime
		filter, err := source.compile(r.filterCache(), r.warn)
		if err != nil {
			return err
		}
		e.filter = encoded(filter)
	}
	filter, err := link.DecodeFilter(e.filter)
	e.plan.Process.Notifies = filter.Flags&unix.SECCOMP_FILTER_FLAG_NEW_LISTENER != 0
	e.plan.Process.KillsThread = source.killsThread()
	e.silenced = source.maySilence(filter.Program)
	e.listener = &source.profile
	return err
}

// notExecuted returns an error if the process with a seccomp filter or a limit of
// memory has ended, or is about to, without having executed its program: that may
// deny init both execve(2) and the report of it, and the Go runtime does not survive
// it. The end would look like the program's own. Whoever has let go of what execve(2)
// closes has done either: the kernel says that a program is executed before it
// closes anything (fs/exec.c, begin_new_exec), and that a thread ends (exit_signals).
// A program that is there and does not end may look as if it were not executed, while
// another thread of it executes the next one (de_thread). Of a process that somebody
// else has reaped already, nothing is known.
func notExecuted(pid int, startTime uint64, program func() string) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil // reaped
	}
	defer unix.Close(fd)
	p, err := linux.Stat(pid)
	if err != nil || startTime != 0 && p.StartTime != startTime {
		return nil // reaped
	}
	if p.Executed() || !p.Ending() {
		return nil
	}
	// If the filter killed the thread alone, the others would stay.
	_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
	if err := awaitExit(fd); err != nil {
		return err
	}
	return fault.New("exec", strconv.Quote(program()), errors.New(howSilenced(pid))).
		WithHint("linux.seccomp must allow execve with these arguments, and limits leave the memory for them")
}

// howSilenced is howEnded of an init that a filter may have kept from saying it.
// Whoever was about to end before it was killed did not end by that
// (kernel/signal.c, complete_signal).
func howSilenced(pid int) string {
	if exit, err := linux.PeekExit(pid); err == nil && exit.Signal == unix.SIGKILL {
		return "the init process was killed, or lost the thread that was to execute it"
	}
	return howEnded(pid)
}

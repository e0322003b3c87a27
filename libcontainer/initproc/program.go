package initproc

import (
	"errors"
	"math"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/internal/linux"
	"hull/libcontainer/link"
	"hull/libcontainer/plan"
	"hull/nsenter"
)

// changeDirectory enters process.cwd. It does so with the rights of init, since
// a program may be started where it could not go, and before a filter can
// forbid to ask where that is.
func (s *stage) changeDirectory() error {
	cwd := s.plan.Process.Cwd
	if cwd == "" { // there is no process
		return nil
	}
	if err := enter(cwd); err != nil {
		return err
	}
	// A directory outside the root, reached through a descriptor that
	// leaked, has no path there (CVE-2024-21626; getcwd(2)).
	buf := make([]byte, unix.PathMax)
	n, err := unix.Getcwd(buf)
	if err != nil {
		return fault.New("enter process.cwd", cwd, err)
	}
	if n < 1 || buf[0] != '/' {
		return fault.Newf("enter process.cwd", cwd, "the directory is outside the container's root")
	}
	return nil
}

// enter is chdir(2), but for the links that lead not to a path but to what a
// process has open: those of init itself are none of the container's business.
func enter(cwd string) error {
	fd, err := unix.Openat2(unix.AT_FDCWD, cwd, &unix.OpenHow{ //nolint:forbidigo // the root is the container's own by now
		Flags:   unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil {
		failed := fault.New("enter process.cwd", cwd, err)
		if errors.Is(err, unix.ELOOP) {
			failed.Hint = "it has a link of procfs to something that is open, or too many links"
		}
		return failed
	}
	defer unix.Close(fd)
	if err := unix.Fchdir(fd); err != nil {
		return fault.New("enter process.cwd", cwd, err)
	}
	return nil
}

// completeEnvironment sets HOME, for which it reads a file.
func (s *stage) completeEnvironment() error {
	p := &s.plan.Process
	if len(p.Args) > 0 {
		p.Env = withHome(p.Env, p.UID)
	}
	return nil
}

// resolveProgram finds process.args[0] as execvp(3) would. A container without a
// process has nothing to resolve.
func (s *stage) resolveProgram() error {
	p := &s.plan.Process
	if len(p.Args) == 0 {
		return nil
	}
	program, err := lookPath(p.Args[0], lookupEnv(p.Env, "PATH"))
	if err != nil {
		return err
	}
	s.program = program
	return nil
}

// lookupEnv returns the last value of name, the one that getenv(3) of most
// programs finds.
func lookupEnv(env []string, name string) string {
	for i := len(env) - 1; i >= 0; i-- {
		if k, v, ok := strings.Cut(env[i], "="); ok && k == name {
			return v
		}
	}
	return ""
}

// lookPath finds name in the directories of path.
func lookPath(name, path string) (string, error) {
	if name == "" {
		return "", notFound(name, unix.ENOENT)
	}
	if strings.Contains(name, "/") {
		if err := executable(name); err != nil {
			return "", notFound(name, err)
		}
		return name, nil
	}
	if path == "" {
		return "", notFound(name, plan.ErrNotInPath)
	}
	var denied error
	for dir := range strings.SplitSeq(path, ":") {
		if dir == "" {
			dir = "." // an empty element is the working directory (execvp(3))
		}
		candidate := dir + "/" + name
		err := executable(candidate)
		if err == nil {
			return candidate, nil
		}
		if errors.Is(err, unix.EACCES) {
			denied = err
		}
	}
	if denied != nil {
		return "", notFound(name, denied)
	}
	return "", notFound(name, plan.ErrNotInPath)
}

func notFound(name string, err error) error {
	return &fault.Error{Op: "exec", Object: `"` + name + `"`, Cause: err, Hint: plan.ProgramHint(err)}
}

func executable(path string) error {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil { //nolint:forbidigo // the root is the container's by now: no path leads out
		return err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		return unix.EISDIR
	}
	// AT_EACCESS: with the ids and capabilities that the program will have.
	return unix.Faccessat2(unix.AT_FDCWD, path, unix.X_OK, unix.AT_EACCESS)
}

// prepareExecution makes all that execve(2) takes, and what says that it failed:
// later a filter may forbid to take memory for it, or a limit.
func (s *stage) prepareExecution() (err error) {
	p := &s.plan.Process
	if len(p.Args) == 0 {
		return nil
	}
	e := &s.execution
	if e.argv, err = syscall.SlicePtrFromStrings(p.Args); err != nil {
		return fault.New("exec", "process.args", err)
	}
	if e.envv, err = syscall.SlicePtrFromStrings(p.Env); err != nil {
		return fault.New("exec", "process.env", err)
	}
	if e.path, err = unix.BytePtrFromString(s.program); err != nil {
		return fault.New("exec", "process.args[0]", err)
	}
	e.failed = fault.New("exec", `"`+s.program+`"`, nil)
	const hint = 256 // longer than any
	s.words = make([]byte, 0, len(fault.Encode(e.failed))+hint)
	return nil
}

// execution is what execute needs.
type execution struct {
	path       *byte
	argv, envv []*byte
	failed     *fault.Error
}

// execute becomes the program. Between the filter and execve(2) there is
// nothing: a profile need allow only what the program uses.
func (s *stage) execute() error {
	if s.plan.Kind == plan.Create {
		if _, err := unix.Write(s.result, []byte{link.Started}); err != nil {
			return fault.New("report the start", "", err)
		}
	}
	if err := s.movePreserved(); err != nil {
		return err
	}
	if err := s.confine(); err != nil {
		return err
	}
	e := &s.execution
	errno := linux.Execve(e.path, e.argv, e.envv)
	e.failed.Cause, e.failed.Hint = errno, plan.ExecutionHint(errno)
	return e.failed
}

// confine comes last, for nothing of init could go on under it: what it may use is
// limited, and then its system calls. Of a filter that notifies, which may be in
// force already, the setting of limits is none of the calls.
func (s *stage) confine() error {
	if !s.plan.Process.Notifies {
		if err := s.setLimits(); err != nil {
			return err
		}
		return s.loadFilter()
	}
	if err := s.loadFilter(); err != nil {
		return err
	}
	if s.limited != nil {
		s.limited.Pass()
	}
	return nil
}

// movePreserved puts the preserved descriptors where the program expects them,
// from 3 on and so over the link.
func (s *stage) movePreserved() error {
	first := nsenter.FirstPreservedFD
	end := first + int(s.plan.Process.PreserveFDs)
	if first < end && !s.released {
		if err := s.conn.MoveTo(end); err != nil {
			return err
		}
	}
	for fd := first; fd < end; fd++ {
		if err := unix.Dup3(fd, fd-1, 0); err != nil {
			return fault.New("pass on", "preserved descriptors", err)
		}
	}
	return nil
}

// closeInherited makes sure once more that nothing but the standard streams and
// what movePreserved copies outlives execve(2).
func (s *stage) closeInherited() error {
	if err := unix.CloseRange(uint(nsenter.LinkFD), math.MaxInt32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return fault.New("close inherited descriptors", "", err)
	}
	return nil
}

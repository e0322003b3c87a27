// Package initproc is the init stage: it carries out a plan from the inside of
// the container's namespaces and becomes the container's program.
//
// It decides nothing that the parent could have decided, and it opens nothing
// by a path of the container except through package inroot. Everything runs on
// the main thread: credentials, labels and the seccomp filter belong to a
// thread, and execve(2) keeps those of the thread that calls it.
//
// Importing it is all that a program has to do to embed the runtime; a process
// that is not an init stage does not notice.
//
// It never imports what only a parent needs (see imports_test.go): its start
// is the larger part of a container's.
package initproc

import (
	"math"
	"math/bits"
	"os"
	"runtime"
	"runtime/debug"
	"slices"

	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/internal/inroot"
	"hull/internal/linux"
	"hull/libcontainer/hook"
	"hull/libcontainer/link"
	"hull/libcontainer/plan"
	"hull/libcontainer/rootfs"
	"hull/nsenter"
)

// A process that was started as a container's init becomes it here, and goes no
// further. Packages are initialised in the order of their paths (Go
// specification, "Program initialization"): what only a command line needs is
// never initialised in a container. The main goroutine is on the main thread
// and stays there.
func init() {
	if !nsenter.IsStage() {
		return
	}
	runtime.LockOSThread()
	// Init lives for milliseconds: a collection would only start threads,
	// which count against the container's pids limit.
	debug.SetGCPercent(-1)
	s := &stage{conn: link.NewConn(nsenter.LinkFD), console: -1}
	if err := s.run(); err != nil {
		s.report(err)
	}
	os.Exit(initFailed) //nolint:forbidigo // this process is init and nothing else
}

// initFailed is the exit status of an init stage that could not execute its
// program; the reason goes to the parent or to `start`.
const initFailed = 255

// stage is the state of the init stage between its steps.
type stage struct {
	conn *link.Conn
	plan *plan.Plan
	// gate and result are the fifos of `start`, for plan.Create.
	gate, result int
	// hookOutput is where hooks print to.
	hookOutput hook.Output
	// programs are those of the createContainer hooks, if they were opened.
	programs []int
	// chroot holds the root directory of a container that shares the mount
	// namespace, for plan.Exec; else it is empty.
	chroot  []int
	root    *rootfs.Rootfs
	door    inroot.Proc
	labels  []label
	sources []int
	// filter is empty when there is none, or when it is in force.
	filter link.Filter
	// barrier is where this thread waits until the parent has the listener.
	barrier *linux.Barrier
	// limited is where it waits until the limits are set for it, if a filter that
	// notifies is in force by then.
	limited  *linux.Barrier
	listener int
	console  int
	// own are the capabilities of init, caps those that the program gets.
	own  uint64
	caps plan.Capabilities
	// kept is what is held on to beyond caps until execve(2): CAP_SYS_ADMIN,
	// if the filter takes it.
	kept    uint64
	program string
	// execution is how program is executed.
	execution execution
	// words is where a failure is put into words.
	words []byte
	// released says that `start` has let init go, and the link is closed.
	released bool
}

// step is one named thing that init does; the order of the lists below is the
// order of things.
type step func(*stage) error

// createSteps build a container and wait for its start.
func createSteps() []step {
	return slices.Concat([]step{
		(*stage).newSession,
		(*stage).joinKeyring,
		(*stage).prepareRoot,
		(*stage).mountAll,
		(*stage).makeDevices,
		(*stage).awaitRuntimeHooks,
		(*stage).runCreateContainerHooks,
		(*stage).openLabels,
		(*stage).enterRoot,
		(*stage).replaceNull,
		(*stage).openConsole,
		(*stage).bindConsole,
		(*stage).setNames,
		(*stage).writeSysctls,
		(*stage).sealRoot,
	}, programSteps(), []step{
		(*stage).loadNotifyingFilter,
		(*stage).closeLink,
		(*stage).awaitStart,
		(*stage).runStartContainerHooks,
		(*stage).execute,
	})
}

// execSteps start a process in a container that runs.
func execSteps() []step {
	return slices.Concat([]step{
		(*stage).newSession,
		(*stage).joinKeyring,
		(*stage).openLabels,
		(*stage).enterChroot,
		(*stage).replaceNull,
		(*stage).openConsole,
	}, programSteps(), []step{
		(*stage).execute,
	})
}

// programSteps take on what the program shall be. Rights are lost on the way,
// and from awaitFinish on the limits of the cgroup are in force: the order is the
// same for every program.
func programSteps() []step {
	return []step{
		(*stage).restoreFileLimit,
		(*stage).changeDirectory,
		(*stage).completeEnvironment,
		(*stage).prepareFilter,
		(*stage).awaitFinish,
		(*stage).setScheduling,
		(*stage).writeLabels,
		(*stage).takeIDs,
		(*stage).resolveProgram,
		(*stage).prepareExecution,
		(*stage).closeInherited,
		(*stage).takeCapabilities,
	}
}

func (s *stage) run() error {
	sources, err := s.receivePlan()
	if err != nil {
		return err
	}
	s.sources = sources
	steps := execSteps()
	if s.plan.Kind == plan.Create {
		steps = createSteps()
	}
	for _, do := range steps {
		if err := do(s); err != nil {
			return err
		}
	}
	return nil
}

// receivePlan reads the plan and the descriptors that come with it.
func (s *stage) receivePlan() (sources []int, err error) {
	m, err := s.conn.Receive(nil)
	if err != nil {
		return nil, err
	}
	if s.plan, err = plan.Decode(m.Payload); err != nil {
		return nil, fault.New("receive", "plan", err)
	}
	if err := s.takeFiles(m.Files); err != nil {
		return nil, err
	}
	script := link.Script(s.plan)
	s.conn.Follow(script)
	// Nothing that was inherited must reach a hook, least of all the link, nor
	// the program (CVE-2024-21626): the preserved descriptors are copied for it
	// at the end.
	if err := unix.CloseRange(uint(nsenter.LinkFD), math.MaxInt32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return nil, fault.New("close inherited descriptors", "", err)
	}
	for _, kind := range script {
		if kind != link.Sources {
			continue
		}
		m, err := s.conn.Receive(nil)
		if err != nil {
			return nil, err
		}
		sources = append(sources, m.Files...)
	}
	return sources, nil
}

// takeFiles takes the descriptors that come with the plan.
func (s *stage) takeFiles(files []int) error {
	streams := s.plan.HookStreams
	programs := 0
	if s.plan.HooksOpened {
		programs = len(s.plan.CreateContainer)
	}
	switch {
	case s.plan.Kind == plan.Create && len(files) == 2+programs+bits.OnesCount8(uint8(streams)):
		s.gate, s.result = files[0], files[1]
		s.programs = files[2 : 2+programs]
		files = files[2+programs:]
	case s.plan.Kind == plan.Exec && len(files) <= 1:
		s.chroot = files
		return nil
	default:
		return fault.Newf("receive", "plan", "%d descriptors", len(files))
	}
	if streams&plan.HookStdout != 0 {
		s.hookOutput.Stdout, files = files[0], files[1:]
	}
	if streams&plan.HookStderr != 0 {
		s.hookOutput.Stderr = files[0]
	}
	return nil
}

// report tells whoever listens why init ends.
func (s *stage) report(err error) {
	s.words = fault.Append(s.words[:0], err)
	if s.released {
		_, _ = unix.Write(s.result, s.words)
		return
	}
	_ = s.conn.Send(link.Message{Kind: link.Failed, Payload: s.words})
}

// note tells the parent of something that is not an error.
func (s *stage) note(err error) {
	_ = s.conn.Send(link.Message{Kind: link.Note, Payload: fault.Encode(err)})
}

// ask sends a message and waits for its answer.
func (s *stage) ask(kind, answer link.Kind) (link.Message, error) {
	return askOn(s.conn, link.Message{Kind: kind}, answer)
}

func askOn(conn *link.Conn, question link.Message, answer link.Kind) (link.Message, error) {
	if err := conn.Send(question); err != nil {
		return link.Message{}, err
	}
	m, err := conn.Receive(nil)
	if err == nil && m.Kind != answer {
		err = fault.Newf("follow the link", "", "got %v for an answer to %v", m.Kind, question.Kind)
	}
	return m, err
}

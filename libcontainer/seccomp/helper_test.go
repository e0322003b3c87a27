package seccomp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"hull/internal/linux"
)

// helperEnv makes the test binary a process that puts itself under the filter
// on its standard input and then does what the value says.
const helperEnv = "HULL_SECCOMP_HELPER"

func TestMain(m *testing.M) {
	if what := os.Getenv(helperEnv); what != "" {
		helper(what, os.Args[1:])
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// outcome is how a helper process ended.
type outcome struct {
	stdout, stderr string
	status         syscall.WaitStatus
}

// under runs a helper under the filter of p.
func under(t *testing.T, p *specs.LinuxSeccomp, what string, args ...string) outcome {
	t.Helper()
	f, err := Compile(p, IgnoreUnknown)
	if err != nil {
		t.Fatal(err)
	}
	return underFilter(t, f, what, args...)
}

func underFilter(t *testing.T, f *Filter, what string, args ...string) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), helperEnv+"="+what)
	cmd.Stdin = bytes.NewReader(append(binary.NativeEndian.AppendUint32(nil, f.Flags), f.Program...))
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !ok {
		t.Fatalf("%T is not a wait status", cmd.ProcessState.Sys())
	}
	return outcome{stdout.String(), stderr.String(), status}
}

// call numbers and arguments travel as texts: "nr" or "nr:a0,a1,...".
func (c call) text() string {
	parts := make([]string, len(c.args))
	for i, arg := range c.args {
		parts[i] = strconv.FormatUint(arg, 10)
	}
	return strconv.FormatUint(uint64(c.nr), 10) + ":" + strings.Join(parts, ",")
}

func parseCall(text string) (c call) {
	nr, args, _ := strings.Cut(text, ":")
	n, err := strconv.ParseUint(nr, 10, 32)
	check(err)
	c.nr = uint32(n)
	for i, arg := range strings.Split(args, ",") {
		c.args[i], err = strconv.ParseUint(arg, 10, 64)
		check(err)
	}
	return c
}

// make makes the call and returns its value or errno.
func (c call) make() (uintptr, unix.Errno) {
	r, _, errno := unix.RawSyscall6(uintptr(c.nr), uintptr(c.args[0]), uintptr(c.args[1]),
		uintptr(c.args[2]), uintptr(c.args[3]), uintptr(c.args[4]), uintptr(c.args[5]))
	return r, errno
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(100)
	}
}

func helper(what string, args []string) {
	runtime.LockOSThread()
	b, err := io.ReadAll(os.Stdin)
	check(err)
	flags, program := binary.NativeEndian.Uint32(b), b[4:]
	check(unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
	switch what {
	case "call": // each call: print the errno
		_, err = linux.SeccompLoad(program, flags)
		check(err)
		for _, arg := range args {
			_, errno := parseCall(arg).make()
			fmt.Println(int(errno))
		}
	case "exec": // become another program
		_, err = linux.SeccompLoad(program, flags)
		check(err)
		check(unix.Exec(args[0], args, nil))
	case "load": // and nothing more
		_, err = linux.SeccompLoad(program, flags)
		check(err)
	case "thread":
		inThread(program, flags, parseCall(args[0]))
	case "notify":
		withListener(program, flags, parseCall(args[0]))
	}
}

// inThread makes the call on a thread of its own, and prints whether this one
// survives the other.
func inThread(program []byte, flags uint32, c call) {
	debug.SetGCPercent(-1) // the runtime cannot stop a thread that is gone
	tid := make(chan int)
	go func() {
		runtime.LockOSThread()
		_, err := linux.SeccompLoad(program, flags)
		check(err)
		tid <- unix.Gettid()
		c.make()
		fmt.Println("not killed")
		os.Exit(1)
	}()
	id := <-tid
	for unix.Tgkill(unix.Getpid(), id, 0) == nil {
		runtime.Gosched()
	}
	fmt.Println("alive")
	os.Exit(0)
}

// notification is struct seccomp_notif, response struct seccomp_notif_resp.
type notification struct {
	id         uint64
	pid, flags uint32
	nr         int32
	arch       uint32
	ip         uint64
	args       [6]uint64
}

type response struct {
	id    uint64
	value int64
	errno int32
	flags uint32
}

// withListener makes the call under a filter that asks this process's other
// thread, which returns the first argument plus one.
func withListener(program []byte, flags uint32, c call) {
	listener, err := linux.SeccompLoad(program, flags)
	check(err)
	go func() {
		runtime.LockOSThread()
		var n notification
		check(ioctl(listener, unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(&n)))
		r := response{id: n.id, value: int64(n.args[0] + 1)}
		check(ioctl(listener, unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&r)))
	}()
	r, _, _ := unix.Syscall6(uintptr(c.nr), uintptr(c.args[0]), 0, 0, 0, 0, 0)
	fmt.Println(r)
}

func ioctl(fd int, request uintptr, arg unsafe.Pointer) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(arg)); errno != 0 {
		return errno
	}
	return nil
}

// errnos makes calls under f and returns the errno of each.
func errnos(t *testing.T, f *Filter, calls ...call) []unix.Errno {
	t.Helper()
	texts := make([]string, len(calls))
	for i, c := range calls {
		texts[i] = c.text()
	}
	o := underFilter(t, f, "call", texts...)
	lines := strings.Fields(o.stdout)
	if len(lines) != len(calls) {
		t.Fatalf("%d calls, %d answers: %+v", len(calls), len(lines), o)
	}
	errs := make([]unix.Errno, len(lines))
	for i, line := range lines {
		n, err := strconv.Atoi(line)
		if err != nil {
			t.Fatal(err)
		}
		errs[i] = unix.Errno(n)
	}
	return errs
}

package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/libcontainer"
)

// defaultRoot is where containers of the host's root are remembered.
const defaultRoot = "/run/hull"

func globalFlags() []cli.Flag {
	return []cli.Flag{
		boolFlag("debug", "log more, and where in the source each line comes from"),
		stringFlag("log", "append the log to `FILE` instead of writing it to stderr"),
		withDefault("text", stringFlag("log-format", "write the log as `FORMAT`: text or json")),
		withDefault("info", stringFlag("log-level", "log `LEVEL` and worse: error, warn, info or debug")),
		stringFlag("root", "keep the state of containers in `DIR`, best on a tmpfs (default: "+defaultRoot+", or $XDG_RUNTIME_DIR/hull if not root)"),
		boolFlag("systemd-cgroup", `let systemd make cgroups; cgroupsPath is then "slice:prefix:name"`),
		stringFlag("cgroup-manager", "let `MANAGER` make cgroups: cgroupfs, systemd or disabled; overrides --systemd-cgroup"),
		withDefault("auto", stringFlag("rootless", "tolerate cgroups that may not be written: `WHEN` is true, false or auto")),
	}
}

// before sets the log up, which is needed before anything can fail.
func (p *program) before(c *cli.Context) error {
	if c.Args().First() == "" {
		return nil // help
	}
	return p.log.configure(c.String("log"), c.String("log-format"), c.String("log-level"), c.Bool("debug"))
}

// runtime returns the runtime that the global flags describe.
func (p *program) runtime(c *cli.Context) (*libcontainer.Runtime, error) {
	root, err := stateRoot(c)
	if err != nil {
		return nil, err
	}
	driver, err := cgroupDriver(c)
	if err != nil {
		return nil, err
	}
	privilege, err := privilegeOf(c)
	if err != nil {
		return nil, err
	}
	rt := &libcontainer.Runtime{Root: root, Cgroup: driver, Warn: p.log.warn, Privilege: privilege}
	if dir := runtimeDir(); privilege == libcontainer.Rootless && dir != "" {
		rt.Manager = filepath.Join(dir, "systemd", "private")
	}
	return rt, nil
}

// creator is runtime for a command that makes a container.
func (p *program) creator(c *cli.Context) (*libcontainer.Runtime, error) {
	rt, err := p.runtime(c)
	if err == nil && !c.IsSet("root") {
		err = checkHome(rt.Root)
	}
	return rt, err
}

// checkHome says what an ordinary user without a directory of his own can do about
// it: only a login gives him one (pam_systemd(8)).
func checkHome(root string) error {
	if os.Geteuid() == 0 || runtimeDir() != "" {
		return nil
	}
	err := unix.Access(root, unix.W_OK)
	if errors.Is(err, unix.ENOENT) {
		err = unix.Access(filepath.Dir(root), unix.W_OK)
	}
	if err == nil {
		return nil
	}
	return fault.New("use state directory", root, err).
		WithHint("set $XDG_RUNTIME_DIR to a directory of the user's own, as a login does, or give one with --root")
}

// load returns the container that the first argument names.
func (p *program) load(c *cli.Context) (*libcontainer.Container, error) {
	id, err := containerID(c)
	if err != nil {
		return nil, err
	}
	rt, err := p.runtime(c)
	if err != nil {
		return nil, err
	}
	return rt.Load(id)
}

func containerID(c *cli.Context) (string, error) {
	id := c.Args().First()
	if id == "" {
		return "", errors.New("container id cannot be empty")
	}
	return id, nil
}

func stateRoot(c *cli.Context) (string, error) {
	if !c.IsSet("root") {
		return ownRoot()
	}
	root, err := filepath.Abs(c.String("root"))
	if err != nil {
		return "", err
	}
	if root == "/" {
		// What an empty --root or a few too many "../" come to.
		return "", errors.New("Option --root argument should not be set to /") //nolint:staticcheck // runc's text
	}
	return root, nil
}

// ownRoot returns the state directory of the user who runs this program.
func ownRoot() (string, error) {
	dir := runtimeDir()
	if dir == "" || !prefersRuntimeDir() {
		return defaultRoot, nil
	}
	root := filepath.Join(dir, "hull")
	if err := os.MkdirAll(root, 0o700); err != nil {
		return "", fault.New("make state directory", root, errors.Unwrap(err)).
			WithHint("the directory in $XDG_RUNTIME_DIR must be writable by the user")
	}
	// The sticky bit says that it is not to be pruned by age:
	// XDG Base Directory Specification, "$XDG_RUNTIME_DIR".
	if err := os.Chmod(root, 0o700|os.ModeSticky); err != nil {
		return "", fault.New("set sticky bit of", root, errors.Unwrap(err)).
			WithHint("the directory in $XDG_RUNTIME_DIR must be the user's own")
	}
	return root, nil
}

// runtimeDir is $XDG_RUNTIME_DIR, or "". One that is relative is invalid and to be
// ignored: XDG Base Directory Specification, "Basics".
func runtimeDir() string {
	if dir := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) {
		return dir
	}
	return ""
}

// prefersRuntimeDir reports whether $XDG_RUNTIME_DIR is this user's own, and
// not one that su or sudo left in root's environment.
func prefersRuntimeDir() bool {
	if os.Geteuid() != 0 {
		return true
	}
	return inUserNamespace() && os.Getenv("USER") != "root"
}

func cgroupDriver(c *cli.Context) (libcontainer.CgroupDriver, error) {
	switch manager := c.String("cgroup-manager"); manager {
	case "":
		if c.Bool("systemd-cgroup") {
			return libcontainer.Systemd, nil
		}
		return libcontainer.Cgroupfs, nil
	case "cgroupfs":
		return libcontainer.Cgroupfs, nil
	case "systemd":
		return libcontainer.Systemd, nil
	case "disabled":
		return libcontainer.NoCgroup, nil
	default:
		return 0, fmt.Errorf("invalid cgroup-manager: %s (it is cgroupfs, systemd or disabled)", manager)
	}
}

func privilegeOf(c *cli.Context) (libcontainer.Privilege, error) {
	switch when := strings.ToLower(c.String("rootless")); when {
	case "", "auto":
		if os.Geteuid() != 0 || inUserNamespace() {
			return libcontainer.Rootless, nil
		}
		return libcontainer.Rootful, nil
	default:
		rootless, err := strconv.ParseBool(when)
		if err != nil {
			return 0, fmt.Errorf("invalid rootless: %s (it is true, false or auto)", when)
		}
		if rootless {
			return libcontainer.Rootless, nil
		}
		return libcontainer.Rootful, nil
	}
}

// inUserNamespace reports whether uids here are not those of the host:
// user_namespaces(7), "the initial user namespace".
func inUserNamespace() bool {
	m, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		return false // a kernel without user namespaces has no such file
	}
	return !slices.Equal(strings.Fields(string(m)), []string{"0", "0", "4294967295"})
}

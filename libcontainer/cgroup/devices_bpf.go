package cgroup

import (
	"errors"
	"slices"

	"golang.org/x/sys/unix"

	"hull/internal/fault"
	"hull/internal/linux"
)

// attach makes the list a BPF program of the v2 cgroup dir. What was attached
// before goes after the new one is in force, so that there is no moment
// without a filter. Programs of the parents stay in force in any case.
func (l *deviceList) attach(dir string) error {
	j := &journal{}
	defer j.close()
	return l.replace(dir, j)
}

// replace is attach with an entry in the journal. A single program is replaced
// in one step, and several are by first adding to them.
func (l *deviceList) replace(dir string, j *journal) error {
	fd, err := openFile(dir, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return fault.New("open cgroup", dir, err)
	}
	before, err := devicePrograms(fd)
	if err != nil {
		unix.Close(fd)
		return fault.New("list the device programs of", dir, err).
			WithHint("linux.resources.devices take CAP_BPF and CAP_NET_ADMIN on cgroup v2")
	}
	now, err := linux.LoadDeviceProgram(l.program())
	release := func() { // closing what could not be opened does no harm
		for _, fd := range append(before, fd, now) {
			unix.Close(fd)
		}
	}
	if err == nil {
		err = exchange(fd, before, []int{now})
	}
	if err != nil {
		release()
		return fault.New("set linux.resources.devices: attach a program to", dir, err)
	}
	j.changes = append(j.changes, change{
		undo: func() error {
			if err := exchange(fd, []int{now}, before); err != nil {
				return fault.New("attach the old device programs to", dir, err)
			}
			return nil
		},
		release: release,
	})
	return nil
}

// devicePrograms opens the programs of an open cgroup. One that may not be
// looked at, by an LSM's word, is not ours to remove either: it can only forbid
// more.
func devicePrograms(cgroup int) (fds []int, err error) {
	ids, err := linux.DevicePrograms(cgroup)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		fd, err := linux.OpenDeviceProgram(id)
		if err == nil {
			fds = append(fds, fd)
		} else if !denied(err) && !errors.Is(err, unix.ENOENT) {
			return fds, err
		}
	}
	return fds, nil
}

// exchange puts programs in the place of others.
func exchange(cgroup int, before, after []int) error {
	if len(before) == 1 && len(after) == 1 {
		return linux.ReplaceDeviceProgram(cgroup, after[0], before[0])
	}
	for _, fd := range after {
		if err := linux.AttachDeviceProgram(cgroup, fd); err != nil {
			return err
		}
	}
	for _, fd := range before {
		if err := linux.DetachDeviceProgram(cgroup, fd); err != nil && !errors.Is(err, unix.ENOENT) {
			return err
		}
	}
	return nil
}

// The registers that program uses, by what they hold.
const (
	regResult = 0
	regCtx    = 1 // the argument, and then a scratch register
	regKind   = 2
	regAccess = 3
	regMajor  = 4
	regMinor  = 5
)

// program compiles the list. It sees a struct bpf_cgroup_dev_ctx {access_type,
// major, minor}, whose access_type is access << 16 | kind, and returns whether
// to allow. Each exception is a block that ends in a return if all matches,
// and else jumps behind its end. The last of them comes first, for it holds.
func (l *deviceList) program() []linux.BPFInstruction {
	p := []linux.BPFInstruction{
		linux.BPFLoad32(regKind, regCtx, 0),
		linux.BPFMove(regAccess, regKind),
		linux.BPFAndImm(regKind, 0xffff),
		linux.BPFShiftRightImm(regAccess, 16),
		linux.BPFLoad32(regMajor, regCtx, 4),
		linux.BPFLoad32(regMinor, regCtx, 8),
	}
	for _, e := range slices.Backward(l.exceptions) {
		if e.access != 0 {
			p = append(p, e.block(l.otherwise)...)
		}
	}
	return append(p, linux.BPFMoveImm(regResult, int32(l.otherwise)), linux.BPFExit())
}

// block matches one exception. One that allows what is denied by default must cover
// all of the access that is asked for; one that denies, any of it. One that allows
// again what another denies leaves the access that it does not cover to those before.
func (e exception) block(otherwise action) []linux.BPFInstruction {
	kind := int32(unix.BPF_DEVCG_DEV_CHAR)
	if e.kind == 'b' {
		kind = unix.BPF_DEVCG_DEV_BLOCK
	}
	b := []linux.BPFInstruction{linux.BPFJumpNotEqualImm(regKind, kind)}
	if e.major != anyNumber {
		b = append(b, linux.BPFJumpNotEqualImm(regMajor, int32(uint32(e.major))))
	}
	if e.minor != anyNumber {
		b = append(b, linux.BPFJumpNotEqualImm(regMinor, int32(uint32(e.minor))))
	}
	switch {
	case e.access == allAccess:
	case e.act == otherwise:
		b = append(b, linux.BPFAndImm(regAccess, int32(allAccess&^e.access)), linux.BPFJumpNotEqualImm(regAccess, 0))
	case e.act == deny:
		b = append(b, linux.BPFMove(regCtx, regAccess), linux.BPFAndImm(regCtx, int32(e.access)), linux.BPFJumpEqualImm(regCtx, 0))
	default:
		b = append(b, linux.BPFMove(regCtx, regAccess), linux.BPFAndImm(regCtx, int32(e.access)), linux.BPFJumpNotEqual(regCtx, regAccess))
	}
	b = append(b, linux.BPFMoveImm(regResult, int32(e.act)), linux.BPFExit())
	for i := range b {
		if b[i].Jumps() {
			b[i].Offset = int16(len(b) - i - 1)
		}
	}
	return b
}

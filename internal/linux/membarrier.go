package linux

import "golang.org/x/sys/unix"

// membarrierGlobal is MEMBARRIER_CMD_GLOBAL of membarrier(2).
const membarrierGlobal = 1

// AwaitSchedule blocks until every CPU has gone through the scheduler at least
// once, some milliseconds. It is for the few state changes of other processes
// that the kernel makes soon but announces nowhere; unlike a sleep it ends
// when there is reason to look again. Where the kernel cannot do that (a
// machine with nohz_full CPUs), it only gives up the CPU.
func AwaitSchedule() {
	if _, _, errno := unix.Syscall(unix.SYS_MEMBARRIER, membarrierGlobal, 0, 0); errno != 0 {
		_, _, _ = unix.Syscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
	}
}

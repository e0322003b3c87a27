package testkit

import (
	"os/exec"
	"time"
)

// usualVersion is more than `hull --version` takes of a processor on any machine that
// is not emulated: 4 ms on a usual one, and 60 on an emulated one.
const usualVersion = 12 * time.Millisecond

// Pace is how many times longer a second is on this machine than on a usual one,
// at least 1, as the runtime's version shows. The first time it takes longer, for
// what is read from the disk, so the least of a few counts.
func Pace(runtime string) int64 {
	least := time.Hour
	for range 3 {
		cmd := exec.Command(runtime, "--version")
		if cmd.Run() != nil {
			return 1
		}
		least = min(least, cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime())
	}
	return max(1, int64(least/usualVersion))
}

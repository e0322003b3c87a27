package cli

import "golang.org/x/sys/unix"

// owners are the users who own this program's standard streams. Init makes them
// the container's user's, so that a program can open /dev/stdout; they are the
// container's only as long as it runs in the foreground. Other runtimes put
// pipes between, and copy.
type owners [firstExtraFD]uint32

func streamOwners() (o owners) {
	for fd := range o {
		var st unix.Stat_t
		if unix.Fstat(fd, &st) == nil {
			o[fd] = st.Uid
		}
	}
	return o
}

// restore gives each stream back that has another owner now, as far as that is
// permitted.
func (o owners) restore() {
	for fd, uid := range o {
		var st unix.Stat_t
		if unix.Fstat(fd, &st) == nil && st.Uid != uid {
			_ = unix.Fchown(fd, int(uid), -1)
		}
	}
}

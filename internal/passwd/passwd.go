// Package passwd reads the user database of a container, passwd(5) and group(5),
// from descriptors. Whoever wrote it is not to be trusted: a line that is not
// what it should be counts for nothing, a number is one as a whole or not at all,
// and neither time nor memory grows with a file for ever.
//
// It opens nothing: what a path of the container means is the caller's matter.
package passwd

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"math"
	"strconv"

	"golang.org/x/sys/unix"
)

const (
	// maxSize bounds what is read: half a million users.
	maxSize = 32 << 20
	// maxLine bounds a line: a group may have a great many members.
	maxLine = 1 << 20
)

var (
	errTooLong = errors.New("longer than 32 MiB")
	errNotFile = errors.New("not a regular file")
)

// User is one line of passwd(5).
type User struct {
	Name     string
	UID, GID uint32
	Home     string
}

// ParseID reads a decimal id, the whole of s: no sign, no space, nothing behind
// it. The largest value is the kernel's "no id" (setresuid(2)).
func ParseID(s string) (id uint32, ok bool) {
	if s == "" || s[0] < '0' || s[0] > '9' {
		return 0, false
	}
	v, err := strconv.ParseUint(s, 10, 32)
	if err != nil || v == math.MaxUint32 {
		return 0, false
	}
	return uint32(v), true
}

// FindUser returns the first user in the open passwd file fd that matches.
func FindUser(fd int, match func(*User) bool) (user User, found bool, err error) {
	const fields = 7 // name:password:UID:GID:comment:home:shell
	err = lines(fd, func(line []byte) bool {
		f := bytes.SplitN(line, []byte{':'}, fields)
		if len(f) < 4 || len(f[0]) == 0 {
			return true
		}
		uid, uidOK := ParseID(string(f[2]))
		gid, gidOK := ParseID(string(f[3]))
		if !uidOK || !gidOK {
			return true
		}
		u := User{Name: string(f[0]), UID: uid, GID: gid}
		if len(f) > 5 {
			u.Home = string(f[5])
		}
		if match(&u) {
			user, found = u, true
		}
		return !found
	})
	return user, found, err
}

// FindGroup returns the id of the first group of that name in the open group
// file fd.
func FindGroup(fd int, name string) (gid uint32, found bool, err error) {
	err = groups(fd, func(group []byte, id uint32, _ []byte) bool {
		if string(group) == name {
			gid, found = id, true
		}
		return !found
	})
	return gid, found, err
}

// GroupsOf returns the ids of the groups in the open group file fd that have
// user as a member.
func GroupsOf(fd int, user string) (gids []uint32, err error) {
	err = groups(fd, func(_ []byte, id uint32, members []byte) bool {
		for member := range bytes.SplitSeq(members, []byte{','}) {
			if string(member) == user {
				gids = append(gids, id)
				break
			}
		}
		return true
	})
	return gids, err
}

// groups calls visit with the groups of a file until it returns false.
func groups(fd int, visit func(name []byte, gid uint32, members []byte) bool) error {
	return lines(fd, func(line []byte) bool {
		f := bytes.SplitN(line, []byte{':'}, 4) // name:password:GID:members
		if len(f) < 3 || len(f[0]) == 0 {
			return true
		}
		gid, ok := ParseID(string(f[2]))
		if !ok {
			return true
		}
		var members []byte
		if len(f) > 3 {
			members = f[3]
		}
		return visit(f[0], gid, members)
	})
}

// lines calls visit with the lines of a file until it returns false. One that is
// longer than any should be is left out.
func lines(fd int, visit func([]byte) bool) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return errNotFile
	}
	limited := &io.LimitedReader{R: descriptor(fd), N: maxSize}
	in := bufio.NewReaderSize(limited, int(min(max(st.Size, 4096), maxLine)))
	for {
		line, err := in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			for errors.Is(err, bufio.ErrBufferFull) {
				_, err = in.ReadSlice('\n')
			}
			line = nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if line = bytes.TrimSpace(line); len(line) > 0 && !visit(line) {
			return nil
		}
		switch {
		case err == nil:
		case limited.N <= 0:
			return errTooLong
		default:
			return nil
		}
	}
}

// descriptor reads without the poller of the Go runtime, which would wait for a
// file of procfs that has nothing to say.
type descriptor int

// Read is read(2).
func (d descriptor) Read(b []byte) (int, error) {
	for {
		n, err := unix.Read(int(d), b)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF
		}
		return n, nil
	}
}

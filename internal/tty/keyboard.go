package tty

import (
	"errors"
	"os"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"

	"hull/internal/fault"
)

// keyboard is a terminal that is raw while it is taken.
type keyboard struct {
	file *os.File

	mu    sync.Mutex
	saved *unix.Termios // what it was before the first take
	raw   *unix.Termios // what it is while it is taken; nil: it is not
	over  bool          // it is not to be taken again
}

// take makes the terminal raw, if it is not: a shell may have put it back while
// this process was stopped.
func (k *keyboard) take() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.over {
		return nil
	}
	now, err := getTermios(k.file)
	if err != nil {
		return fault.New("read the mode of", k.file.Name(), err)
	}
	if k.saved == nil {
		k.saved = now
	}
	raw := *k.saved
	makeRaw(&raw)
	if err := setTermios(k.file, &raw); err != nil {
		failed := fault.New("set raw mode of", k.file.Name(), err)
		if errors.Is(err, unix.EIO) {
			failed.Hint = "hull is in the background of the terminal, and nothing could bring it to the foreground"
		}
		return failed
	}
	// Drivers take from it what they can do.
	if k.raw, err = getTermios(k.file); err != nil {
		return fault.New("read the mode of", k.file.Name(), err)
	}
	return nil
}

// giveBackForGood is giveBack, after which take does nothing.
func (k *keyboard) giveBackForGood() error {
	k.mu.Lock()
	k.over = true
	k.mu.Unlock()
	return k.giveBack()
}

// giveBack restores what was before. A mode that somebody else has set meanwhile
// is theirs: the shell that has the terminal while this process is in the
// background, or another session that shares it.
func (k *keyboard) giveBack() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.raw == nil {
		return nil
	}
	ours := *k.raw
	k.raw = nil
	now, err := getTermios(k.file)
	if errors.Is(err, unix.EIO) || err == nil && *now != ours {
		return nil // EIO: it was hung up
	}
	if err == nil {
		err = withoutStop(func() error { return setTermios(k.file, k.saved) })
	}
	if err != nil {
		return fault.New("restore the mode of", k.file.Name(), err)
	}
	return nil
}

// withoutStop lets a process in the background set the modes of its terminal:
// it is stopped by SIGTTOU, unless the thread blocks that (tcsetattr(3)).
func withoutStop(do func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var stop, before unix.Sigset_t
	stop.Val[0] = 1 << (unix.SIGTTOU - 1)
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, &stop, &before); err != nil {
		return err
	}
	defer unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil) //nolint:errcheck // it just worked
	return do()
}

// IsJob reports whether f is the controlling terminal of this process, so that
// the process is a job of it: stopped and continued by its keys and its shell.
func IsJob(f *os.File) bool {
	var err error
	cerr := control(f, func(fd int) { _, err = unix.IoctlGetInt(fd, unix.TIOCGPGRP) })
	return cerr == nil && err == nil
}

package libcontainer

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"hull/internal/fault"
)

// checkPidFile says beforehand that a pid file cannot be written: a program that
// has been executed could not be called back. There may be none.
func checkPidFile(path string) error {
	if path == "" {
		return nil
	}
	err := unix.Faccessat2(unix.AT_FDCWD, filepath.Dir(path), unix.W_OK|unix.X_OK, unix.AT_EACCESS)
	if info, e := os.Lstat(path); err == nil && e == nil && info.IsDir() {
		err = unix.EISDIR
	}
	if err != nil {
		return fault.New("write pid file", path, err)
	}
	return nil
}

// writePidFile writes a pid file, if there is to be one. It is made by rename:
// whoever waits for it must not read half of a pid.
func writePidFile(path string, pid int) error {
	if path == "" {
		return nil
	}
	temporary := filepath.Join(filepath.Dir(path), "."+filepath.Base(path))
	err := writeNew(temporary, strconv.Itoa(pid))
	if err == nil {
		err = os.Rename(temporary, path)
	}
	if err != nil {
		_ = os.Remove(temporary)
		return fault.New("write pid file", path, pathless(err))
	}
	return nil
}

// writeNew writes a file that was not there: the directory may be one that
// others can write, and hold a link of this name to a file of root's.
func writeNew(path, text string) error {
	_ = os.Remove(path) // what a killed create left
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

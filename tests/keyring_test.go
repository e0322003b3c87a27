package tests

import (
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

type keyring struct {
	Name string
	ID   int
}

// withSession runs do as somebody who has a session keyring with a key in it, and
// says which keyring that is. The keyring ends with the thread.
func withSession(t *testing.T, key string, do func(session int)) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		id, err := unix.KeyctlJoinSessionKeyring("hull-test")
		if err == nil {
			_, err = unix.AddKey("user", key, []byte("secret"), id)
		}
		if err != nil {
			t.Error(err)
			return
		}
		do(id)
	}()
	<-done
}

func TestTheSessionKeyringIsTheContainersUnlessItIsToBeTheCallers(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	key := newID()
	see := []string{"session", "key=" + key}
	for flag, own := range map[string]bool{"--keep": true, "--no-new-keyring": false} {
		withSession(t, key, func(callers int) {
			b, id := h.newBundle(see), newID()
			s := parseSight(t, h.must("run", flag, "--bundle", b.dir, id))
			got := get[keyring](t, s, "session")
			if own {
				equal(t, "name", got.Name, "_ses."+id)
				equal(t, "the key of the caller", s.failure("key="+key), "required key not available")
			} else {
				equal(t, "keyring", got, keyring{"hull-test", callers})
				get[int](t, s, "key="+key)
			}
		})
	}
	// An exec has one of its own as well, or that of who starts it.
	mine := h.start(nil)
	b, shared := h.newBundle([]string{"sleep"}), newID()
	h.must("run", "--detach", "--no-new-keyring", "--bundle", b.dir, shared)
	withSession(t, key, func(callers int) {
		s := parseSight(t, h.must("exec", mine.id, "/probe", "session", "key="+key))
		equal(t, "name for exec", get[keyring](t, s, "session").Name, "_ses."+mine.id)
		equal(t, "the key of who starts it", s.failure("key="+key), "required key not available")
		s = parseSight(t, h.must("exec", shared, "/probe", "session", "key="+key))
		equal(t, "keyring of who starts it", get[keyring](t, s, "session"), keyring{"hull-test", callers})
		get[int](t, s, "key="+key)
	})
}

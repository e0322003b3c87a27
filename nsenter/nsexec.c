/*
 * The part of starting a process in namespaces that must be single-threaded,
 * and so has to happen before the Go runtime exists: setns(2), unshare(2) and
 * clone3(2). It runs as a constructor, opens no path, parses no text and
 * allocates nothing. Descriptors come in; a struct hull_report goes out, and
 * Go turns it into words.
 *
 * Two processes: this one (the stage) joins and unshares, then clones the init
 * process with CLONE_PARENT, which makes it a child of the runtime itself, and
 * exits. The init process returns from the constructor into Go.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/sched.h>
#include <sched.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "bootstrap.h"

static int is_stage;

int hull_is_stage(void)
{
	return is_stage;
}

static void report(enum hull_kind kind, enum hull_step step, unsigned int index, int error, int pid)
{
	struct hull_report r = {
		.kind = kind,
		.step = step,
		.index = index,
		.error = error,
		.pid = pid,
		.magic = HULL_MAGIC,
	};

	/* Nobody is left to be told if this fails. */
	if (send(HULL_LINK_FD, &r, sizeof(r), MSG_NOSIGNAL) < 0)
		_exit(1);
}

static void fail(enum hull_step step, unsigned int index)
{
	report(HULL_FAILED, step, index, errno, 0);
	_exit(1);
}

/*
 * Receives the bootstrap and its descriptors. They are close-on-exec, and the
 * caller closes them too, so none can reach the container (CVE-2024-21626).
 */
static void receive(struct hull_bootstrap *b, int *fds)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int) * HULL_MAX_FDS)];
		struct cmsghdr align;
	} control;
	struct iovec iov = { .iov_base = b, .iov_len = sizeof(*b) };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	struct cmsghdr *c;
	size_t got = 0;
	ssize_t n;

	do {
		n = recvmsg(HULL_LINK_FD, &msg, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n == 0) /* the parent is gone */
		_exit(1);
	if (n < 0)
		fail(HULL_STEP_BOOTSTRAP, 0);
	c = CMSG_FIRSTHDR(&msg);
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
		got = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(fds, CMSG_DATA(c), got * sizeof(int));
	}
	errno = EPROTO;
	if (n != sizeof(*b) || b->magic != HULL_MAGIC || b->size != sizeof(*b) ||
	    (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) || b->joins > HULL_MAX_JOINS ||
	    got != (size_t)b->joins + !!b->has_cgroup + b->tasks + b->leaves)
		fail(HULL_STEP_BOOTSTRAP, 0);
}

/*
 * Takes ids in the user namespace that was just entered, if it has them:
 * EINVAL says that it does not, and the capabilities are ours all the same.
 */
static void become(uint32_t uid, uint32_t gid)
{
	if (syscall(SYS_setresgid, gid, gid, gid) < 0 && errno != EINVAL)
		fail(HULL_STEP_BECOME_ROOT, 0);
	if (syscall(SYS_setresuid, uid, uid, uid) < 0 && errno != EINVAL)
		fail(HULL_STEP_BECOME_ROOT, 0);
}

/*
 * Joins the given namespaces. With a user namespace among them there are two
 * passes: namespaces that the caller's privileges reach are joined first, as
 * they need not belong to the user namespace; what needs the privileges that
 * the user namespace confers follows it.
 */
static void join(const struct hull_bootstrap *b, const int *fds)
{
	unsigned int user = HULL_MAX_JOINS, i;
	unsigned int pending = 0;

	for (i = 0; i < b->joins; i++)
		if (b->join[i] & CLONE_NEWUSER)
			user = i;
	for (i = 0; i < b->joins; i++) {
		if (i == user || !b->join[i] || setns(fds[i], (int)b->join[i]) == 0)
			continue;
		if (user == HULL_MAX_JOINS || errno != EPERM)
			fail(HULL_STEP_JOIN, i);
		pending |= 1u << i;
	}
	if (user == HULL_MAX_JOINS)
		return;
	if (setns(fds[user], (int)b->join[user]) < 0)
		fail(HULL_STEP_JOIN, user);
	become(b->uid, b->gid);
	for (i = 0; i < b->joins; i++)
		if ((pending & 1u << i) && setns(fds[i], (int)b->join[i]) < 0)
			fail(HULL_STEP_JOIN, i);
}

/*
 * Unshares what the parent has to set up from outside and waits until it has.
 * Only for a parent without privileges it is dumpable meanwhile: whoever is in
 * a user namespace that was joined may be able to trace it then.
 */
static void unshare_mapped(const struct hull_bootstrap *b)
{
	char go;
	ssize_t n;

	if (!b->mapped)
		return;
	if (unshare((int)b->mapped) < 0)
		fail(HULL_STEP_UNSHARE_MAPPED, 0);
	prctl(PR_SET_DUMPABLE, b->dumpable, 0, 0, 0);
	report(HULL_WANT_MAPS, 0, 0, 0, 0);
	do {
		n = recv(HULL_LINK_FD, &go, sizeof(go), 0);
	} while (n < 0 && errno == EINTR);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (n != sizeof(go))
		_exit(1);
	if (b->mapped & CLONE_NEWUSER)
		become(b->uid, b->gid);
}

/*
 * Clones the init process, into its cgroup where that is v2. The thread
 * library keeps the thread's id in memory: the kernel is asked to refresh it
 * there, as fork(3) would.
 */
static pid_t clone_init(const struct hull_bootstrap *b, int cgroup)
{
	struct clone_args args = { .flags = CLONE_PARENT | b->cloned };
	int *tid = NULL;

	if (cgroup >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)cgroup;
	}
	if (prctl(PR_GET_TID_ADDRESS, &tid, 0, 0, 0) == 0 && tid) {
		args.flags |= CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID;
		args.child_tid = (uint64_t)(uintptr_t)tid;
	}
	return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

/*
 * Moves this process into its cgroup v1 groups. A single thread that moves
 * itself through `tasks` takes no lock of the whole system, unlike a write of
 * a pid to cgroup.procs, which waits for an RCU grace period (Linux 5.4,
 * commit 9a3284fad42f "cgroup: Optimize single thread migration").
 *
 * The cgroup namespace comes after: from inside, to move in from outside is
 * ENOENT where v2 is mounted with nsdelegate (cgroup-v2.rst, "Delegation").
 */
static void enter_cgroups(const struct hull_bootstrap *b, const int *fds, const int *tasks)
{
	for (unsigned int i = 0; i < b->tasks; i++)
		if (write(tasks[i], "0", 1) != 1)
			fail(HULL_STEP_JOIN_CGROUP, i);
	if (b->late_join < b->joins && setns(fds[b->late_join], CLONE_NEWCGROUP) < 0)
		fail(HULL_STEP_JOIN_LATE, b->late_join);
	if (b->late && unshare((int)b->late) < 0)
		fail(HULL_STEP_UNSHARE_CGROUP, 0);
	for (unsigned int i = b->tasks; i < b->tasks + b->leaves; i++)
		if (write(tasks[i], "0", 1) != 1)
			fail(HULL_STEP_JOIN_CGROUP, i);
}

__attribute__((constructor)) static void nsexec(int argc, char **argv)
{
	struct hull_bootstrap b;
	int fds[HULL_MAX_FDS], *tasks, cgroup = -1;
	unsigned int count, i;
	pid_t pid;

	if (argc != 2 || strcmp(argv[0], HULL_INIT_ARGV0) != 0 ||
	    strcmp(argv[1], HULL_INIT_ARGV1) != 0)
		return;
	/* A container that we enter must not ptrace us or look into our
	 * descriptors (CVE-2016-9962); execve(2) ends it. */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	prctl(PR_SET_NAME, HULL_INIT_ARGV0, 0, 0, 0);
	receive(&b, fds);
	tasks = fds + b.joins;
	if (b.has_cgroup)
		cgroup = *tasks++;
	count = (unsigned int)(tasks - fds) + b.tasks + b.leaves;

	hull_reset_signals();
	join(&b, fds);
	unshare_mapped(&b);
	/* setresuid(2) and entering a user namespace make a process dumpable
	 * or not as they like (prctl(2)); the clone is what this one is. */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	pid = clone_init(&b, cgroup);
	if (pid < 0)
		fail(HULL_STEP_CLONE, 0);
	if (pid > 0) {
		report(HULL_BORN, 0, 0, 0, pid);
		/* The link ends when the init process lets go of it. */
		close(HULL_LINK_FD);
		if (b.stays)
			pause();
		_exit(0);
	}
	enter_cgroups(&b, fds, tasks);
	for (i = 0; i < count; i++)
		close(fds[i]);
	hull_keep_file_limit();
	is_stage = 1;
}

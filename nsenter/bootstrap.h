/*
 * What crosses between Go and the C stage, defined once: Go uses these types
 * through cgo. Everything is in host byte order and of fixed size; both ends
 * check magic and size.
 */
#ifndef HULL_BOOTSTRAP_H
#define HULL_BOOTSTRAP_H

#include <stdint.h>

/* argv of the stage: what the constructor recognises itself by. */
#define HULL_INIT_ARGV0 "hull:init"
#define HULL_INIT_ARGV1 "init"

/* The descriptor on which the stage finds its end of the link. */
#define HULL_LINK_FD 3

#define HULL_MAGIC 0x6c6c7568u

/* At most eight namespaces, one cgroup v2 directory, cgroup v1 hierarchies
 * (to join or to leave for). */
#define HULL_MAX_JOINS 8
#define HULL_MAX_TASKS 32
#define HULL_MAX_FDS (HULL_MAX_JOINS + 1 + HULL_MAX_TASKS)

/*
 * Parent to stage, one datagram. Its descriptors come in this order: joins,
 * then the cgroup directory if has_cgroup, then the tasks files, then those to
 * leave for.
 */
struct hull_bootstrap {
	uint32_t magic;
	uint32_t size;
	/* CLONE_NEWUSER and CLONE_NEWTIME: unshared first, since the parent
	 * must then write the maps and the clock offsets. */
	uint64_t mapped;
	/* CLONE_NEW* for the clone that makes the init process. */
	uint64_t cloned;
	/* CLONE_NEWCGROUP, or 0: unshared once the process is in its cgroup, so
	 * that this cgroup becomes the root of the namespace. */
	uint64_t late;
	/* setns(2) types, one for each join; several bits if it is a pidfd, none
	 * if it is for late_join alone. */
	uint64_t join[HULL_MAX_JOINS];
	uint32_t joins;
	uint32_t has_cgroup;
	uint32_t tasks;
	/* The join whose cgroup namespace is entered once the process is in its
	 * cgroup, or HULL_MAX_JOINS. */
	uint32_t late_join;
	/* Who sets the container up: 0, or an id that the new user namespace has. */
	uint32_t uid;
	uint32_t gid;
	/* Whether the files in /proc that the parent writes must be the user's
	 * and not root's, which is what those of a process that is not dumpable
	 * are (proc(5)). */
	uint32_t dumpable;
	/* The tasks files that the process writes to last, when its namespace has
	 * its root: cgroups with more room than its own. */
	uint32_t leaves;
	/* Whether the stage stays in the cgroup until it is killed. */
	uint32_t stays;
};

/* The first byte of a report; the kinds of package link stay below. */
enum hull_kind {
	HULL_WANT_MAPS = 0xf0,
	HULL_BORN = 0xf1,
	HULL_FAILED = 0xf2,
};

/* What was being done when it failed. Go has the words for each. */
enum hull_step {
	HULL_STEP_BOOTSTRAP = 1,
	HULL_STEP_JOIN,
	HULL_STEP_UNSHARE_MAPPED,
	HULL_STEP_BECOME_ROOT,
	HULL_STEP_CLONE,
	HULL_STEP_JOIN_CGROUP,
	HULL_STEP_UNSHARE_CGROUP,
	HULL_STEP_JOIN_LATE,
};

/* Stage to parent, one datagram. */
struct hull_report {
	uint8_t kind;
	uint8_t step;
	uint16_t index; /* of the join or the tasks file */
	int32_t error; /* errno */
	int32_t pid; /* of the init process, with HULL_BORN */
	uint32_t magic;
};

/* Whether this process is an init stage that the constructor has prepared. */
int hull_is_stage(void);

/* RLIMIT_NOFILE of a stage, kept before the Go runtime raises it. */
void hull_keep_file_limit(void);
void hull_file_limit(uint64_t *soft, uint64_t *hard);

/* Gives the calling process the signals of a fresh one. */
void hull_reset_signals(void);

#endif

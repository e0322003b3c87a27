/*
 * What concerns the process itself and not its namespaces.
 */
#define _GNU_SOURCE
#include <malloc.h>
#include <signal.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bootstrap.h"

static struct rlimit file_limit;

void hull_keep_file_limit(void)
{
	getrlimit(RLIMIT_NOFILE, &file_limit);
}

void hull_file_limit(uint64_t *soft, uint64_t *hard)
{
	*soft = file_limit.rlim_cur;
	*hard = file_limit.rlim_max;
}

/*
 * Gives the program the signals of a fresh process, whatever the caller blocks
 * and ignores: execve(2) keeps both. Handlers of the Go runtime, which come
 * later, end with execve(2).
 */
void hull_reset_signals(void)
{
	/* All zero is SIG_DFL in the kernel's struct. The C library's own call
	 * would spare two signals that it uses itself. */
	char action[64] = { 0 };
	sigset_t none;

	for (int sig = 1; sig < _NSIG; sig++)
		syscall(SYS_rt_sigaction, sig, action, NULL, _NSIG / 8); /* not KILL and STOP */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/*
 * The C library gives each thread that allocates an arena of its own, at the
 * cost of four system calls and 64 MiB of address space. The threads of the Go
 * runtime allocate next to nothing there: one arena is enough for all.
 */
__attribute__((constructor)) static void use_one_arena(void)
{
	mallopt(M_ARENA_MAX, 1);
}

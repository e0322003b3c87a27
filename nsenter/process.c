/*
 * What concerns the process itself and not its namespaces.
 */
#define _GNU_SOURCE
#include <malloc.h>
#include <signal.h>
#include <stddef.h>

#include "bootstrap.h"

/*
 * Gives the program the signals of a fresh process, whatever the caller blocks
 * and ignores: execve(2) keeps both. Handlers of the Go runtime, which come
 * later, end with execve(2).
 */
void hull_reset_signals(void)
{
	struct sigaction action = { .sa_handler = SIG_DFL };
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		sigaction(sig, &action, NULL); /* refused for KILL and STOP */
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

/*
 * What the Go runtime keeps from os/signal, a handler in C can still pass on.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/types.h>

#include "passon.h"

/* 0 while there is nobody to pass them on to. */
static volatile pid_t receiver;
static volatile sig_atomic_t pending[_NSIG];

static void pass(int sig)
{
	int saved = errno;
	pid_t pid = receiver;

	if (pid > 0)
		kill(pid, sig);
	else
		pending[sig] = 1;
	errno = saved;
}

void hull_catch(int sig)
{
	/* The Go runtime's threads have small stacks, and one for signals. */
	struct sigaction action = { .sa_handler = pass, .sa_flags = SA_ONSTACK | SA_RESTART };

	sigaction(sig, &action, NULL);
}

void hull_pass_to(int pid)
{
	receiver = pid;
	if (pid == 0)
		return;
	for (int sig = 1; sig < _NSIG; sig++) {
		if (!pending[sig])
			continue;
		pending[sig] = 0;
		kill(pid, sig);
	}
}

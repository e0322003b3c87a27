#include <seccomp.h>

/*
 * libseccomp asks the kernel, with nine seccomp(2) calls, which actions and
 * flags it has, when it is first used; the Go bindings use it at package
 * initialisation, so every process that links them pays, also those that
 * never compile a filter. Level 6 is what Linux 5.7 has (seccomp_api_get(3)),
 * and the runtime needs a newer kernel anyway. A libseccomp that does not know
 * the level refuses it and asks as before.
 */
__attribute__((constructor)) static void assume_kernel(void)
{
	(void)seccomp_api_set(6);
}

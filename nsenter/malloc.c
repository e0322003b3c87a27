/*
 * The C library gives each thread that allocates an arena of its own, at the
 * cost of four system calls and 64 MiB of address space. The threads of the Go
 * runtime allocate next to nothing there: one arena is enough for all.
 */
#include <malloc.h>

__attribute__((constructor)) static void use_one_arena(void)
{
	mallopt(M_ARENA_MAX, 1);
}

#define _DEFAULT_SOURCE
// The program of the measured containers, and the meter of their memory.
//   payload              ends at once
//   payload wait         waits for a signal
//   payload peak CMD...  runs CMD and prints the peak of its resident memory in
//                        KiB; a small parent, because a child's figure starts
//                        with that of the process it was forked from

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static int peak(char **argv)
{
	struct rusage usage;
	int status;
	pid_t pid = fork();

	if (pid < 0)
		return 1;
	if (pid == 0) {
		// A container that stays must not hold the meter's pipe.
		dup2(open("/dev/null", O_WRONLY), STDOUT_FILENO);
		execv(argv[0], argv);
		_exit(127);
	}
	if (wait4(pid, &status, 0, &usage) < 0)
		return 1;
	printf("%ld\n", usage.ru_maxrss);
	return status != 0;
}

int main(int argc, char **argv)
{
	if (argc > 2 && strcmp(argv[1], "peak") == 0)
		return peak(argv + 2);
	if (argc > 1)
		pause();
	return 0;
}

/*
 * clock.c
 *		Moves the time of day of whoever is started with it by the seconds in
 *		CLOCK_FILE. Clocks that only go forward are left alone.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

int
gettimeofday(struct timeval *restrict tv, void *restrict tz)
{
	struct timespec now;
	char		text[32] = "";
	int			fd = open(CLOCK_FILE, O_RDONLY | O_CLOEXEC);

	(void) tz;
	if (fd >= 0)
	{
		(void) !read(fd, text, sizeof(text) - 1);
		(void) close(fd);
	}
	(void) clock_gettime(CLOCK_REALTIME, &now);
	tv->tv_sec = now.tv_sec + atol(text);
	tv->tv_usec = now.tv_nsec / 1000;
	return 0;
}

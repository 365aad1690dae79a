/*
 * names.c
 *		Names for the tests, preloaded into a server: shop.test is this
 *		machine, and the name server of silent.test never answers. All other
 *		names are looked up as ever.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <string.h>
#include <unistd.h>

int
getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **result)
{
	int			(*real) (const char *, const char *, const struct addrinfo *, struct addrinfo **);

	*(void **) &real = dlsym(RTLD_NEXT, "getaddrinfo");
	while (node != NULL && strcmp(node, "silent.test") == 0)
		pause();
	return real(node != NULL && strcmp(node, "shop.test") == 0 ? "127.0.0.1" : node, service, hints, result);
}

/*
 * redis_url.c
 *		Reading storesync.redis_url. Pure: no PostgreSQL, no hiredis.
 */
#include "redis.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_PORT	6379
#define LAST_DATABASE	16383

/* number reads all of a text as a number from least to most; -1 for anything else. */
static int
number(const char *text, int least, int most)
{
	int			value = 0;

	if (text[0] == '\0' || strlen(text) > 5 || strspn(text, "0123456789") != strlen(text))
		return -1;
	value = atoi(text);
	return value < least || value > most ? -1 : value;
}

static bool
refuse(const char **complaint, const char *text)
{
	*complaint = text;
	return false;
}

static bool
is_address(const char *host)
{
	unsigned char bytes[16];

	return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

/* read_socket reads /PATH[?db=N], of a copy that may be cut up. */
static bool
read_socket(char *rest, RedisAddress *address, const char **complaint)
{
	char	   *query = strchr(rest, '?');

	if (query != NULL)
	{
		*query = '\0';
		if (strncmp(query + 1, "db=", 3) != 0 || (address->database = number(query + 4, 0, LAST_DATABASE)) < 0)
			return refuse(complaint, "After a socket's path there may be ?db=NUMBER alone.");
	}
	if (rest[0] != '/' || strlen(rest) >= REDIS_HOST_BYTES)
		return refuse(complaint, "The path of a socket is absolute, and shorter than 108 bytes.");
	strcpy(address->host, rest);
	return true;
}

/* read_host reads ADDRESS[:PORT][/N], of a copy that may be cut up. */
static bool
read_host(char *rest, RedisAddress *address, const char **complaint)
{
	char	   *path = strchr(rest, '/');
	char	   *host = rest;
	char	   *port;

	if (path != NULL)
	{
		*path = '\0';
		if (path[1] != '\0' && (address->database = number(path + 1, 0, LAST_DATABASE)) < 0)
			return refuse(complaint, "After the address there may be /NUMBER alone, which is the database.");
	}
	if (rest[0] == '[')
	{
		char	   *end = strchr(rest, ']');

		if (end == NULL)
			return refuse(complaint, "An IPv6 address stands in brackets.");
		*end = '\0';
		host = rest + 1;
		port = end + 1;
		if (*port != ':' && *port != '\0')
			return refuse(complaint, "After the address there may be :PORT.");
	}
	else
		port = rest + strcspn(rest, ":");
	address->port = *port == '\0' ? DEFAULT_PORT : number(port + 1, 1, 65535);
	*port = '\0';
	if (address->port < 0)
		return refuse(complaint, "A port is a number from 1 to 65535.");
	if (strcmp(host, "localhost") == 0)
		host = "127.0.0.1";
	if (strlen(host) >= REDIS_HOST_BYTES || !is_address(host))
		return refuse(complaint, "The host is an address in digits, or localhost: no name is looked up.");
	strcpy(address->host, host);
	return true;
}

bool
redis_read_url(const char *url, RedisAddress *address, const char **complaint)
{
	char		rest[256];

	memset(address, 0, sizeof(*address));
	if (strchr(url, '@') != NULL)
		return refuse(complaint, "User and password do not belong here, but into a file: storesync.redis_password_file.");
	if (strlen(url) >= sizeof(rest))
		return refuse(complaint, "It is longer than 255 bytes.");
	if (strncmp(url, "redis://", 8) == 0)
		return read_host(strcpy(rest, url + 8), address, complaint);
	if (strncmp(url, "unix:///", 8) == 0)
		return read_socket(strcpy(rest, url + 7), address, complaint);
	if (strncmp(url, "unix:/", 6) == 0)
		return read_socket(strcpy(rest, url + 5), address, complaint);
	return refuse(complaint, "It begins with redis:// or unix:/.");
}

bool
redis_is_local(const RedisAddress *address)
{
	return address->port == 0 || strncmp(address->host, "127.", 4) == 0 || strcmp(address->host, "::1") == 0;
}

/*
 * address.c
 *		Which addresses a call may go to.
 *
 * An operator may point a platform's base URL at any name, and who answers for
 * a name decides at every look-up what it stands for. So the address itself is
 * judged, at the moment of connecting. Public is what IANA's registries of
 * special-purpose addresses leave (RFC 6890); an IPv6 address that carries an
 * IPv4 address inside is what that one is.
 */
#include "address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Blocks of IPv4 that are no public host's. */
static const struct
{
	uint32_t	network;
	int			bits;
}			special[] = {
	{0x00000000, 8},			/* 0.0.0.0: this network */
	{0x0a000000, 8},			/* 10.0.0.0: private */
	{0x64400000, 10},			/* 100.64.0.0: between a provider and its customers */
	{0xa9fe0000, 16},			/* 169.254.0.0: link-local, clouds' metadata */
	{0xac100000, 12},			/* 172.16.0.0: private */
	{0xc0000000, 24},			/* 192.0.0.0: protocols */
	{0xc0000200, 24},			/* 192.0.2.0: documentation */
	{0xc0586300, 24},			/* 192.88.99.0: relays from IPv6, given up */
	{0xc0a80000, 16},			/* 192.168.0.0: private */
	{0xc6120000, 15},			/* 198.18.0.0: benchmarks */
	{0xc6336400, 24},			/* 198.51.100.0: documentation */
	{0xcb007100, 24},			/* 203.0.113.0: documentation */
	{0xe0000000, 3},			/* 224.0.0.0: multicast, reserved, broadcast */
};

static AddressScope
scope_v4(uint32_t address)
{
	if (address >> 24 == 127)
		return ADDRESS_LOOPBACK;
	for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++)
	{
		if ((address ^ special[i].network) >> (32 - special[i].bits) == 0)
			return ADDRESS_PRIVATE;
	}
	return ADDRESS_PUBLIC;
}

static uint32_t
v4_at(const uint8_t *bytes)
{
	return (uint32_t) bytes[0] << 24 | (uint32_t) bytes[1] << 16 | (uint32_t) bytes[2] << 8 | bytes[3];
}

/* scope_v6: global unicast is 2000::/3 alone, and of that not all. */
static AddressScope
scope_v6(const uint8_t *bytes)
{
	static const uint8_t loopback[16] = {[15] = 1};
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	static const uint8_t translated[12] = {0x00, 0x64, 0xff, 0x9b};

	if (memcmp(bytes, loopback, sizeof(loopback)) == 0)
		return ADDRESS_LOOPBACK;
	if (memcmp(bytes, mapped, sizeof(mapped)) == 0 || memcmp(bytes, translated, sizeof(translated)) == 0)
		return scope_v4(v4_at(bytes + 12));
	if (bytes[0] >> 5 != 1)
		return ADDRESS_PRIVATE;
	if (bytes[0] == 0x20 && bytes[1] == 0x02)	/* 2002::/16: 6to4 */
		return scope_v4(v4_at(bytes + 2));
	if (bytes[0] == 0x20 && bytes[1] == 0x01 &&
		(bytes[2] < 0x02 ||		/* 2001::/23: protocols, tunnels */
		 (bytes[2] == 0x0d && bytes[3] == 0xb8)))	/* 2001:db8::/32: documentation */
		return ADDRESS_PRIVATE;
	if (bytes[0] == 0x3f && bytes[1] == 0xff && bytes[2] >> 4 == 0) /* 3fff::/20: documentation */
		return ADDRESS_PRIVATE;
	return ADDRESS_PUBLIC;
}

AddressScope
address_scope(const struct sockaddr *address, socklen_t length)
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	if (address->sa_family == AF_INET && length >= sizeof(v4))
	{
		memcpy(&v4, address, sizeof(v4));
		return scope_v4(ntohl(v4.sin_addr.s_addr));
	}
	if (address->sa_family == AF_INET6 && length >= sizeof(v6))
	{
		memcpy(&v6, address, sizeof(v6));
		return scope_v6(v6.sin6_addr.s6_addr);
	}
	return ADDRESS_PRIVATE;
}

AddressScope
address_scope_text(const char *text)
{
	struct in_addr v4;
	struct in6_addr v6;

	if (inet_pton(AF_INET, text, &v4) == 1)
		return scope_v4(ntohl(v4.s_addr));
	if (inet_pton(AF_INET6, text, &v6) == 1)
		return scope_v6(v6.s6_addr);
	return ADDRESS_PRIVATE;
}

bool
url_names_loopback(const char *url)
{
	char		host[sizeof("255.255.255.255")];
	struct in_addr v4;
	size_t		authority;
	size_t		length;

	if (strncmp(url, "http://", 7) == 0)
		url += 7;
	else if (strncmp(url, "https://", 8) == 0)
		url += 8;
	else
		return false;
	authority = strcspn(url, "/?#");
	if (memchr(url, '@', authority) != NULL)
		return false;
	length = strcspn(url, *url == '[' ? "]" : ":/?#");
	length += url[length] == ']';
	if (length >= sizeof(host) || (length != authority && url[length] != ':'))
		return false;
	memcpy(host, url, length);
	host[length] = '\0';
	return strcmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0 ||
		(inet_pton(AF_INET, host, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127);
}

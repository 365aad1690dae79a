/*
 * address.h
 *		Where a call may go: which addresses are this machine's, which are the
 *		public internet's, and which URLs name this machine.
 *
 * Free of PostgreSQL and curl headers, no I/O, no state.
 */
#ifndef STORESYNC_ADDRESS_H
#define STORESYNC_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

typedef enum AddressScope
{
	ADDRESS_LOOPBACK,			/* this machine */
	ADDRESS_PRIVATE,			/* a network of somebody's, or no address of a host at all */
	ADDRESS_PUBLIC
} AddressScope;

extern AddressScope address_scope(const struct sockaddr *address, socklen_t length);
/* The same of an address as text, "192.0.2.1" or "2001:db8::1"; what is neither is private. */
extern AddressScope address_scope_text(const char *text);
/* Whether a URL's host is written as this machine: 127.0.0.0/8, localhost or [::1]; as storesync.is_loopback() has it. */
extern bool url_names_loopback(const char *url);

#endif

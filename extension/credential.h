/*
 * credential.h
 *		Secrets of stores and platform applications (docs/secrets.md). Never
 *		log them, never put them into an error text or the outbox.
 *
 * All of these need SPI connected, as the owner (ss_enter).
 */
#ifndef STORESYNC_CREDENTIAL_H
#define STORESYNC_CREDENTIAL_H

#include "storesync.h"

/* Longest value, in bytes. */
#define SS_MAX_CREDENTIAL	8192

/*
 * The value, or NULL when there is none; allocated in the context that was
 * current when SPI was connected.
 */
extern char *credential_get(int store_id, const char *name);
extern char *credential_get_app(const char *platform, const char *name);

/*
 * Store a value that a platform gave us (a refreshed token): checked, written
 * to the audit by its name, and told to the dispatcher like any other.
 */
extern void credential_put(int store_id, const char *name, const char *value);

#endif

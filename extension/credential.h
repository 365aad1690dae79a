/*
 * credential.h
 *		Secrets of stores and platform applications (docs/secrets.md). Never
 *		log them, never put them into an error text or the outbox.
 */
#ifndef STORESYNC_CREDENTIAL_H
#define STORESYNC_CREDENTIAL_H

#include "storesync.h"

/* Longest value, in bytes. */
#define SS_MAX_CREDENTIAL	8192

/*
 * Store a value that a platform gave us (a refreshed token): checked, written
 * to the audit by its name, and told to the dispatcher like any other. SPI
 * connected, as the owner (ss_enter).
 */
extern void credential_put(int store_id, const char *name, const char *value);

#endif

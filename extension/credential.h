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

/* The first act of whoever takes a secret: overwrite what shows the statement that carried it. */
extern void credential_hide(const char *shown);

/* The secret that an argument gives: the value itself, or what the file that it names holds (file:NAME). */
extern char *credential_given(const text *given);

/* Platform of a store; raises SS_ERR_UNKNOWN_STORE. SPI connected. */
extern char *credential_platform(int store_id);

/*
 * Store a secret of a store: checked, written to the audit by its name, and
 * told to the dispatcher. SPI connected, as the owner (ss_enter).
 */
extern void credential_put(int store_id, const char *name, const char *value);

#endif

/*
 * outbox.h
 *		Writing the outbox from C, and waking its readers at commit.
 */
#ifndef STORESYNC_OUTBOX_H
#define STORESYNC_OUTBOX_H

#include "storesync.h"

typedef enum OutboxKind
{
	OUTBOX_STOCK,
	OUTBOX_LISTING,
	OUTBOX_STORE,
	OUTBOX_PLATFORM,
	OUTBOX_ORDER,
	OUTBOX_TASK
} OutboxKind;

/*
 * Append n rows of one kind in this transaction: subjects[i] changed, now at
 * versions[i] (0 where the kind has none). SPI connected, as the owner.
 * The dispatcher is woken at commit, as the statement trigger on the table
 * does for rows that applications insert by themselves.
 */
extern void outbox_append(OutboxKind kind, int n, const int64 *subjects, const int64 *versions);

/* Number of this database's life, cached per backend (incarnation.c). SPI connected, as the owner. */
extern int	incarnation_current(void);

#endif

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
	OUTBOX_TASK,
	OUTBOX_SALE
} OutboxKind;

/*
 * Append n rows of one kind in this transaction: subjects[i] changed, now at
 * versions[i] (0 where the kind has none). SPI connected, as the owner.
 * The dispatcher is woken at commit, as the statement trigger on the table
 * does for rows that applications insert by themselves.
 */
extern void outbox_append(OutboxKind kind, int n, const int64 *subjects, const int64 *versions);

/*
 * The same for SKUs whose stock changed, with what else the transaction
 * changed in sales (sale.h; NULL: nothing), which goes with the last of the
 * rows. Without any it has a row of its own.
 */
extern void outbox_append_sale(int n, const int64 *subjects, const int64 *versions, const bytea *sale);

/* Number of this database's life, cached per backend (incarnation.c). SPI connected, as the owner. */
extern int	incarnation_current(void);
/* The life in which the data came here: all later ones were begun by promotions, and acknowledgements of any of them compare. */
extern int	incarnation_origin(void);
/* Whether this cluster came out of a backup while the tables, which are of 1.0, have no place to confirm that in. */
extern bool incarnation_unconfirmable(void);

#endif

/*
 * shown.h
 *		Rows of listing_shown changed without a statement.
 */
#ifndef STORESYNC_SHOWN_H
#define STORESYNC_SHOWN_H

#include "storesync.h"

#include "set.h"

/*
 * Mark what calls are about to say: rows of (listing_id, quantity). A listing
 * without a row has never been acknowledged, and is passed over. False: not
 * for this table, use a statement. SPI connected, as the owner.
 */
extern bool shown_sending(const SsSet *sending);

/*
 * Note acknowledgements: rows of (listing_id, quantity, version, incarnation,
 * sent_at, written_at, item_id, model_id). Those of listings that have no row
 * yet are added to `rest`, which has the same columns. False: nothing was
 * done, use a statement. SPI connected, as the owner.
 */
extern bool shown_acks(const SsSet *acks, SsSet *rest);

#endif

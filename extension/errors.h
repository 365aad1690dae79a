/*
 * errors.h
 *		SQLSTATEs of storesync's own, class SS; docs/errors.md lists them with
 *		the standard ones that its functions raise.
 */
#ifndef STORESYNC_ERRORS_H
#define STORESYNC_ERRORS_H

#include "utils/elog.h"

#define SS_ERR_UNKNOWN_SKU			MAKE_SQLSTATE('S','S','0','0','1')
#define SS_ERR_UNKNOWN_STORE		MAKE_SQLSTATE('S','S','0','0','2')
#define SS_ERR_UNKNOWN_LOCATION		MAKE_SQLSTATE('S','S','0','0','3')
#define SS_ERR_UNKNOWN_LISTING		MAKE_SQLSTATE('S','S','0','0','4')
#define SS_ERR_UNKNOWN_PLATFORM		MAKE_SQLSTATE('S','S','0','0','5')
#define SS_ERR_UNKNOWN_ORDER		MAKE_SQLSTATE('S','S','0','0','6')
#define SS_ERR_UNKNOWN_TASK			MAKE_SQLSTATE('S','S','0','0','7')
#define SS_ERR_UNKNOWN_LINE			MAKE_SQLSTATE('S','S','0','0','8')
#define SS_ERR_UNKNOWN_CHANGE		MAKE_SQLSTATE('S','S','0','0','9')

/* the key was used for another request */
#define SS_ERR_KEY_REUSED			MAKE_SQLSTATE('S','S','1','0','1')
/* the key's time is older than storesync.key_horizon */
#define SS_ERR_KEY_EXPIRED			MAKE_SQLSTATE('S','S','1','0','2')
/* the key's time, or an event's, is more than a day ahead of the clock */
#define SS_ERR_TIME_AHEAD			MAKE_SQLSTATE('S','S','1','0','3')

/* quantity is zero, negative or beyond SS_MAX_QTY */
#define SS_ERR_BAD_QUANTITY			MAKE_SQLSTATE('S','S','2','0','1')
/* release, ship or restock of more than the holder has */
#define SS_ERR_NOT_HELD				MAKE_SQLSTATE('S','S','2','0','2')
/* an append-only table was to be changed */
#define SS_ERR_APPEND_ONLY			MAKE_SQLSTATE('S','S','2','0','3')

/* a bundle was to be moved: its stock is that of its components */
#define SS_ERR_BUNDLE				MAKE_SQLSTATE('S','S','2','0','4')
/* a SKU cannot be a bundle of these components */
#define SS_ERR_BAD_BUNDLE			MAKE_SQLSTATE('S','S','2','0','5')
/* go_live(): a listing was never read back, or its SKU never counted */
#define SS_ERR_NOT_READY			MAKE_SQLSTATE('S','S','2','0','6')
/* undo(): no field has the value any more that the transaction gave it */
#define SS_ERR_NOTHING_TO_UNDO		MAKE_SQLSTATE('S','S','2','0','7')

/* the documents are no JSON array, or too many or too large */
#define SS_ERR_BAD_DOCUMENT			MAKE_SQLSTATE('S','S','3','0','1')
/* a task's kind or payload is not known */
#define SS_ERR_BAD_TASK				MAKE_SQLSTATE('S','S','3','0','2')

/* not in shared_preload_libraries, or no slot left in shared memory */
#define SS_ERR_NOT_PRELOADED		MAKE_SQLSTATE('S','S','4','0','1')
#define SS_ERR_TOO_MANY_STORES		MAKE_SQLSTATE('S','S','4','0','2')
/* credentials: unknown name, unreadable file, unsafe URL */
#define SS_ERR_BAD_CREDENTIAL		MAKE_SQLSTATE('S','S','4','0','3')
#define SS_ERR_BAD_URL				MAKE_SQLSTATE('S','S','4','0','4')

/* a price below the listing's floor */
#define SS_ERR_PRICE_FLOOR			MAKE_SQLSTATE('S','S','5','0','1')
/* a price that changes by more than the store's max_price_change, and is not forced */
#define SS_ERR_PRICE_CHANGE			MAKE_SQLSTATE('S','S','5','0','2')
/* a campaign of a listing that has no price to come back to */
#define SS_ERR_NO_PRICE				MAKE_SQLSTATE('S','S','5','0','3')

/* the cache did not answer in time, or answered with an error */
#define SS_ERR_CACHE_AWAY			MAKE_SQLSTATE('S','S','6','0','1')

#endif

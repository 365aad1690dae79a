/*
 * ledger.h
 *		What other files need of the movements.
 */
#ifndef STORESYNC_LEDGER_H
#define STORESYNC_LEDGER_H

#include "storesync.h"

#include "answer.h"
#include "stock.h"

/* Ids of a SKU with stock of its own and a location. Raises SS_ERR_UNKNOWN_SKU, _UNKNOWN_LOCATION, _BUNDLE. SPI connected. */
extern void ledger_resolve(text *sku, text *location, int64 *sku_id, int32 *location_id);

/* Raises 22004 when an argument is null; `what` names it. */
extern void ledger_check_not_null(FunctionCallInfo fcinfo, int argument, const char *what);

/* An argument's reference, '' for NULL. Raises 22023 when it is too long. */
extern text *ledger_reference(FunctionCallInfo fcinfo, int argument);

/* Raises SS_ERR_BAD_QUANTITY when a balance would leave what sums can carry. */
extern void ledger_check_bounds(const StockPlace *place, int64 on_hand_delta, int64 reserved_delta);

/* The answer of a movement: how the place stands now. */
extern void ledger_answer(Answer *answer, const StockPlace *place, bool insufficient);

/*
 * Units on hand after the last movement recorded up to a moment, 0 before the
 * first of all. False: before the first that is kept. SPI connected.
 */
extern bool ledger_on_hand_at(int64 sku_id, int32 location_id, TimestampTz at, int64 *units);

#endif

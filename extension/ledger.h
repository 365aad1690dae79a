/*
 * ledger.h
 *		What other files need of the movements.
 */
#ifndef STORESYNC_LEDGER_H
#define STORESYNC_LEDGER_H

#include "storesync.h"

/* Ids of a SKU and a location by their codes. Raises SS_ERR_UNKNOWN_SKU, SS_ERR_UNKNOWN_LOCATION. SPI connected. */
extern void ledger_resolve(text *sku, text *location, int64 *sku_id, int32 *location_id);

#endif

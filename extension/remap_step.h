/*
 * remap_step.h
 *		Between the files of remap_step() alone: remap.c takes the step,
 *		remap_moves.c knows where goods were, remap_write.c writes.
 */
#ifndef STORESYNC_REMAP_STEP_H
#define STORESYNC_REMAP_STEP_H

#include "storesync.h"

#include "ids.h"
#include "remap.h"
#include "sale.h"

/*
 * Make the places where the new SKU, or what it is made of, was in truth when
 * the old one was sent or came back.
 */
extern void remap_make_places(const RemapTo *to, int norders, const int64 *order_ids, const IdList *skus,
							  TimestampTz since);
/* What the lines of the orders have sent and taken back, sorted by order and line; and into `to` the counts of the SKUs held. */
extern RemapMove *remap_read_moves(RemapTo *to, int norders, const int64 *order_ids, TimestampTz since, int *n);
/* The first of a line's moves; *n says how many follow each other. */
extern const RemapMove *remap_moves_of(const RemapMove *moves, int nmoves, const LoneLine *lone, int *n);

/*
 * Write n lines as they stand now, and tell whoever follows them; `sales` names
 * their orders. Returns the names of the places that have to be counted, text[].
 */
extern Datum remap_write(const RemapTo *to, int64 listing_id, LoneLine *lones, int n, SaleMove *sales);

/* Columns of the rows of the statement just executed, none of them null. */
static inline int64
remap_int8(int row, int column)
{
	bool		isnull;

	return DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, &isnull));
}

static inline int32
remap_int4(int row, int column)
{
	bool		isnull;

	return DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, &isnull));
}

static inline text *
remap_text(int row, int column)
{
	bool		isnull;

	return DatumGetTextPCopy(SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, &isnull));
}

static inline TimestampTz
remap_time(int row, int column)
{
	return (TimestampTz) remap_int8(row, column);
}

#endif

/*
 * ship_read.h
 *		What canonical documents say of shipping and cancelling.
 *
 * Free of PostgreSQL headers. Documents are those that a codec has made.
 */
#ifndef STORESYNC_SHIP_READ_H
#define STORESYNC_SHIP_READ_H

#include <stdbool.h>
#include <stdint.h>

#include "arena.h"

typedef struct ShipLine
{
	const char *line_id;
	const char *item_id;		/* "" where none is said, as model_id */
	const char *model_id;
	int64_t		live;			/* units that are not cancelled */
	bool		cancelled;		/* nothing of it is to be shipped */
	bool		shipped;		/* it is under way, or further */
} ShipLine;

typedef struct ShipOrder
{
	const char *order_sn;
	bool		understood;		/* false: there is no such order, or it cannot be read */
	bool		cancelled;		/* all of it */
	bool		shipped;		/* all that is not cancelled */
	bool		arranged;		/* the platform has been told that it is shipped; not collected yet */
	bool		in_cancel;		/* a cancellation has been asked for */
	ShipLine   *lines;
	int			n_lines;
} ShipOrder;

/* The orders of a JSON array of documents; *n is 0 when it is none, or memory is short. */
extern ShipOrder *ship_read(const char *documents, Arena *arena, int *n);

/* The order, or line, of a name; NULL for none. */
extern const ShipOrder *ship_find(const ShipOrder *orders, int n, const char *order_sn);
extern const ShipLine *ship_find_line(const ShipOrder *order, const char *line_id);

#endif

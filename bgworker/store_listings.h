/*
 * store_listings.h
 *		Where the reading of a store's catalogue stands (listings.c).
 */
#ifndef STORESYNC_STORE_LISTINGS_H
#define STORESYNC_STORE_LISTINGS_H

#include "storesync.h"

#include "platform.h"

/* An item whose models have to be asked for. */
typedef struct ListedItem
{
	char	   *item_id;
	char	   *name;			/* "" where it was not told */
} ListedItem;

/* Lives in its DispatchStore. Zeroed: nothing is read. */
typedef struct StoreListings
{
	enum
	{
		LISTINGS_NONE,
		LISTINGS_PAGE,			/* the next call asks for a page of the shop's list */
		LISTINGS_ITEMS,			/* for items of the page */
		LISTINGS_MODELS,		/* for the models of one of them */
		LISTINGS_DONE,			/* until the task has looked */
		LISTINGS_FAILED			/* likewise */
	}			phase;
	int64		run;			/* the task */
	bool		flying;
	TimestampTz due;			/* of the next call */
	int			failures;		/* in a row */
	bool		listed;			/* the list of what is on sale; then that of the rest */
	int			unread;			/* items that could not be read */
	MemoryContext context;		/* of the page; NULL: none was ever needed */
	char	   *cursor;			/* of the page */
	char	   *next_cursor;	/* NULL: it is the last */
	char	  **item_ids;		/* of the page */
	int			n_items;
	int			n_read;
	int			alone_until;	/* items before this index are read one by one */
	ListedItem *models;			/* of the page */
	int			n_models;
	int			n_models_read;
	OutcomeClass class;			/* of LISTINGS_FAILED */
	char		reason[120];
	char	   *attempt;		/* of LISTINGS_FAILED, in `context` */
} StoreListings;

#endif

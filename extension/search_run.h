/*
 * search_run.h
 *		Which orders of a packed run may have what is looked for.
 */
#ifndef STORESYNC_SEARCH_RUN_H
#define STORESYNC_SEARCH_RUN_H

#include "search.h"

#define SEARCH_WORDS	(SEARCH_RUN / 64)

/* Adds the ordinals of orders whose own text may have the fragment; `lists` is a bytea, read in parts. */
extern void search_run_text(Datum lists, const SearchText *fragment, uint64_t *set);

/* Adds those of orders with lines of any of n SKUs, given as sorted postings of any ordinal. */
extern void search_run_skus(Datum lists, const SearchPosting *skus, int n, uint64_t *set);

#endif

/*
 * search.h
 *		Text of the database as searches see it, for the functions of
 *		sql/81_search.sql.
 */
#ifndef STORESYNC_SEARCH_H
#define STORESYNC_SEARCH_H

#include "storesync.h"

#include "search_lists.h"

/* Characters of a text, folded. */
typedef struct SearchText
{
	uint32_t   *characters;
	int			n;
	uint32_t	room[128];		/* where a short text lies */
} SearchText;

/* Folds a text of the database's encoding; what is longer than a code lies in the current memory context. */
extern void search_text(SearchText *folded, const text *value);

/*
 * The same for what somebody looks for, without spaces at either end. Raises
 * 22004 for NULL, 22023 when it is shorter than SEARCH_LEAST or longer than
 * SS_MAX_TEXT.
 */
extern void search_fragment(SearchText *folded, const text *value);

/* Raises 22023 unless 1 <= max <= SEARCH_MOST. */
#define SEARCH_MOST		1000
extern void search_check_max(int32 max);

/* Grams of a fragment, as storesync.search_grams() has them of a text: an int[]. */
extern Datum search_fragment_grams(const SearchText *fragment);

#endif

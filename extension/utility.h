/*
 * utility.h
 *		Statements that need a database without sessions.
 */
#ifndef STORESYNC_UTILITY_H
#define STORESYNC_UTILITY_H

/* From _PG_init, when preloaded: sets the hook. */
extern void utility_init(void);

#endif

/*
 * version.h
 *		Which release the SQL objects of this database are of.
 *
 * The library is installed for a whole cluster, its SQL objects are upgraded
 * database by database afterwards. So the library runs with those of earlier
 * releases, too: whoever reads or writes something newer than 1.0 asks
 * ss_sql_has() first, and does without.
 */
#ifndef STORESYNC_VERSION_H
#define STORESYNC_VERSION_H

#include "storesync.h"

/* A release as one number that grows: SS_RELEASE(1, 10) > SS_RELEASE(1, 9). */
#define SS_RELEASE(major, minor) ((major) * 1000 + (minor))

#define SS_SQL_1_0	SS_RELEASE(1, 0)
#define SS_SQL_1_1	SS_RELEASE(1, 1)

/* The library's own: SS_LIBRARY_MAJOR and SS_LIBRARY_MINOR come from storesync.control. */
#define SS_LIBRARY	SS_RELEASE(SS_LIBRARY_MAJOR, SS_LIBRARY_MINOR)

/*
 * The release of this database's SQL objects, 0 where the extension is not
 * installed. In a transaction; costs nothing until a function is made or
 * changed somewhere in the database. In mid-upgrade, for the script's own
 * calls, it is the new one already.
 */
extern PGDLLEXPORT int ss_sql_version(void);

/* Whether they are at least of that release: if (ss_sql_has(SS_SQL_1_1)) ... */
static inline bool
ss_sql_has(int release)
{
	return ss_sql_version() >= release;
}

/* What ss_sql_version() said last, and whether it would have to look again; outside of a transaction, too. */
extern PGDLLEXPORT int ss_sql_known(void);
extern PGDLLEXPORT bool ss_sql_maybe_changed(void);

/* A release as text, "1.1"; palloc'd. */
extern PGDLLEXPORT char *ss_release_text(int release);

#endif

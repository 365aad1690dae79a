/*
 * version.c
 *		Which release the SQL objects of this database are of (version.h).
 *
 * pg_extension says so, and nothing tells of its changes. But no release comes
 * without a change of functions, of which the syscache does tell: in the same
 * transaction, so whoever hears of it sees the extension's row as well. The
 * number is kept until then.
 */
#include "storesync.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_extension.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "version.h"

PG_FUNCTION_INFO_V1(library_version);

static bool changed = true;		/* since `known` was read */
static int	known = 0;

static void
function_changed(Datum argument, int cache, uint32 hash)
{
	changed = true;
}

/* release_number reads "1.1"; what follows two numbers is left alone. 0: no release. */
static int
release_number(const char *text)
{
	unsigned int major;
	unsigned int minor;

	if (sscanf(text, "%3u.%3u", &major, &minor) != 2)
		return 0;
	return SS_RELEASE((int) major, (int) minor);
}

/* look returns what pg_extension says now. */
static int
look(void)
{
	Relation	extensions = table_open(ExtensionRelationId, AccessShareLock);
	int			release = 0;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	row;
	bool		is_null;

	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ, CStringGetDatum("storesync"));
	scan = systable_beginscan(extensions, ExtensionNameIndexId, true, NULL, 1, &key);
	row = systable_getnext(scan);
	if (HeapTupleIsValid(row))
		release = release_number(TextDatumGetCString(heap_getattr(row, Anum_pg_extension_extversion,
																   RelationGetDescr(extensions), &is_null)));
	systable_endscan(scan);
	table_close(extensions, AccessShareLock);
	return release;
}

int
ss_sql_version(void)
{
	static bool listening = false;

	if (!listening)
	{
		CacheRegisterSyscacheCallback(PROCOID, function_changed, (Datum) 0);
		listening = true;
	}
	/* again when told of a change in the middle of the look */
	while (changed)
	{
		changed = false;
		known = look();
	}
	return known;
}

int
ss_sql_known(void)
{
	return known;
}

bool
ss_sql_maybe_changed(void)
{
	return changed;
}

char *
ss_release_text(int release)
{
	return psprintf("%d.%d", release / 1000, release % 1000);
}

/* library_version() -> text: the release of the library that this session has loaded. */
Datum
library_version(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(ss_release_text(SS_LIBRARY)));
}

/*
 * rows.c
 *		What the direct way to tables (rows.h) keeps about them for the life of
 *		the backend, and how it learns that none of it holds any more.
 *
 * One counter, the epoch, stands for all of it: it rises with each
 * invalidation of a relation that was looked at, of any function, enum and
 * role. What was found out under another epoch is found out again. An
 * invalidation is seen at the latest when a lock on the relation is taken,
 * so look at the epoch after the lock.
 */
#include "storesync.h"

#include "access/table.h"
#include "catalog/namespace.h"
#include "commands/sequence.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "partitioning/partbounds.h"
#include "partitioning/partdesc.h"
#include "storage/lmgr.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/partcache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "rows.h"

static uint64 epoch = 0;		/* 0: not listening yet */
static HTAB *tracked = NULL;

static void
relation_changed(Datum arg, Oid relation)
{
	if (!OidIsValid(relation) || hash_search(tracked, &relation, HASH_FIND, NULL) != NULL)
		epoch++;
}

static void
catalog_changed(Datum arg, int cache, uint32 hash)
{
	epoch++;
}

/* listen starts to count changes, once in a backend. */
static void
listen_to_changes(void)
{
	HASHCTL		info = {.keysize = sizeof(Oid), .entrysize = sizeof(Oid)};

	tracked = hash_create("storesync tables", 64, &info, HASH_ELEM | HASH_BLOBS);
	CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(PROCOID, catalog_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(ENUMOID, catalog_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHOID, catalog_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHMEMROLEMEM, catalog_changed, (Datum) 0);
	epoch = 1;
}

uint64
rows_epoch(void)
{
	if (epoch == 0)
		listen_to_changes();
	return epoch;
}

void
rows_track(Oid relation)
{
	(void) rows_epoch();
	(void) hash_search(tracked, &relation, HASH_ENTER, NULL);
}

/* look_up finds the relation's OID again when something has changed. */
static void
look_up(RowsName *name)
{
	if (name->epoch == rows_epoch())
		return;
	name->oid = get_relname_relid(name->name, get_namespace_oid("storesync", false));
	if (!OidIsValid(name->oid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation \"storesync.%s\" does not exist", name->name)));
	rows_track(name->oid);
	name->epoch = epoch;
}

Relation
rows_open_relation(RowsName *name, LOCKMODE mode)
{
	for (;;)
	{
		look_up(name);
		LockRelationOid(name->oid, mode);
		if (name->epoch == epoch)
			return table_open(name->oid, NoLock);
		UnlockRelationOid(name->oid, mode); /* something changed while we waited */
	}
}

int64
rows_next_value(RowsName *sequence)
{
	look_up(sequence);
	return nextval_internal(sequence->oid, true);
}

Oid
rows_partition(Relation parent, Datum value)
{
	PartitionKey key = RelationGetPartitionKey(parent);
	PartitionDesc partitions = RelationGetPartitionDesc(parent, true);
	bool		is_equal;
	int			bound;
	int			index;

	if (partitions->nparts == 0)
		return InvalidOid;
	bound = partition_range_datum_bsearch(key->partsupfunc, key->partcollation, partitions->boundinfo,
										  1, &value, &is_equal);
	index = partitions->boundinfo->indexes[bound + 1];
	return index >= 0 && partitions->is_leaf[index] ? partitions->oids[index] : InvalidOid;
}

bool
rows_statements_wanted(void)
{
	return ExecutorCheckPerms_hook != NULL || SessionReplicationRole != SESSION_REPLICATION_ROLE_ORIGIN;
}

int
rows_columns(Relation rel, const char *columns, AttrNumber *attnums)
{
	const char *at = columns;
	int			n = 0;

	while (*at != '\0')
	{
		size_t		length = strcspn(at, ",");
		char		name[NAMEDATALEN];

		Assert(n < SET_MAX_COLUMNS);
		strlcpy(name, at, Min(length + 1, sizeof(name)));
		attnums[n++] = get_attnum(RelationGetRelid(rel), name);
		at += length;
		at += strspn(at, ", ");
	}
	return n;
}

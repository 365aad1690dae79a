/*
 * rows_path.c
 *		Decides whether, and by which index, rows of a table are found without
 *		a statement (rows.h).
 *
 * A table with row security, inheritance children, without the right to read
 * it, or without the index is read by a statement. Which index serves is found
 * out once for each partition.
 */
#include "storesync.h"

#include "access/genam.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "catalog/pg_am.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/partcache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "rows_last.h"
#include "rows_path.h"

bool
rows_table_fits(const RowsLookup *lookup, Relation rel)
{
	AclMode		rights = lookup->locks ? ACL_SELECT | ACL_UPDATE : ACL_SELECT;
	char		kind = rel->rd_rel->relkind;

	return !rel->rd_rel->relrowsecurity &&
		((kind == RELKIND_PARTITIONED_TABLE && RelationGetPartitionKey(rel)->partnatts == 1 &&
		  RelationGetPartitionKey(rel)->strategy == PARTITION_STRATEGY_RANGE) || (kind == RELKIND_RELATION && !rel->rd_rel->relhassubclass)) &&
		pg_class_aclmask(RelationGetRelid(rel), GetUserId(), rights, ACLMASK_ALL) == rights &&
		(lookup->delete_trigger == NULL || rows_may_delete(lookup, rel));
}

/* has_predicate tells whether the index holds just the rows that the look-up asks for. */
static bool
has_predicate(const RowsLookup *lookup, Relation index)
{
	bool		isnull;
	Datum		stored = SysCacheGetAttr(INDEXRELID, index->rd_indextuple, Anum_pg_index_indpred, &isnull);
	Datum		printed;

	if (isnull || lookup->predicate == NULL)
		return isnull && lookup->predicate == NULL;
	printed = DirectFunctionCall2(pg_get_expr, stored, ObjectIdGetDatum(index->rd_index->indrelid));
	return strcmp(TextDatumGetCString(printed), lookup->predicate) == 0;
}

/* index_serves: in use, and on the very columns of the look-up; unique and whole unless that says otherwise. */
static bool
index_serves(const RowsLookup *lookup, Relation rel, Relation index)
{
	Form_pg_index form = index->rd_index;

	if (index->rd_rel->relam != BTREE_AM_OID || !(form->indisunique || lookup->many) || !form->indisvalid ||
		form->indnkeyatts != lookup->nkeys || !has_predicate(lookup, index) ||
		(form->indcheckxmin && !TransactionIdPrecedes(HeapTupleHeaderGetXmin(index->rd_indextuple->t_data),
													  TransactionXmin)))
		return false;
	for (int k = 0; k < lookup->nkeys; k++)
		if (form->indkey.values[k] != get_attnum(RelationGetRelid(rel), lookup->keys[k]) ||
			form->indkey.values[k] == 0 || (index->rd_indoption[k] & INDOPTION_DESC) != 0)
			return false;
	return true;
}

/* prepare_key makes a condition on column k of the index. */
static void
prepare_key(Relation index, int k, StrategyNumber strategy, ScanKeyData *key)
{
	Oid			type = index->rd_opcintype[k];
	Oid			operator = get_opfamily_member(index->rd_opfamily[k], type, type, strategy);

	ScanKeyEntryInitialize(key, 0, k + 1, strategy, InvalidOid, index->rd_indcollation[k],
						   get_opcode(operator), (Datum) 0);
}

/* prepare_keys makes the index's conditions, and says what may be remembered of its rows. */
static void
prepare_keys(const RowsLookup *lookup, Relation rel, Relation index, RowsPath *path)
{
	MemoryContext old = MemoryContextSwitchTo(CacheMemoryContext);

	path->heap = rel->rd_tableam == GetHeapamTableAmRoutine();
	path->remembers = lookup->settled && !lookup->many && path->heap;
	for (int k = 0; k < lookup->nkeys; k++)
	{
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), index->rd_index->indkey.values[k] - 1);

		prepare_key(index, k, BTEqualStrategyNumber, &path->keys[k]);
		path->key_attnums[k] = att->attnum;
		path->key_lengths[k] = att->attlen;
		path->remembers &= att->attbyval || att->attlen == -1;
	}
	prepare_key(index, lookup->nkeys - 1, BTGreaterEqualStrategyNumber, &path->from);
	rows_last_prepare(index, lookup->nkeys, path->compare);
	MemoryContextSwitchTo(old);
}

/* make_path finds out how a relation, which is open and locked, is looked into. */
static RowsPath *
make_path(RowsLookup *lookup, Relation rel)
{
	RowsPath   *path = MemoryContextAllocZero(CacheMemoryContext, sizeof(RowsPath));
	List	   *indexes = RelationGetIndexList(rel);
	ListCell   *cell;
	int			n = rows_columns(rel, lookup->columns, path->attnums);

	rows_track(RelationGetRelid(rel));
	path->relation = RelationGetRelid(rel);
	foreach(cell, indexes)
	{
		Relation	index = index_open(lfirst_oid(cell), AccessShareLock);

		rows_track(RelationGetRelid(index));
		if (!OidIsValid(path->index) && index_serves(lookup, rel, index))
		{
			path->index = RelationGetRelid(index);
			prepare_keys(lookup, rel, index, path);
		}
		index_close(index, AccessShareLock);
	}
	for (int c = 0; c < n; c++)
	{
		if (path->attnums[c] <= 0)
			path->index = InvalidOid;
		else
		{
			Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), path->attnums[c] - 1);

			path->lengths[c] = att->attlen;
			path->byval[c] = att->attbyval;
		}
	}
	path->next = lookup->paths;
	lookup->paths = path;
	return path;
}

void
rows_forget_paths(RowsLookup *lookup)
{
	while (lookup->paths != NULL)
	{
		RowsPath   *path = lookup->paths;

		lookup->paths = path->next;
		rows_memo_forget(&path->places);
		pfree(path);
	}
}

RowsPath *
rows_path(RowsLookup *lookup, Relation rel)
{
	RowsPath   *path;

	for (path = lookup->paths; path != NULL; path = path->next)
		if (path->relation == RelationGetRelid(rel))
			break;
	if (path == NULL)
		path = make_path(lookup, rel);
	return OidIsValid(path->index) ? path : NULL;
}

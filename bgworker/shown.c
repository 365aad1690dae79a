/*
 * shown.c
 *		What every call changes twice: its listings' rows in listing_shown,
 *		before it leaves and when it is acknowledged.
 *
 * A statement over arrays of ids spends more on its plan than on the rows,
 * and its plan is kept: one made while the table was small may read all of it
 * for every round. So rows are found by the primary key, locked in their
 * newest version and changed by the routines with which PostgreSQL applies
 * logical replication; they see to indexes, constraints and the replica
 * identity. A table with triggers, rules or row security is for statements
 * (docs/direct.md).
 */
#include "shown.h"

#include "access/table.h"
#include "access/xact.h"
#include "executor/executor.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "rows.h"

/* Columns that are read or written here, in the order of the names below. */
enum
{
	SHOWN_LISTING, SHOWN_QTY, SHOWN_VERSION, SHOWN_INCARNATION, SHOWN_SENT_AT, SHOWN_WRITTEN_AT,
	SHOWN_DOUBT, SHOWN_SENDING, SHOWN_REVISION, SHOWN_COLUMNS
};
static const char *const column_names[] = {
	"listing_id", "acked_qty", "acked_version", "acked_incarnation", "sent_at", "written_at",
	"doubt_qty", "sending_qty", "acked_revision"
};

/* Columns of the set of acknowledgements, behind those that are named alike. */
#define ACK_ITEM	6
#define ACK_MODEL	7
#define ACK_REVISION	8

/* The table, open for changes. */
typedef struct Shown
{
	Relation	rel;
	Oid			key;			/* index */
	AttrNumber	attnums[SHOWN_COLUMNS];
	EState	   *estate;
	ResultRelInfo *info;
	EPQState	unused;			/* for triggers, of which there are none */
	TupleTableSlot *search;
	TupleTableSlot *row;		/* as it is, locked */
	TupleTableSlot *changed;
} Shown;

/* table_fits says whether nothing is there that only a statement honours, and finds columns and key. */
static bool
table_fits(Shown *shown)
{
	Relation	rel = shown->rel;
	Oid			relid = RelationGetRelid(rel);
	const AclMode rights = ACL_SELECT | ACL_UPDATE;
	Relation	index;
	bool		fits;

	if (rel->rd_rel->relkind != RELKIND_RELATION || rel->rd_rel->relhassubclass || rel->rd_rel->relrowsecurity ||
		rel->trigdesc != NULL || rel->rd_rules != NULL ||
		pg_class_aclmask(relid, GetUserId(), rights, ACLMASK_ALL) != rights)
		return false;
	for (int c = 0; c < SHOWN_COLUMNS; c++)
	{
		shown->attnums[c] = get_attnum(relid, column_names[c]);
		if (shown->attnums[c] <= 0)
			return false;
	}
	(void) RelationGetIndexList(rel);
	shown->key = rel->rd_pkindex;
	if (!OidIsValid(shown->key))
		return false;
	index = index_open(shown->key, RowExclusiveLock);
	fits = index->rd_index->indnkeyatts == 1 && index->rd_index->indkey.values[0] == shown->attnums[SHOWN_LISTING];
	index_close(index, NoLock);
	return fits;
}

static bool
open_shown(Shown *shown)
{
	static RowsName name = {"listing_shown"};

	memset(shown, 0, sizeof(Shown));
	if (rows_statements_wanted())
		return false;
	shown->rel = rows_open_relation(&name, RowExclusiveLock);
	if (!table_fits(shown))
	{
		table_close(shown->rel, NoLock);
		return false;
	}
	shown->estate = CreateExecutorState();
	shown->info = makeNode(ResultRelInfo);
	InitResultRelInfo(shown->info, shown->rel, 0, NULL, 0);
	ExecOpenIndices(shown->info, false);
	shown->search = MakeSingleTupleTableSlot(RelationGetDescr(shown->rel), &TTSOpsVirtual);
	shown->row = table_slot_create(shown->rel, NULL);
	shown->changed = MakeSingleTupleTableSlot(RelationGetDescr(shown->rel), &TTSOpsVirtual);
	return true;
}

/* close_shown lets the statements that follow see what was changed. */
static void
close_shown(Shown *shown)
{
	ExecDropSingleTupleTableSlot(shown->changed);
	ExecDropSingleTupleTableSlot(shown->row);
	ExecDropSingleTupleTableSlot(shown->search);
	ExecCloseIndices(shown->info);
	FreeExecutorState(shown->estate);
	table_close(shown->rel, NoLock);
	CommandCounterIncrement();
}

/* find_row locks the listing's row and makes a copy to be changed; false when there is none. */
static bool
find_row(Shown *shown, Datum listing_id)
{
	int			natts = RelationGetDescr(shown->rel)->natts;
	int			key = shown->attnums[SHOWN_LISTING] - 1;

	ExecClearTuple(shown->search);
	memset(shown->search->tts_isnull, true, sizeof(bool) * natts);
	shown->search->tts_values[key] = listing_id;
	shown->search->tts_isnull[key] = false;
	ExecStoreVirtualTuple(shown->search);
	if (!RelationFindReplTupleByIndex(shown->rel, shown->key, LockTupleNoKeyExclusive, shown->search, shown->row))
		return false;
	slot_getallattrs(shown->row);
	ExecClearTuple(shown->changed);
	memcpy(shown->changed->tts_values, shown->row->tts_values, sizeof(Datum) * natts);
	memcpy(shown->changed->tts_isnull, shown->row->tts_isnull, sizeof(bool) * natts);
	ExecStoreVirtualTuple(shown->changed);
	return true;
}

static Datum
get_column(const Shown *shown, int column)
{
	return shown->row->tts_values[shown->attnums[column] - 1];
}

static void
set_column(Shown *shown, int column, Datum value)
{
	shown->changed->tts_values[shown->attnums[column] - 1] = value;
	shown->changed->tts_isnull[shown->attnums[column] - 1] = false;
}

static void
set_null(Shown *shown, int column)
{
	shown->changed->tts_isnull[shown->attnums[column] - 1] = true;
}

/* write_row puts the changed copy in the place of the row found. */
static void
write_row(Shown *shown)
{
	ExecSimpleRelationUpdate(shown->info, shown->estate, &shown->unused, shown->row, shown->changed);
	ResetPerTupleExprContext(shown->estate);
}

bool
shown_sending(const SsSet *sending)
{
	Shown		shown;

	if (sending->rows == 0)
		return true;
	if (!open_shown(&shown))
		return false;
	for (int i = 0; i < sending->rows; i++)
		if (find_row(&shown, sending->values[0][i]))
		{
			set_column(&shown, SHOWN_SENDING, sending->values[1][i]);
			write_row(&shown);
		}
	close_shown(&shown);
	return true;
}

/* acknowledge changes the row found. A version acknowledged never falls within an incarnation. */
static void
acknowledge(Shown *shown, const SsSet *acks, int i)
{
	int64		version = DatumGetInt64(acks->values[SHOWN_VERSION][i]);

	if (DatumGetInt32(get_column(shown, SHOWN_INCARNATION)) == DatumGetInt32(acks->values[SHOWN_INCARNATION][i]))
		version = Max(version, DatumGetInt64(get_column(shown, SHOWN_VERSION)));
	set_column(shown, SHOWN_QTY, acks->values[SHOWN_QTY][i]);
	set_column(shown, SHOWN_VERSION, Int64GetDatum(version));
	set_column(shown, SHOWN_INCARNATION, acks->values[SHOWN_INCARNATION][i]);
	set_column(shown, SHOWN_SENT_AT, acks->values[SHOWN_SENT_AT][i]);
	set_column(shown, SHOWN_WRITTEN_AT, acks->values[SHOWN_WRITTEN_AT][i]);
	set_column(shown, SHOWN_REVISION, acks->values[ACK_REVISION][i]);
	set_null(shown, SHOWN_DOUBT);
	set_null(shown, SHOWN_SENDING);
	write_row(shown);
}

static bool
same_text(Datum a, Datum b)
{
	const text *left = DatumGetTextPP(a);
	const text *right = DatumGetTextPP(b);

	return VARSIZE_ANY_EXHDR(left) == VARSIZE_ANY_EXHDR(right) &&
		memcmp(VARDATA_ANY(left), VARDATA_ANY(right), VARSIZE_ANY_EXHDR(left)) == 0;
}

/* stands_for_it: an answer about an item that the listing no longer stands for says nothing about it. */
static bool
stands_for_it(RowsScan *listings, const SsSet *acks, int i)
{
	Datum		key = acks->values[SHOWN_LISTING][i];
	bool		isnull;

	return rows_find(listings, 1, &key) &&
		same_text(rows_get(listings, 0, &isnull), acks->values[ACK_ITEM][i]) &&
		same_text(rows_get(listings, 1, &isnull), acks->values[ACK_MODEL][i]);
}

bool
shown_acks(const SsSet *acks, SsSet *rest)
{
	static RowsLookup lookup = {
		.name = {"listing"}, .nkeys = 1, .keys = {"listing_id"}, .columns = "item_id, model_id", .settled = true
	};
	RowsScan	listings;
	Shown		shown;

	if (acks->rows == 0)
		return true;
	if (!open_shown(&shown))
		return false;
	if (!rows_open(&listings, &lookup, false))
	{
		close_shown(&shown);
		return false;
	}
	for (int i = 0; i < acks->rows; i++)
	{
		Datum		values[SET_MAX_COLUMNS];

		if (!stands_for_it(&listings, acks, i))
			continue;
		if (find_row(&shown, acks->values[SHOWN_LISTING][i]))
		{
			acknowledge(&shown, acks, i);
			continue;
		}
		for (int c = 0; c < acks->columns; c++)
			values[c] = acks->values[c][i];
		set_add(rest, values, NULL);
	}
	rows_close(&listings);
	close_shown(&shown);
	return true;
}

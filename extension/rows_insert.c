/*
 * rows_insert.c
 *		Inserts rows straight into heap and indexes, or by a statement where
 *		rows_target.c says so (rows.h).
 */
#include "storesync.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "executor/executor.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "rows_target.h"

/* Rows that go to the heap in one go. */
#define INSERT_BATCH		100

/* route finds the partition of a row: InvalidOid when there is none, or none that takes rows itself. */
static Oid
route(Relation parent, const RowsTable *table, const SsSet *set, int row)
{
	int			column = table->partition_column;

	if (parent->rd_rel->relkind == RELKIND_RELATION)
		return RelationGetRelid(parent);
	return set->nulls[column][row] ? InvalidOid : rows_partition(parent, set->values[column][row]);
}

/* ---------------------------------------------------------------- inserting */

/* fill_slot stores a row of the set as the relation has its columns. */
static void
fill_slot(TupleTableSlot *slot, RowsTarget *target, const SsSet *set, int row)
{
	int			natts = slot->tts_tupleDescriptor->natts;

	ExecClearTuple(slot);
	memset(slot->tts_values, 0, sizeof(Datum) * natts);
	memset(slot->tts_isnull, true, sizeof(bool) * natts);
	for (int c = 0; c < set->columns; c++)
	{
		Datum		value = set->values[c][row];
		int			to = target->attnums[c] - 1;

		if (set->nulls[c][row])
			continue;
		if (OidIsValid(target->enums[c]))
			value = ObjectIdGetDatum(rows_enum_value(target, target->enums[c],
													 (const text *) DatumGetPointer(value)));
		slot->tts_values[to] = value;
		slot->tts_isnull[to] = false;
	}
	ExecStoreVirtualTuple(slot);
	if (target->info->ri_RelationDesc->rd_att->constr != NULL)
		ExecConstraints(target->info, slot, target->estate);
	rows_open_partial(target, slot);
}

/* insert_batch inserts rows `from` to `to` - 1, which belong to the target. */
static void
insert_batch(RowsTarget *target, const SsSet *set, int from, int to)
{
	Relation	rel = target->info->ri_RelationDesc;
	TupleTableSlot *slots[INSERT_BATCH];
	int			n = to - from;

	for (int i = 0; i < n; i++)
	{
		slots[i] = table_slot_create(rel, NULL);
		fill_slot(slots[i], target, set, from + i);
	}
	if (n == 1)
		table_tuple_insert(rel, slots[0], GetCurrentCommandId(true), 0, NULL);
	else
		table_multi_insert(rel, slots, n, GetCurrentCommandId(true), 0, NULL);
	for (int i = 0; i < n; i++)
	{
		(void) SsInsertIndexTuples(target->info, slots[i], target->estate, false, NULL);
		ResetPerTupleExprContext(target->estate);
		ExecDropSingleTupleTableSlot(slots[i]);
	}
}

/* insert_directly inserts as many rows as fit the direct way; returns the first that does not. */
static int
insert_directly(RowsTable *table, Relation parent, const SsSet *set)
{
	int			row = 0;

	while (row < set->rows)
	{
		Oid			relation = route(parent, table, set, row);
		RowsTarget *target;
		int			end = row;

		if (!OidIsValid(relation))
			break;
		target = rows_take_target(table, relation, set);
		while (target->direct && end < set->rows && end - row < INSERT_BATCH &&
			   (end == row || route(parent, table, set, end) == relation))
			end++;
		if (end > row)
			insert_batch(target, set, row, end);
		rows_give_back(table, target);
		if (end == row)
			break;
		row = end;
	}
	return row;
}

/* ---------------------------------------------------------------- by a statement */

/* statement builds the INSERT that takes a set as one array a column. */
static char *
statement(RowsTable *table, const SsSet *set, bool unless_taken)
{
	Relation	rel = rows_open_relation(&table->name, AccessShareLock);
	AttrNumber	attnums[SET_MAX_COLUMNS];
	StringInfoData sql;
	int			n = rows_columns(rel, table->columns, attnums);

	initStringInfo(&sql);
	appendStringInfo(&sql, "INSERT INTO storesync.%s (%s) SELECT ", table->name.name, table->columns);
	for (int c = 0; c < n; c++)
	{
		Oid			type = attnums[c] <= 0 ? set->types[c] :
			TupleDescAttr(RelationGetDescr(rel), attnums[c] - 1)->atttypid;

		appendStringInfo(&sql, "%su.c%d::%s", c > 0 ? ", " : "", c, format_type_be_qualified(type));
	}
	appendStringInfoString(&sql, " FROM unnest(");
	for (int c = 0; c < n; c++)
		appendStringInfo(&sql, "%s$%d", c > 0 ? ", " : "", c + 1);
	appendStringInfoString(&sql, ") WITH ORDINALITY AS u (");
	for (int c = 0; c < n; c++)
		appendStringInfo(&sql, "c%d, ", c);
	appendStringInfo(&sql, "ord) ORDER BY u.ord%s", unless_taken ? " ON CONFLICT DO NOTHING" : "");
	table_close(rel, NoLock);
	return sql.data;
}

/* insert_by_statement inserts all rows of a set; returns how many were not in conflict. */
static uint64
insert_by_statement(RowsTable *table, SsSet *set, bool unless_taken)
{
	Oid			relation = get_relname_relid(table->name.name, get_namespace_oid("storesync", false));

	if (table->planned_for != relation)
		table->plan = NULL;		/* the extension was dropped and made again */
	table->planned_for = relation;
	set_execute(&table->plan, table->plan == NULL ? statement(table, set, unless_taken) : "",
				SPI_OK_INSERT, set);
	return SPI_processed;
}

void
rows_insert(RowsTable *table, SsSet *set)
{
	Relation	parent;
	int			done = 0;

	if (set->rows == 0)
		return;
	parent = rows_open_table(table, set);
	if (parent != NULL)
	{
		done = insert_directly(table, parent, set);
		table_close(parent, NoLock);
		if (done > 0)
			CommandCounterIncrement();
		if (done > 0 && table->wakes)
			table->wake();
	}
	if (done < set->rows)
	{
		set_drop_rows(set, done);
		(void) insert_by_statement(table, set, false);
	}
	set->rows = 0;
}

/*
 * check_visible raises 40001 when the row that keeps ours out is one that the
 * transaction's snapshot does not show.
 */
static void
check_visible(Relation rel, ItemPointer tid)
{
	TupleTableSlot *slot;

	if (!IsolationUsesXactSnapshot())
		return;
	slot = table_slot_create(rel, NULL);
	if (!table_tuple_fetch_row_version(rel, tid, GetTransactionSnapshot(), slot))
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access due to concurrent update")));
	ExecDropSingleTupleTableSlot(slot);
}

/*
 * try_insert inserts a row unless a unique index says that its key is taken
 * or is just being taken; then nothing of it is left. The insertion is
 * speculative, as that of ON CONFLICT: a row deleted in the plain way would
 * stand in the index until the end of this transaction, and whoever puts the
 * same key there, be it by an update of his own row, would wait for us while
 * we wait for him.
 */
static bool
try_insert(RowsTarget *target, const SsSet *set, int row, TupleTableSlot *slot)
{
	Relation	rel = target->info->ri_RelationDesc;
	uint32		token = SpeculativeInsertionLockAcquire(GetCurrentTransactionId());
	bool		conflict = false;

	fill_slot(slot, target, set, row);
	table_tuple_insert_speculative(rel, slot, GetCurrentCommandId(true), 0, NULL, token);
	(void) SsInsertIndexTuples(target->info, slot, target->estate, true, &conflict);
	table_tuple_complete_speculative(rel, slot, token, !conflict);
	SpeculativeInsertionLockRelease(GetCurrentTransactionId());
	ResetPerTupleExprContext(target->estate);
	return !conflict;
}

/* insert_unless_taken inserts a row, or waits for who has its key and returns false when that stays so. */
static bool
insert_unless_taken(RowsTarget *target, const SsSet *set, int row, TupleTableSlot *slot)
{
	Relation	rel = target->info->ri_RelationDesc;
	ItemPointerData other;

	for (;;)
	{
		CHECK_FOR_INTERRUPTS();
		if (try_insert(target, set, row, slot))
			return true;
		fill_slot(slot, target, set, row);
		if (!SsCheckIndexConstraints(target->info, slot, target->estate, &other))
		{
			check_visible(rel, &other);
			return false;
		}
	}
}

/* insert_new_directly inserts as many rows as fit the direct way; returns the first that does not. */
static int
insert_new_directly(RowsTable *table, Relation parent, const SsSet *set, bool *inserted)
{
	int			row = 0;

	while (row < set->rows)
	{
		Oid			relation = route(parent, table, set, row);
		RowsTarget *target;
		TupleTableSlot *slot;
		bool		direct;

		if (!OidIsValid(relation))
			break;
		target = rows_take_target(table, relation, set);
		direct = target->direct;
		slot = table_slot_create(target->info->ri_RelationDesc, NULL);
		for (; direct && row < set->rows && route(parent, table, set, row) == relation; row++)
			inserted[row] = insert_unless_taken(target, set, row, slot);
		ExecDropSingleTupleTableSlot(slot);
		rows_give_back(table, target);
		if (!direct)
			break;
	}
	return row;
}

/* insert_new_by_statement inserts the set's rows from `row` on, one by one: a statement does not tell which it left out. */
static void
insert_new_by_statement(RowsTable *table, const SsSet *set, int row, bool *inserted)
{
	SsSet	   *one = set_create(set->columns, set->types, 1);

	for (; row < set->rows; row++)
	{
		one->rows = 0;
		set_add_row(one);
		for (int c = 0; c < set->columns; c++)
			if (!set->nulls[c][row])
				set_put(one, c, set->values[c][row]);
		inserted[row] = insert_by_statement(table, one, true) == 1;
	}
}

void
rows_insert_new(RowsTable *table, SsSet *set, bool *inserted)
{
	Relation	parent;
	int			done = 0;

	if (set->rows == 0)
		return;
	parent = rows_open_table(table, set);
	if (parent != NULL)
	{
		done = insert_new_directly(table, parent, set, inserted);
		table_close(parent, NoLock);
		if (done > 0)
			CommandCounterIncrement();
	}
	if (done < set->rows)
		insert_new_by_statement(table, set, done, inserted);
	set->rows = 0;
}

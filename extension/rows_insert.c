/*
 * rows_insert.c
 *		Inserts rows straight into heap and indexes (rows.h).
 *
 * table_fits() and target_fits() are the one decision: a table, or the
 * partition that a row belongs to, with anything in it that is not known here
 * gets its rows by a statement. Known are CHECK and NOT NULL constraints and
 * btree indexes of every kind, which PostgreSQL's own routines evaluate and
 * maintain.
 *
 * What those routines need (ResultRelInfo, EState, prepared expressions) is
 * kept for each partition from call to call. While it is used it belongs to
 * the transaction and is on no list: an error takes it away, and a nested
 * call makes one of its own.
 */
#include "storesync.h"

#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "partitioning/partbounds.h"
#include "partitioning/partdesc.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/partcache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "rows.h"

/* Rows that go to the heap in one go. */
#define INSERT_BATCH		100

/* One table or partition, ready to be inserted into. */
typedef struct RowsTarget
{
	struct RowsTarget *next;
	MemoryContext context;		/* holds all of it */
	Oid			relation;
	uint64		epoch;
	bool		direct;
	AttrNumber	attnums[SET_MAX_COLUMNS];	/* of the caller's columns */
	Oid			enums[SET_MAX_COLUMNS]; /* type of a column handed over as text, else InvalidOid */
	EState	   *estate;
	ResultRelInfo *info;
	int			nindexes;
	Oid		   *indexes;
} RowsTarget;

/* ---------------------------------------------------------------- the decision */

/* trigger_is_known: the statement trigger that the table's owner named, in its plain form. */
static bool
trigger_is_known(const RowsTable *table, const Trigger *trigger)
{
	return table->wake_trigger != NULL && TRIGGER_FOR_AFTER(trigger->tgtype) &&
		!TRIGGER_FOR_ROW(trigger->tgtype) && trigger->tgenabled == TRIGGER_FIRES_ON_ORIGIN &&
		trigger->tgqual == NULL && trigger->tgnewtable == NULL &&
		get_func_namespace(trigger->tgfoid) == get_namespace_oid("storesync", true) &&
		strcmp(get_func_name(trigger->tgfoid), table->wake_trigger) == 0;
}

/* triggers_fit: none fires on INSERT but the known one, of which *wakes tells. */
static bool
triggers_fit(const RowsTable *table, const TriggerDesc *triggers, bool rows_only, bool *wakes)
{
	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		const Trigger *trigger = &triggers->triggers[i];

		if (!TRIGGER_FOR_INSERT(trigger->tgtype) || trigger->tgenabled == TRIGGER_DISABLED ||
			(rows_only && !TRIGGER_FOR_ROW(trigger->tgtype)))
			continue;
		if (!trigger_is_known(table, trigger))
			return false;
		*wakes = true;
	}
	return true;
}

/* columns_fit: every column is either filled with a value of its very type or takes null by itself. */
static bool
columns_fit(Relation rel, const SsSet *set, const AttrNumber *attnums, int n)
{
	TupleDesc	desc = RelationGetDescr(rel);
	bool		filled[MaxHeapAttributeNumber] = {false};

	if (n != set->columns)
		return false;
	for (int c = 0; c < n; c++)
	{
		Form_pg_attribute att;

		if (attnums[c] <= 0)
			return false;
		att = TupleDescAttr(desc, attnums[c] - 1);
		if (att->atttypmod != -1 || att->attgenerated != '\0' || att->attidentity != '\0' ||
			(att->atttypid != set->types[c] &&
			 !(set->types[c] == TEXTOID && get_typtype(att->atttypid) == TYPTYPE_ENUM)))
			return false;
		filled[attnums[c] - 1] = true;
	}
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (!filled[i] && !att->attisdropped &&
			(att->atthasdef || att->attgenerated != '\0' || att->attidentity != '\0'))
			return false;
	}
	return true;
}

/* partitions_fit: none, or ranges of one column that is filled; which one is noted. */
static bool
partitions_fit(RowsTable *table, Relation rel, const AttrNumber *attnums, int n)
{
	PartitionKey key;

	if (rel->rd_rel->relkind == RELKIND_RELATION)
		return true;
	if (rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		return false;
	key = RelationGetPartitionKey(rel);
	if (key->strategy != PARTITION_STRATEGY_RANGE || key->partnatts != 1)
		return false;
	for (int c = 0; c < n; c++)
	{
		table->partition_column = c;
		if (attnums[c] == key->partattrs[0])
			return true;
	}
	return false;
}

static bool
table_fits(RowsTable *table, Relation rel, const SsSet *set)
{
	AttrNumber	attnums[SET_MAX_COLUMNS];
	int			n = rows_columns(rel, table->columns, attnums);

	table->wakes = false;
	return rel->rd_rules == NULL && !rel->rd_rel->relrowsecurity &&
		columns_fit(rel, set, attnums, n) && partitions_fit(table, rel, attnums, n) &&
		triggers_fit(table, rel->trigdesc, false, &table->wakes) &&
		pg_class_aclcheck(RelationGetRelid(rel), GetUserId(), ACL_INSERT) == ACLCHECK_OK;
}

static bool
target_fits(const RowsTable *table, const RowsTarget *target, Relation rel, const SsSet *set)
{
	bool		wakes;

	if (rel->rd_rel->relkind != RELKIND_RELATION ||
		!triggers_fit(table, rel->trigdesc, rel->rd_rel->relispartition, &wakes) ||
		(rel->rd_att->constr != NULL && rel->rd_att->constr->has_generated_stored))
		return false;
	for (int i = 0; i < target->info->ri_NumIndices; i++)
		if (target->info->ri_IndexRelationDescs[i]->rd_rel->relam != BTREE_AM_OID)
			return false;
	for (int c = 0; c < set->columns; c++)
		if (target->attnums[c] <= 0)
			return false;
	return true;
}

/* ---------------------------------------------------------------- targets */

static void
free_target(RowsTarget *target)
{
	FreeExecutorState(target->estate);
	MemoryContextDelete(target->context);
}

/* close_target gives back the relations of a target; the table's lock is kept, as the executor does. */
static void
close_target(RowsTarget *target)
{
	for (int i = 0; i < target->nindexes; i++)
	{
		index_close(target->info->ri_IndexRelationDescs[i], RowExclusiveLock);
		target->info->ri_IndexRelationDescs[i] = NULL;
	}
	table_close(target->info->ri_RelationDesc, NoLock);
	target->info->ri_RelationDesc = NULL;
}

/* give_back puts a target on the table's list for the next call, unless it has grown old meanwhile. */
static void
give_back(RowsTable *table, RowsTarget *target)
{
	close_target(target);
	if (target->epoch != rows_epoch())
	{
		free_target(target);
		return;
	}
	ResetPerTupleExprContext(target->estate);
	MemoryContextSetParent(target->context, CacheMemoryContext);
	target->next = table->targets;
	table->targets = target;
}

/* take_kept takes the target of a relation off the table's list, and away what has grown old. */
static RowsTarget *
take_kept(RowsTable *table, Oid relation)
{
	RowsTarget *found = NULL;
	RowsTarget **link = &table->targets;

	while (*link != NULL)
	{
		RowsTarget *target = *link;

		if (target->epoch != rows_epoch())
		{
			*link = target->next;
			free_target(target);
		}
		else if (found == NULL && target->relation == relation)
		{
			*link = target->next;
			found = target;
		}
		else
			link = &target->next;
	}
	if (found != NULL)
		MemoryContextSetParent(found->context, CurTransactionContext);
	return found;
}

/* make_target finds out about a relation, which is open and locked, and leaves its indexes open. */
static RowsTarget *
make_target(RowsTable *table, Relation rel, const SsSet *set)
{
	MemoryContext context = AllocSetContextCreate(CurTransactionContext, "storesync table", ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	RowsTarget *target = palloc0(sizeof(RowsTarget));

	rows_track(RelationGetRelid(rel));
	target->context = context;
	target->relation = RelationGetRelid(rel);
	target->epoch = rows_epoch();
	target->estate = CreateExecutorState();
	target->info = makeNode(ResultRelInfo);
	InitResultRelInfo(target->info, rel, 0, NULL, 0);
	ExecOpenIndices(target->info, true);
	target->nindexes = target->info->ri_NumIndices;
	target->indexes = palloc(sizeof(Oid) * Max(target->nindexes, 1));
	for (int i = 0; i < target->nindexes; i++)
	{
		target->indexes[i] = RelationGetRelid(target->info->ri_IndexRelationDescs[i]);
		rows_track(target->indexes[i]);
	}
	(void) rows_columns(rel, table->columns, target->attnums);
	target->direct = target_fits(table, target, rel, set);
	for (int c = 0; target->direct && c < set->columns; c++)
	{
		Oid			type = TupleDescAttr(RelationGetDescr(rel), target->attnums[c] - 1)->atttypid;

		target->enums[c] = type == set->types[c] ? InvalidOid : type;
	}
	MemoryContextSwitchTo(old);
	return target;
}

/* take_target opens the relation that a row belongs to, with its indexes, ready for inserts. */
static RowsTarget *
take_target(RowsTable *table, Oid relation, const SsSet *set)
{
	Relation	rel = table_open(relation, RowExclusiveLock);
	RowsTarget *target = take_kept(table, relation);

	if (target == NULL)
		return make_target(table, rel, set);
	target->info->ri_RelationDesc = rel;
	for (int i = 0; i < target->nindexes; i++)
		target->info->ri_IndexRelationDescs[i] = index_open(target->indexes[i], RowExclusiveLock);
	return target;
}

/* route finds the partition of a row: InvalidOid when there is none, or none that takes rows itself. */
static Oid
route(Relation parent, const RowsTable *table, const SsSet *set, int row)
{
	PartitionKey key;
	PartitionDesc partitions;
	int			column = table->partition_column;
	bool		is_equal;
	int			bound;
	int			index;

	if (parent->rd_rel->relkind == RELKIND_RELATION)
		return RelationGetRelid(parent);
	key = RelationGetPartitionKey(parent);
	partitions = RelationGetPartitionDesc(parent, true);
	if (partitions->nparts == 0 || set->nulls[column][row])
		return InvalidOid;
	bound = partition_range_datum_bsearch(key->partsupfunc, key->partcollation, partitions->boundinfo,
										  1, &set->values[column][row], &is_equal);
	index = partitions->boundinfo->indexes[bound + 1];
	return index >= 0 && partitions->is_leaf[index] ? partitions->oids[index] : InvalidOid;
}

/* ---------------------------------------------------------------- inserting */

/* fill_slot stores a row of the set as the relation has its columns. */
static void
fill_slot(TupleTableSlot *slot, const RowsTarget *target, const SsSet *set, int row)
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
			value = DirectFunctionCall2(enum_in, CStringGetDatum(TextDatumGetCString(value)),
										ObjectIdGetDatum(target->enums[c]));
		slot->tts_values[to] = value;
		slot->tts_isnull[to] = false;
	}
	ExecStoreVirtualTuple(slot);
	if (target->info->ri_RelationDesc->rd_att->constr != NULL)
		ExecConstraints(target->info, slot, target->estate);
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
		target = take_target(table, relation, set);
		while (target->direct && end < set->rows && end - row < INSERT_BATCH &&
			   (end == row || route(parent, table, set, end) == relation))
			end++;
		if (end > row)
			insert_batch(target, set, row, end);
		give_back(table, target);
		if (end == row)
			break;
		row = end;
	}
	return row;
}

/* open_table opens the table if its rows may be inserted directly, else returns NULL. */
static Relation
open_table(RowsTable *table, const SsSet *set)
{
	Relation	rel;

	if (rows_statements_wanted())
		return NULL;
	rel = rows_open_relation(&table->name, RowExclusiveLock);
	if (table->epoch != rows_epoch() || table->known_as != GetUserId())
	{
		table->epoch = rows_epoch();
		table->known_as = GetUserId();
		table->direct = table_fits(table, rel, set);
	}
	if (table->direct)
		return rel;
	table_close(rel, NoLock);
	return NULL;
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
	parent = open_table(table, set);
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
 * insert_unless_taken inserts a row and has the unique indexes tell, instead
 * of raising, that a key is taken. They tell the later of two only. Then the
 * row is taken back, and whoever may have the key is waited for. This costs
 * nothing when there is no conflict; a speculative insertion would cost a WAL
 * record each time.
 */
static bool
insert_unless_taken(RowsTarget *target, const SsSet *set)
{
	Relation	rel = target->info->ri_RelationDesc;
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	ItemPointerData other;
	bool		conflict = false;

	for (;;)
	{
		ItemPointerData mine;

		CHECK_FOR_INTERRUPTS();
		fill_slot(slot, target, set, 0);
		table_tuple_insert(rel, slot, GetCurrentCommandId(true), 0, NULL);
		mine = slot->tts_tid;
		conflict = false;
		(void) SsInsertIndexTuples(target->info, slot, target->estate, true, &conflict);
		CommandCounterIncrement();
		if (!conflict)
			break;
		simple_table_tuple_delete(rel, &mine, InvalidSnapshot);
		CommandCounterIncrement();
		fill_slot(slot, target, set, 0);
		if (!SsCheckIndexConstraints(target->info, slot, target->estate, &other))
		{
			check_visible(rel, &other);
			break;
		}
	}
	ExecDropSingleTupleTableSlot(slot);
	return !conflict;
}

bool
rows_insert_new(RowsTable *table, SsSet *set)
{
	Relation	parent = open_table(table, set);
	RowsTarget *target;
	Oid			relation;
	bool		direct = false;
	bool		inserted = false;

	Assert(set->rows == 1);
	if (parent != NULL)
	{
		relation = route(parent, table, set, 0);
		if (OidIsValid(relation))
		{
			target = take_target(table, relation, set);
			direct = target->direct;
			if (direct)
				inserted = insert_unless_taken(target, set);
			give_back(table, target);
		}
		table_close(parent, NoLock);
	}
	if (!direct)
		inserted = insert_by_statement(table, set, true) == 1;
	set->rows = 0;
	return inserted;
}

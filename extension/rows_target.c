/*
 * rows_target.c
 *		Decides whether rows may be inserted into a table directly, and keeps
 *		what that takes (rows_target.h).
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

#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/partcache.h"
#include "utils/rel.h"

#include "rows_target.h"

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
is_foreign(Oid function, void *unused)
{
	return function >= FirstNormalObjectId;
}

/* calls_foreign walks an expression. */
static bool
calls_foreign(Node *node, void *unused)
{
	return node != NULL && (check_functions_in_node(node, is_foreign, NULL) ||
							expression_tree_walker(node, calls_foreign, NULL));
}

/* has_foreign_code says whether an insert calls functions that may look names up by search_path. */
static bool
has_foreign_code(const ResultRelInfo *info)
{
	TupleConstr *constraints = info->ri_RelationDesc->rd_att->constr;

	for (int i = 0; constraints != NULL && i < constraints->num_check; i++)
		if (calls_foreign(stringToNode(constraints->check[i].ccbin), NULL))
			return true;
	for (int i = 0; i < info->ri_NumIndices; i++)
		if (calls_foreign((Node *) info->ri_IndexRelationInfo[i]->ii_Expressions, NULL) ||
			calls_foreign((Node *) info->ri_IndexRelationInfo[i]->ii_Predicate, NULL))
			return true;
	return false;
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
		if (target->info->ri_IndexRelationDescs[i] == NULL)
			continue;
		index_close(target->info->ri_IndexRelationDescs[i], RowExclusiveLock);
		target->info->ri_IndexRelationDescs[i] = NULL;
	}
	table_close(target->info->ri_RelationDesc, NoLock);
	target->info->ri_RelationDesc = NULL;
}

void
rows_give_back(RowsTable *table, RowsTarget *target)
{
	close_target(target);
	if (target->foreign_code)
		ss_unpin(&target->pin);
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
	target->foreign_code = has_foreign_code(target->info);
	for (int c = 0; target->direct && c < set->columns; c++)
	{
		Oid			type = TupleDescAttr(RelationGetDescr(rel), target->attnums[c] - 1)->atttypid;

		target->enums[c] = type == set->types[c] ? InvalidOid : type;
	}
	MemoryContextSwitchTo(old);
	return target;
}

RowsTarget *
rows_take_target(RowsTable *table, Oid relation, const SsSet *set)
{
	Relation	rel = table_open(relation, RowExclusiveLock);
	RowsTarget *target = take_kept(table, relation);

	if (target == NULL)
		target = make_target(table, rel, set);
	else
	{
		target->info->ri_RelationDesc = rel;
		for (int i = 0; i < target->nindexes; i++)
			if (target->info->ri_IndexRelationInfo[i]->ii_Predicate == NIL)
				target->info->ri_IndexRelationDescs[i] = index_open(target->indexes[i], RowExclusiveLock);
	}
	if (target->foreign_code)
		ss_pin(&target->pin);
	return target;
}

/*
 * Rows seldom belong to a partial index, and PostgreSQL passes over indexes
 * that are not open: those are neither locked nor opened. The lock on the
 * table keeps what was found out about them true.
 */
void
rows_open_partial(RowsTarget *target, TupleTableSlot *slot)
{
	ExprContext *context = GetPerTupleExprContext(target->estate);

	context->ecxt_scantuple = slot;
	for (int i = 0; i < target->nindexes; i++)
	{
		IndexInfo  *index = target->info->ri_IndexRelationInfo[i];

		if (target->info->ri_IndexRelationDescs[i] != NULL)
			continue;
		if (index->ii_PredicateState == NULL)
			index->ii_PredicateState = ExecPrepareQual(index->ii_Predicate, target->estate);
		if (ExecQual(index->ii_PredicateState, context))
			target->info->ri_IndexRelationDescs[i] = index_open(target->indexes[i], RowExclusiveLock);
	}
}

Oid
rows_enum_value(RowsTarget *target, Oid type, const text *name)
{
	int			length = (int) VARSIZE_ANY_EXHDR(name);
	RowsLabel  *label;

	for (label = target->labels; label != NULL; label = label->next)
		if (label->type == type && label->length == length && memcmp(label->name, VARDATA_ANY(name), length) == 0)
			return label->value;
	label = MemoryContextAlloc(target->context, sizeof(RowsLabel));
	label->type = type;
	label->length = length;
	text_to_cstring_buffer(name, label->name, sizeof(label->name));
	label->value = DatumGetObjectId(DirectFunctionCall2(enum_in, CStringGetDatum(label->name), ObjectIdGetDatum(type)));
	label->next = target->labels;
	target->labels = label;
	return label->value;
}

Relation
rows_open_table(RowsTable *table, const SsSet *set)
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

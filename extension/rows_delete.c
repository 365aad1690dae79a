/*
 * rows_delete.c
 *		Deletes a row that was found directly, without a statement (rows.h).
 *
 * rows_may_delete() is the decision: a table without the right, or with
 * anything that DELETE would set off and that is not known here, has its
 * rows found and deleted by statements.
 */
#include "storesync.h"

#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_trigger.h"
#include "executor/executor.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "rows.h"

/* trigger_is_known: the one that the look-up names, which refuses by storesync.refuse_change(). */
static bool
trigger_is_known(const RowsLookup *lookup, const Trigger *trigger)
{
	return strcmp(trigger->tgname, lookup->delete_trigger) == 0 && trigger->tgqual != NULL &&
		TRIGGER_FOR_ROW(trigger->tgtype) && trigger->tgenabled == TRIGGER_FIRES_ON_ORIGIN &&
		get_func_namespace(trigger->tgfoid) == get_namespace_oid("storesync", true) &&
		strcmp(get_func_name(trigger->tgfoid), "refuse_change") == 0;
}

bool
rows_may_delete(const RowsLookup *lookup, Relation rel)
{
	const TriggerDesc *triggers = rel->trigdesc;

	if (rel->rd_rel->relkind != RELKIND_RELATION || rel->rd_rules != NULL ||
		pg_class_aclcheck(RelationGetRelid(rel), GetUserId(), ACL_DELETE) != ACLCHECK_OK)
		return false;
	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		const Trigger *trigger = &triggers->triggers[i];

		if (TRIGGER_FOR_DELETE(trigger->tgtype) && trigger->tgenabled != TRIGGER_DISABLED &&
			!trigger_is_known(lookup, trigger))
			return false;
	}
	return true;
}

bool
rows_delete(RowsLookup *lookup, ItemPointerData at)
{
	RowsScan	scan;
	TM_FailureData failure;
	TM_Result	result;

	if (!rows_open(&scan, lookup, false))
		return false;
	CheckCmdReplicaIdentity(scan.heap, CMD_DELETE);
	result = table_tuple_delete(scan.heap, &at, GetCurrentCommandId(true), scan.snapshot,
								InvalidSnapshot, true, &failure, false);
	rows_close(&scan);
	if (result != TM_Ok && result != TM_Deleted)
		elog(ERROR, "unexpected result of deleting a row: %d", (int) result);
	if (result == TM_Deleted && IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access due to concurrent delete")));
	return true;
}

/*
 * audit.c
 *		The triggers that write what was changed in the catalogue to
 *		storesync.audit, in the transaction that changed it.
 *
 * Credentials have no such trigger, and no value of theirs may ever come here.
 */
#include "storesync.h"

#include "commands/trigger.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "transition.h"

PG_FUNCTION_INFO_V1(audit_change);

/* Columns that follow from others: a row in which nothing else changed is no change. */
static const char *const derived[] = {"revision", "shaped", "freed", NULL};

/*
 * Of each row that an UPDATE changed, its changed columns before and after.
 * Grouped, not joined: the plan is kept from the first change, mostly of one
 * row, and a join planned for one row is quadratic for an import. %s: the
 * column that names a row, the table; quoted.
 */
#define AUDIT_UPDATE \
	"INSERT INTO storesync.audit (action, subject, before, after) " \
	"SELECT 'update', concat(%s, ' ', x.name), d.before, d.after " \
	"FROM (SELECT v.data ->> %s AS name, array_agg(v.data ORDER BY v.place) AS versions " \
	"  FROM (SELECT 1 AS place, to_jsonb(b) AS data FROM before b UNION ALL SELECT 2, to_jsonb(a) FROM after a) v " \
	"  GROUP BY 1) x " \
	"CROSS JOIN LATERAL ( " \
	"  SELECT jsonb_object_agg(f.key, x.versions[1] -> f.key) AS before, jsonb_object_agg(f.key, f.value) AS after " \
	"  FROM jsonb_each(x.versions[2]) f " \
	"  WHERE f.key NOT IN ('revision', 'shaped', 'freed') AND f.value IS DISTINCT FROM x.versions[1] -> f.key) d " \
	"WHERE d.after IS NOT NULL"

#define AUDIT_DELETE \
	"INSERT INTO storesync.audit (action, subject, before) " \
	"SELECT 'delete', concat(%s, ' ', to_jsonb(b) ->> %s), to_jsonb(b) FROM before b"

/* The plan of one trigger: its transition tables have its table's columns. */
typedef struct AuditPlan
{
	Oid			trigger;		/* hash key */
	SPIPlanPtr	plan;
} AuditPlan;

static SPIPlanPtr *
plan_of(Oid trigger)
{
	static HTAB *plans = NULL;
	HASHCTL		control = {.keysize = sizeof(Oid), .entrysize = sizeof(AuditPlan), .hcxt = TopMemoryContext};
	AuditPlan  *entry;
	bool		found;

	if (plans == NULL)
		plans = hash_create("storesync audit", 16, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	entry = hash_search(plans, &trigger, HASH_ENTER, &found);
	if (!found)
		entry->plan = NULL;
	return &entry->plan;
}

/*
 * audit_change (AFTER UPDATE or DELETE, each statement, with transition tables
 * `before` and `after`; its argument is the column that names a row) writes
 * one audit row for each row that changed or went.
 */
Datum
audit_change(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	bool		updated;
	SsSession	session;
	char	   *table;
	char	   *name;

	if (!CALLED_AS_TRIGGER(fcinfo) || trigger->tg_trigger->tgnargs != 1)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function was not called by a trigger with one argument")));
	updated = TRIGGER_FIRED_BY_UPDATE(trigger->tg_event);
	if (updated && !transition_differs(trigger, derived))
		return PointerGetDatum(NULL);
	table = quote_literal_cstr(RelationGetRelationName(trigger->tg_relation));
	name = quote_literal_cstr(trigger->tg_trigger->tgargs[0]);
	ss_enter(&session, "audit_change()", true);
	if (SPI_register_trigger_data(trigger) != SPI_OK_TD_REGISTER)
		elog(ERROR, "could not register the transition tables");
	ss_execute(plan_of(trigger->tg_trigger->tgoid), psprintf(updated ? AUDIT_UPDATE : AUDIT_DELETE, table, name),
			   SPI_OK_INSERT, 0, NULL, NULL, NULL, 0);
	ss_leave(&session);
	return PointerGetDatum(NULL);
}

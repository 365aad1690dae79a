/*
 * utility.c
 *		DROP DATABASE, ALTER DATABASE … RENAME or SET TABLESPACE and CREATE
 *		DATABASE … TEMPLATE refuse a database that somebody is connected to.
 *		The dispatcher is: so they stop it first, and the launcher keeps away
 *		until the statement has ended, well or not.
 *
 * And ALTER EXTENSION storesync wakes the dispatcher when it commits, which
 * has to start again with what is new.
 *
 * Nothing is stopped for somebody who does not own the database: the
 * statement would fail for him, and is left to say so itself.
 */
#include "storesync.h"

#include "catalog/pg_database.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "nodes/parsenodes.h"
#include "tcop/utility.h"
#include "utils/acl.h"

#include "shmem.h"
#include "utility.h"

/* Longest wait for the dispatcher's end; the statement itself waits as long once more. */
#define STOP_TIMEOUT_MS		5000

static ProcessUtility_hook_type previous_utility = NULL;

/* string_option returns the text of the option of that name, NULL when it is not there. */
static const char *
string_option(List *options, const char *name)
{
	ListCell   *cell;

	foreach(cell, options)
	{
		DefElem    *option = lfirst_node(DefElem, cell);

		if (strcmp(option->defname, name) == 0 && option->arg != NULL)
			return defGetString(option);
	}
	return NULL;
}

/* database_to_empty names the database that a statement needs without sessions, NULL for none. */
static const char *
database_to_empty(Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_DropdbStmt:
			return castNode(DropdbStmt, statement)->dbname;
		case T_RenameStmt:
			if (castNode(RenameStmt, statement)->renameType == OBJECT_DATABASE)
				return castNode(RenameStmt, statement)->subname;
			return NULL;
		case T_AlterDatabaseStmt:
			if (string_option(castNode(AlterDatabaseStmt, statement)->options, "tablespace") != NULL)
				return castNode(AlterDatabaseStmt, statement)->dbname;
			return NULL;
		case T_CreatedbStmt:
			return string_option(castNode(CreatedbStmt, statement)->options, "template");
		default:
			return NULL;
	}
}

/* is_upgrade tells ALTER EXTENSION storesync from other statements. */
static bool
is_upgrade(Node *statement)
{
	return IsA(statement, AlterExtensionStmt) &&
		strcmp(castNode(AlterExtensionStmt, statement)->extname, "storesync") == 0;
}

static void
run_utility(PlannedStmt *planned, const char *query, bool read_only_tree,
			ProcessUtilityContext context, ParamListInfo parameters,
			QueryEnvironment *environment, DestReceiver *destination, QueryCompletion *completion)
{
	if (previous_utility)
		previous_utility(planned, query, read_only_tree, context, parameters,
						 environment, destination, completion);
	else
		standard_ProcessUtility(planned, query, read_only_tree, context, parameters,
								environment, destination, completion);
}

/* on_utility runs a statement, with its database's dispatcher held down when it needs that. */
static void
on_utility(PlannedStmt *planned, const char *query, bool read_only_tree,
		   ProcessUtilityContext context, ParamListInfo parameters,
		   QueryEnvironment *environment, DestReceiver *destination, QueryCompletion *completion)
{
	const char *name = database_to_empty(planned->utilityStmt);
	Oid			database = name ? get_database_oid(name, true) : InvalidOid;
	volatile bool done = false;

	if (!OidIsValid(database) || !SsDatabaseOwnerCheck(database, GetUserId()))
	{
		run_utility(planned, query, read_only_tree, context, parameters,
					environment, destination, completion);
		if (is_upgrade(planned->utilityStmt))
			wake_at_commit();
		return;
	}
	PG_TRY();
	{
		(void) shmem_hold(database, name, STOP_TIMEOUT_MS);
		run_utility(planned, query, read_only_tree, context, parameters,
					environment, destination, completion);
		done = true;
	}
	PG_FINALLY();
	{
		shmem_release_hold(database, done && IsA(planned->utilityStmt, DropdbStmt));
	}
	PG_END_TRY();
}

void
utility_init(void)
{
	previous_utility = ProcessUtility_hook;
	ProcessUtility_hook = on_utility;
}

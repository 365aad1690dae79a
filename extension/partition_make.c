/*
 * partition_make.c
 *		A partition made and attached.
 *
 * Never by CREATE TABLE ... PARTITION OF, which waits for every open writer of
 * the parent: it is made as a table of its own, empty, and attached, and
 * writers and readers of the parent go on.
 */
#include "storesync.h"

#include "access/table.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/lsyscache.h"
#include "utils/partcache.h"
#include "utils/rel.h"

#include "key.h"
#include "partition_make.h"

TimestampTz
partition_day(int julian)
{
	return (TimestampTz) (julian - POSTGRES_EPOCH_JDATE) * USECS_PER_DAY;
}

static char *
partition_name(const PartitionShape *shape, int from)
{
	int			year,
				month,
				day;

	j2date(from, &year, &month, &day);
	switch (shape->step)
	{
		case STEP_DAY:
			return psprintf("%s_%04d_%02d_%02d", shape->parent, year, month, day);
		case STEP_WEEK:
			return psprintf("%s_%04dw%02d", shape->parent,
							date2isoyear(year, month, day), date2isoweek(year, month, day));
		case STEP_MONTH:
			return psprintf("%s_%04d_%02d", shape->parent, year, month);
	}
	pg_unreachable();
}

/* bound_literal writes the first moment of a day as the parent's key column has it, quoted. */
static char *
bound_literal(Oid type, int julian)
{
	IdempotencyKey key;
	Oid			output;
	bool		is_varlena;
	int			year,
				month,
				day;

	if (type == TIMESTAMPTZOID)
	{
		j2date(julian, &year, &month, &day);
		return psprintf("'%04d-%02d-%02d 00:00:00+00'", year, month, day);
	}
	key_floor(&key, partition_day(julian));
	getTypeOutputInfo(type, &output, &is_varlena);
	return quote_literal_cstr(OidOutputFunctionCall(output, IdempotencyKeyPGetDatum(&key)));
}

static void
run_utility(const char *sql)
{
	int			code = SPI_execute(sql, false, 0);

	if (code != SPI_OK_UTILITY)
		elog(ERROR, "unexpected result of \"%s\": %s", sql, SPI_result_code_string(code));
}

/*
 * create_indexes gives a partition the indexes that its parent must not have.
 * A unique one, whose columns are never null, is its replica identity too: in
 * a database that is published a row without one cannot be updated.
 */
static void
create_indexes(const PartitionShape *shape, const char *name)
{
	static const char unique[] = "UNIQUE ";
	const size_t prefix = sizeof(unique) - 1;

	for (int i = 0; i < shape->n_indexes; i++)
	{
		const char *index = shape->indexes[i];
		bool		is_unique = strncmp(index, unique, prefix) == 0;

		if (!is_unique)
		{
			run_utility(psprintf("CREATE INDEX ON storesync.%s %s", name, index));
			continue;
		}
		run_utility(psprintf("CREATE UNIQUE INDEX %s_key ON storesync.%s %s", name, name, index + prefix));
		run_utility(psprintf("ALTER TABLE storesync.%s REPLICA IDENTITY USING INDEX %s_key", name, name));
	}
}

/*
 * keep_private takes from a new partition what ALTER DEFAULT PRIVILEGES of the
 * owner gave to others, who would read past the rights on its parent.
 */
static void
keep_private(const char *name)
{
	Oid			types[] = {OIDOID};
	Datum		values[1];
	uint64		count;
	char	  **grantees;

	values[0] = ObjectIdGetDatum(partition_relation(name));
	if (SPI_execute_with_args("SELECT DISTINCT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END "
							  "FROM pg_class c, aclexplode(c.relacl) a WHERE c.oid = $1 AND a.grantee <> c.relowner",
							  1, types, values, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the rights on \"%s\"", name);
	count = SPI_processed;
	grantees = palloc(sizeof(char *) * Max(count, 1));
	for (uint64 i = 0; i < count; i++)
		grantees[i] = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1);
	for (uint64 i = 0; i < count; i++)
		run_utility(psprintf("REVOKE ALL ON storesync.%s FROM %s", name, grantees[i]));
}

void
partition_make(const PartitionShape *shape, int from, int to)
{
	char	   *name = partition_name(shape, from);
	Oid			parent = partition_relation(shape->parent);
	Relation	rel = table_open(parent, AccessShareLock);
	Oid			type = RelationGetPartitionKey(rel)->parttypid[0];
	int			guc_level = NewGUCNestLevel();

	table_close(rel, AccessShareLock);

	/* the session's own taste in tablespaces is no business of ours */
	(void) set_config_option("default_tablespace", "", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	run_utility(psprintf("CREATE TABLE storesync.%s (LIKE storesync.%s "
						 "INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE) USING heap%s%s%s",
						 name, shape->parent,
						 shape->options[0] ? " WITH (" : "", shape->options,
						 shape->options[0] ? ")" : ""));
	keep_private(name);
	create_indexes(shape, name);
	if (shape->append_only)
		run_utility(psprintf("CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON storesync.%s "
							 "FOR EACH STATEMENT EXECUTE FUNCTION storesync.refuse_change()", name));
	run_utility(psprintf("ALTER TABLE storesync.%s ATTACH PARTITION storesync.%s FOR VALUES FROM (%s) TO (%s)",
						 shape->parent, name, bound_literal(type, from), bound_literal(type, to)));
	AtEOXact_GUC(true, guc_level);
}

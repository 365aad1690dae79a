/*
 * olap_read.c
 *		What the tables say, as rows for ClickHouse (sql/57_olap.sql): text in
 *		UTF-8 with a tab between columns, as its format TabSeparated has it.
 *
 * The columns of a view are those of the table in ClickHouse, by their names.
 */
#include "olap_work.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "set.h"

/* Orders that are read at once. */
#define ORDERS_AT_ONCE	20

void
olap_batch_start(OlapBatch *batch)
{
	MemoryContext old = MemoryContextSwitchTo(olap_round);

	memset(batch, 0, sizeof(*batch));
	for (int i = 0; i < OLAP_TABLES; i++)
		initStringInfo(&batch->rows[i]);
	MemoryContextSwitchTo(old);
}

/* append_value appends a column's text in UTF-8, escaped. */
static void
append_value(StringInfo rows, const char *value)
{
	for (const char *c = pg_server_to_any(value, (int) strlen(value), PG_UTF8); *c != '\0'; c++)
	{
		switch (*c)
		{
			case '\t':
				appendStringInfoString(rows, "\\t");
				break;
			case '\n':
				appendStringInfoString(rows, "\\n");
				break;
			case '\\':
				appendStringInfoString(rows, "\\\\");
				break;
			default:
				appendStringInfoCharMacro(rows, *c);
		}
	}
}

/* name_columns notes the names of the columns, once a batch. */
static void
name_columns(OlapBatch *batch, OlapTable table, TupleDesc desc, int skip)
{
	StringInfoData names;
	MemoryContext old = MemoryContextSwitchTo(olap_round);

	initStringInfo(&names);
	for (int i = skip; i < desc->natts; i++)
		appendStringInfo(&names, "%s,", NameStr(TupleDescAttr(desc, i)->attname));
	appendStringInfoString(&names, "version");
	batch->columns[table] = names.data;
	MemoryContextSwitchTo(old);
}

void
olap_batch_row(OlapBatch *batch, OlapTable table, HeapTuple row, TupleDesc desc, int skip)
{
	StringInfo	rows = &batch->rows[table];
	int			before = rows->len;

	if (batch->version == 0)
		batch->version = olap_version();
	if (batch->columns[table] == NULL)
		name_columns(batch, table, desc, skip);
	for (int i = skip; i < desc->natts; i++)
	{
		char	   *value = SPI_getvalue(row, desc, i + 1);

		if (value == NULL)
			elog(ERROR, "column \"%s\" for ClickHouse is null", NameStr(TupleDescAttr(desc, i)->attname));
		append_value(rows, value);
		appendStringInfoCharMacro(rows, '\t');
		pfree(value);
	}
	appendStringInfo(rows, INT64_FORMAT "\n", batch->version);
	batch->n_rows[table]++;
	batch->bytes += rows->len - before;
}

/* add_all adds what the statement just run has found. */
static void
add_all(OlapBatch *batch, OlapTable table)
{
	SPITupleTable *found = SPI_tuptable;

	for (uint64 i = 0; i < SPI_processed; i++)
		olap_batch_row(batch, table, found->vals[i], found->tupdesc, 0);
	SPI_freetuptable(found);
}

int
olap_read_orders(OlapBatch *batch, int n, const int64 *ids)
{
	static SPIPlanPtr order_plan = NULL;
	static SPIPlanPtr line_plan = NULL;
	int			done = 0;

	while (done < n && batch->bytes < OLAP_BATCH_BYTES)
	{
		int			some = Min(ORDERS_AT_ONCE, n - done);

		ss_execute_ids(&order_plan, "SELECT * FROM storesync.olap_sales_order o WHERE o.order_id = ANY ($1)",
					   SPI_OK_SELECT, some, ids + done);
		add_all(batch, OLAP_ORDER);
		ss_execute_ids(&line_plan, "SELECT * FROM storesync.olap_sales_order_line l WHERE l.order_id = ANY ($1)",
					   SPI_OK_SELECT, some, ids + done);
		add_all(batch, OLAP_LINE);
		done += some;
	}
	return done;
}

void
olap_read_names(OlapBatch *batch)
{
	static SPIPlanPtr store_plan = NULL;
	static SPIPlanPtr place_plan = NULL;
	static SPIPlanPtr sku_plan = NULL;
	static SPIPlanPtr visit_plan = NULL;

	ss_execute(&store_plan, "SELECT * FROM storesync.olap_store", SPI_OK_SELECT, 0, NULL, NULL, NULL, 0);
	add_all(batch, OLAP_STORE);
	ss_execute(&place_plan, "SELECT * FROM storesync.olap_location", SPI_OK_SELECT, 0, NULL, NULL, NULL, 0);
	add_all(batch, OLAP_LOCATION);
	ss_execute(&sku_plan, "SELECT * FROM storesync.olap_sku", SPI_OK_SELECT, 0, NULL, NULL, NULL, 0);
	add_all(batch, OLAP_SKU);
	ss_execute(&visit_plan, "SELECT v.store_id, to_char(v.day, 'YYYY-MM-DD') AS day, v.visits FROM storesync.visit_day v "
			   "WHERE v.day > '1970-01-01'", SPI_OK_SELECT, 0, NULL, NULL, NULL, 0);
	add_all(batch, OLAP_VISIT);
}

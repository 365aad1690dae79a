/*
 * order.c
 *		ingest_order and ingest_orders: a page of order documents in, one
 *		answer each out.
 *
 * The way of a page: read and judge every document; lock and load its orders
 * and lines; look up new lines; lock the stock; decide document by document
 * in memory; write it all; tell the outbox. When a document sets units free
 * that short lines wait for, what is decided so far is written and they are
 * served at once, before the page's next document is looked at.
 */
#include "storesync.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

#include "order_part.h"
#include "outbox.h"
#include "partition.h"
#include "rows.h"
#include "sale.h"
#include "version.h"

PG_FUNCTION_INFO_V1(ingest_order);
PG_FUNCTION_INFO_V1(ingest_orders);

static void
raise_unknown_store(int32 store_id)
{
	ereport(ERROR,
			(errcode(SS_ERR_UNKNOWN_STORE),
			 errmsg("store %d does not exist", store_id)));
}

static void
load_store_by_statement(int32 store_id, PageStore *store)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT4OID};
	Datum		values[] = {Int32GetDatum(store_id)};
	HeapTuple	tuple;
	TupleDesc	desc;
	Datum		hold;
	bool		isnull;

	ss_execute(&plan,
			   "SELECT s.platform, s.shop_id, s.stock_from, s.returns = 'platform', s.unpaid_hold "
			   "FROM storesync.store s WHERE s.store_id = $1",
			   SPI_OK_SELECT, 1, types, values, NULL, 1);
	if (SPI_processed == 0)
		raise_unknown_store(store_id);
	tuple = SPI_tuptable->vals[0];
	desc = SPI_tuptable->tupdesc;
	store->platform = DatumGetTextPP(SPI_getbinval(tuple, desc, 1, &isnull));
	store->shop_id = DatumGetTextPP(SPI_getbinval(tuple, desc, 2, &isnull));
	store->stock_from = DatumGetTimestampTz(SPI_getbinval(tuple, desc, 3, &isnull));
	store->trusts_returns = DatumGetBool(SPI_getbinval(tuple, desc, 4, &isnull));
	hold = SPI_getbinval(tuple, desc, 5, &isnull);
	store->unpaid_hold = isnull ? -1 : order_hold_us(DatumGetIntervalP(hold));
}

/* load_places reads which places the store is tied to. */
static void
load_places(PageStore *store)
{
	static SPIPlanPtr plan = NULL;
	static RowsLookup lookup = {
		.name = {"store_location"}, .nkeys = 2, .keys = {"store_id", "location_id"}, .columns = "location_id"
	};
	const Oid	types[] = {INT4OID};
	Datum		key = Int32GetDatum(store->store_id);
	RowsScan	scan;
	bool		isnull;

	if (!rows_open(&scan, &lookup, false))
	{
		ss_execute(&plan, "SELECT ARRAY(SELECT z.location_id FROM storesync.store_location z WHERE z.store_id = $1)",
				   SPI_OK_SELECT, 1, types, &key, NULL, 1);
		order_part_places(store, SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
		return;
	}
	for (bool more = rows_find(&scan, 1, &key); more; more = rows_next(&scan))
	{
		store->locations = store->nlocations == 0 ? palloc(sizeof(int32)) :
			repalloc(store->locations, sizeof(int32) * (store->nlocations + 1));
		store->locations[store->nlocations++] = DatumGetInt32(rows_get(&scan, 0, &isnull));
	}
	rows_close(&scan);
}

static void
load_store(int32 store_id, PageStore *store)
{
	static RowsLookup lookup = {
		.name = {"store"}, .nkeys = 1, .keys = {"store_id"}, .settled = true, .columns = "platform, shop_id, stock_from, returns, "
		"unpaid_hold"
	};
	Datum		key = Int32GetDatum(store_id);
	RowsScan	scan;
	Datum		hold;
	bool		isnull;

	store->store_id = store_id;
	load_places(store);
	if (!rows_open(&scan, &lookup, false))
	{
		load_store_by_statement(store_id, store);
		return;
	}
	if (!rows_find(&scan, 1, &key))
		raise_unknown_store(store_id);
	store->platform = DatumGetTextPP(rows_get(&scan, 0, &isnull));
	store->shop_id = DatumGetTextPP(rows_get(&scan, 1, &isnull));
	store->stock_from = DatumGetTimestampTz(rows_get(&scan, 2, &isnull));
	store->trusts_returns = strcmp(TextDatumGetCString(rows_get(&scan, 3, &isnull)), "platform") == 0;
	hold = rows_get(&scan, 4, &isnull);
	store->unpaid_hold = isnull ? -1 : order_hold_us(DatumGetIntervalP(hold));
	rows_close(&scan);
}

/* prepare_partitions: before any lock, and before a statement opens the parents. */
static void
prepare_partitions(TimestampTz now)
{
	stock_prepare();
	partition_ensure("sales_order_line", now);
	partition_ensure("order_history", now);
}

/* patch_filled brings the page's lines in line with what filling has written. */
static void
patch_filled(OrderPage *page, const FilledLine *filled, int n)
{
	for (int i = 0; i < n; i++)
	{
		for (int j = 0; j < page->norders; j++)
		{
			OrderLine  *line;

			if (page->orders[j].order_id != filled[i].order_id)
				continue;
			line = order_line_find(&page->orders[j], filled[i].line.line_id);
			line->reserved = filled[i].line.reserved;
			line->missing = filled[i].line.missing;
			line->location_id = filled[i].line.location_id;
			line->nparts = filled[i].line.nparts;
			line->parts = filled[i].line.parts;
			line->effects = filled[i].line.effects;
			line->state = order_line_state(line);
		}
	}
}

/* any_freed says whether units came free that lines wait for; of other SKUs that is forgotten. */
static bool
any_freed(OrderPage *page)
{
	bool		any = false;

	if (!page->shorts_known)
		order_find_shorts(page->skus, page->nskus);
	page->shorts_known = true;
	for (int i = 0; i < page->nskus; i++)
	{
		PageSku    *sku = &page->skus[i];

		for (int p = 0; p < sku->nplaces; p++)
		{
			sku->places[p].freed &= sku->has_short;
			any |= sku->places[p].freed;
		}
	}
	page->journal.freed = false;
	return any;
}

/* serve_shorts gives freed units to short lines, the page's own among them. */
static void
serve_shorts(OrderPage *page)
{
	FilledLine *filled;
	int			n;

	if (!page->journal.freed || !any_freed(page))
		return;
	order_write(page);
	n = order_fill(&page->journal, &page->hold, &filled);
	patch_filled(page, filled, n);
}

/* tell_outbox appends one row for each SKU whose stock or sales the page changed, and what the roll-ups are to know. */
static void
tell_outbox(OrderPage *page)
{
	int64	   *subjects = palloc(sizeof(int64) * Max(page->nskus, 1));
	int64	   *versions = palloc(sizeof(int64) * Max(page->nskus, 1));
	int			n = 0;

	for (int i = 0; i < page->nskus; i++)
	{
		const PageSku *sku = &page->skus[i];
		bool		moved = sku->touched;

		versions[n] = 0;
		for (int p = 0; p < sku->nplaces; p++)
		{
			moved |= sku->places[p].moved;
			versions[n] = Max(versions[n], sku->places[p].version);
		}
		if (moved)
			subjects[n++] = sku->sku_id;
	}
	outbox_append_sale(n, subjects, versions, ss_sql_has(SS_SQL_1_1) ? sale_told(page) : NULL);
}

/*
 * tell_parked appends a row for each order that has come to be parked: its
 * listing may be committed at this moment, and neither sees the other.
 */
static void
tell_parked(const OrderPage *page)
{
	int64	   *subjects = palloc(sizeof(int64) * Max(page->norders, 1));
	int64	   *versions = palloc0(sizeof(int64) * Max(page->norders, 1));
	int			n = 0;

	for (int i = 0; i < page->norders; i++)
		if (page->orders[i].parked)
			subjects[n++] = page->orders[i].order_id;
	outbox_append(OUTBOX_ORDER, n, subjects, versions);
}

/* ingest books a page whose documents have been read. */
static void
ingest(OrderPage *page)
{
	static const Oid history_types[] = {
		INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID, TEXTOID, JSONBOID
	};

	page->order_of = palloc(sizeof(int) * Max(page->ndocs, 1));
	page->history = set_create(lengthof(history_types), history_types, page->ndocs);
	prepare_partitions(page->now);
	order_load(page);
	sale_loaded(page);
	order_map(page);
	stock_journal_start(&page->journal);
	order_lock_stock(page);
	page->journal.now = GetCurrentTimestamp();
	for (int d = 0; d < page->ndocs; d++)
	{
		CHECK_FOR_INTERRUPTS();
		order_book(page, d);
		serve_shorts(page);
	}
	order_write(page);
	order_set_timers(page);
	tell_outbox(page);
	tell_parked(page);
}

/* read_documents reads a page, whose lines together are bounded, too: all of them are in memory at once. */
static void
read_documents(OrderPage *page, JsonbContainer *array)
{
	int			lines = 0;

	page->now = GetCurrentTimestamp();
	page->docs = palloc(sizeof(OrderDoc) * Max(page->ndocs, 1));
	page->answers = palloc0(sizeof(DocAnswer) * Max(page->ndocs, 1));
	for (int d = 0; d < page->ndocs; d++)
	{
		CHECK_FOR_INTERRUPTS();
		order_doc_read(getIthJsonbValueFromContainer(array, d), page->now, &page->docs[d]);
		lines += page->docs[d].lines != NULL ? page->docs[d].nlines : 0;
		if (lines > SS_MAX_PAGE_LINES)
			ereport(ERROR,
					(errcode(SS_ERR_BAD_DOCUMENT),
					 errmsg("page has more than %d order lines", SS_MAX_PAGE_LINES)));
	}
}

/* result_values turns an answer into the columns of order_result. */
static void
result_values(const OrderPage *page, int d, Datum *values, bool *nulls)
{
	nulls[0] = page->docs[d].order_sn == NULL;
	nulls[1] = nulls[2] = false;
	values[0] = PointerGetDatum(page->docs[d].order_sn);
	values[1] = CStringGetTextDatum(page->answers[d].outcome);
	values[2] = JsonbPGetDatum(page->answers[d].detail);
}

static void
check_arguments(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("store and document cannot be null")));
}

/* ingest_order(store, doc): one document, one answer. */
Datum
ingest_order(PG_FUNCTION_ARGS)
{
	OrderPage	page = {.ndocs = 1};
	SsSession	session;
	TupleDesc	desc;
	Datum		values[3];
	bool		nulls[3];
	JsonbValue	document;
	Jsonb	   *json;
	HeapTupleHeader result;

	check_arguments(fcinfo);
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	desc = BlessTupleDesc(desc);
	json = PG_GETARG_JSONB_P(1);
	ss_enter(&session, "storesync.ingest_order()", true);
	ss_plan_by_index();
	load_store(PG_GETARG_INT32(0), &page.store);
	page.now = GetCurrentTimestamp();
	page.docs = palloc(sizeof(OrderDoc));
	page.answers = palloc0(sizeof(DocAnswer));
	document.type = jbvBinary;
	document.val.binary.data = &json->root;
	document.val.binary.len = VARSIZE(json) - VARHDRSZ;
	order_doc_read(&document, page.now, &page.docs[0]);
	ingest(&page);
	result_values(&page, 0, values, nulls);
	result = SPI_returntuple(heap_form_tuple(desc, values, nulls), desc);
	ss_leave(&session);
	PG_RETURN_DATUM(HeapTupleHeaderGetDatum(result));
}

/* start_result makes the tuplestore that a set-returning call answers with. */
static Tuplestorestate *
start_result(FunctionCallInfo fcinfo, TupleDesc *desc)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	MemoryContext old;
	Tuplestorestate *store;

	if (result == NULL || !IsA(result, ReturnSetInfo) || !(result->allowedModes & SFRM_Materialize))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("set-valued function called in context that cannot accept a set")));
	old = MemoryContextSwitchTo(result->econtext->ecxt_per_query_memory);
	if (get_call_result_type(fcinfo, NULL, desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	*desc = CreateTupleDescCopy(*desc);
	store = tuplestore_begin_heap(true, false, work_mem);
	result->returnMode = SFRM_Materialize;
	result->setResult = store;
	result->setDesc = *desc;
	MemoryContextSwitchTo(old);
	return store;
}

/* ingest_orders(store, docs): an array of documents, one answer each in their order. */
Datum
ingest_orders(PG_FUNCTION_ARGS)
{
	OrderPage	page = {0};
	SsSession	session;
	Tuplestorestate *store;
	TupleDesc	desc;
	Jsonb	   *json;

	check_arguments(fcinfo);
	store = start_result(fcinfo, &desc);
	json = PG_GETARG_JSONB_P(1);
	if (!JB_ROOT_IS_ARRAY(json) || JB_ROOT_IS_SCALAR(json))
		ereport(ERROR,
				(errcode(SS_ERR_BAD_DOCUMENT),
				 errmsg("order documents are no JSON array")));
	if (JB_ROOT_COUNT(json) > SS_MAX_PAGE)
		ereport(ERROR,
				(errcode(SS_ERR_BAD_DOCUMENT),
				 errmsg("page has %u documents; at most %d are allowed", JB_ROOT_COUNT(json), SS_MAX_PAGE)));
	ss_enter(&session, "storesync.ingest_orders()", true);
	ss_plan_by_index();
	load_store(PG_GETARG_INT32(0), &page.store);
	page.ndocs = JB_ROOT_COUNT(json);
	read_documents(&page, &json->root);
	ingest(&page);
	for (int d = 0; d < page.ndocs; d++)
	{
		Datum		values[3];
		bool		nulls[3];

		result_values(&page, d, values, nulls);
		tuplestore_putvalues(store, desc, values, nulls);
	}
	ss_leave(&session);
	PG_RETURN_NULL();
}

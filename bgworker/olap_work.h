/*
 * olap_work.h
 *		What the files of the OLAP worker share.
 *
 * A round reads in a transaction of its own, ends it, waits until it is on
 * disk, and only then speaks to ClickHouse: no lock, no snapshot and no
 * transaction waits for an answer, and nothing leaves that a crash could undo.
 */
#ifndef STORESYNC_OLAP_WORK_H
#define STORESYNC_OLAP_WORK_H

#include "storesync.h"

#include "lib/stringinfo.h"

/* A batch ends with the row, or the twenty orders, that take it beyond this. */
#define OLAP_BATCH_BYTES	(2 * 1024 * 1024)
/* The bits of a version below the number of the life. */
#define OLAP_LIFE_SHIFT		48

/* The tables in ClickHouse. */
typedef enum OlapTable
{
	OLAP_ORDER,
	OLAP_LINE,
	OLAP_LEDGER,
	OLAP_CALL,
	OLAP_STORE,
	OLAP_SKU,
	OLAP_LOCATION,
	OLAP_VISIT,
	OLAP_TABLES
} OlapTable;

/* What one transaction has read: rows as ClickHouse reads them, a tab between columns. They live until the round ends. */
typedef struct OlapBatch
{
	int64		version;		/* of all its rows; 0 while it has none */
	int			bytes;
	int			n_rows[OLAP_TABLES];
	StringInfoData rows[OLAP_TABLES];
	char	   *columns[OLAP_TABLES];	/* names, joined by commas */
} OlapBatch;

/* The sources that are read by the time at which a row was recorded. */
typedef enum OlapSource
{
	SOURCE_HISTORY,				/* of orders, which are written as they are */
	SOURCE_LEDGER,
	SOURCE_CALL,
	SOURCES
} OlapSource;

/* What is to be written of the time before, phase by phase. */
typedef enum OlapFill
{
	FILL_NONE,
	FILL_ORDER,					/* all orders, by their ids */
	FILL_HISTORY,				/* those that changed since some moment */
	FILL_LEDGER,
	FILL_CALL
} OlapFill;

/* The row of storesync.olap_state. */
typedef struct OlapPlace
{
	int			incarnation;
	int			life;
	int64		sent;
	int64		cut;			/* -1: nothing of earlier lives is left to settle */
	TimestampTz through;
	OlapFill	fill;
	TimestampTz fill_from;
	NameData	fill_partition; /* "" before the first */
	int64		fill_place;
	TimestampTz again_from;		/* DT_NOEND: not again */
} OlapPlace;

extern OlapPlace olap_place;

/*
 * What outlives a transaction and not the round. Each statement leaves SPI's
 * own context current, which goes with the transaction: who keeps a result
 * switches to this one after it.
 */
extern MemoryContext olap_round;

/* olap_main.c: a transaction in which SQL runs as the owner */
extern void olap_enter(SsSession *session, const char *activity);
/* Its end; with a version in the batch it waits until what was read is on disk. */
extern void olap_leave(SsSession *session, const OlapBatch *batch);

/* olap_state.c; in a transaction */
extern bool olap_state_load(void);	/* false: there is none */
extern void olap_state_store(Datum snapshot);	/* and that of the consumer, unless 0 */
extern void olap_state_asked(void); /* has an operator asked for a filling? */
extern TimestampTz olap_horizon(void);
extern Datum olap_snapshot(void);	/* in olap_round */
/* A version of this life, higher than those before; gives this transaction an id. */
extern int64 olap_version(void);

/* olap_read.c; in a transaction. Rows of the statement just run go to a batch, without the first `skip` columns. */
extern void olap_batch_start(OlapBatch *batch);
extern void olap_batch_row(OlapBatch *batch, OlapTable table, HeapTuple row, TupleDesc desc, int skip);
/* Orders and their lines, twenty at a time while the batch has room; how many it took. */
extern int	olap_read_orders(OlapBatch *batch, int n, const int64 *ids);
extern void olap_read_names(OlapBatch *batch);	/* stores, places, SKUs; and visits */

/*
 * olap_feed.c: what has changed since the last look. olap_feed_read in a
 * transaction; true when there is more of it; scan_us: what looking took,
 * without reading what was found. olap_feed_seen when ClickHouse
 * has it. What was too much, or lies too far back, is left to a filling from
 * olap_place.again_from on, which may begin when olap_feed_may_fill says so.
 */
extern bool olap_feed_read(OlapBatch *batch, int64 *scan_us);
extern void olap_feed_seen(void);
extern bool olap_feed_may_fill(void);
extern Datum olap_feed_snapshot(void);	/* 0: none has been seen */

/* olap_fill.c: what was there before. olap_fill_read in a transaction, olap_fill_seen when ClickHouse has it. */
extern void olap_fill_begin(TimestampTz from);
extern void olap_fill_read(OlapBatch *batch);
extern void olap_fill_seen(void);

/* olap_send.c: ClickHouse; outside of any transaction. False when it did not do it: the log says why. */
extern void olap_send_init(void);
extern void olap_send_to(const char *url, const char *database, const char *secret);
extern bool olap_send(const OlapBatch *batch);
/* A statement, within so many milliseconds; its answer lives until the round ends. */
extern char *olap_ask(const char *statement, int timeout_ms);
extern const char *olap_complaint(void);	/* what went wrong last */
extern void olap_count(int counter, int64 n);

/* olap_settle.c: what ClickHouse has of lives before this one */
extern bool olap_settle_check(void);	/* has it still what it took? If not, everything is written again */
extern bool olap_settle_begin(void);	/* a life begins: its number, and from when on is to be written again */
extern bool olap_settle_step(bool *done);

#endif

/*
 * storesync.h
 *		What every file of the extension shares: limits, settings, and the
 *		way a C function runs SQL as the schema's owner.
 */
#ifndef STORESYNC_H
#define STORESYNC_H

#include "compat.h"
#include "errors.h"

#include "executor/spi.h"
#include "fmgr.h"
#include "utils/timestamp.h"

/* Largest quantity, stock and version: sums of many stay inside int64. */
#define SS_MAX_QTY			INT64CONST(1000000000000)
/* Documents in one call of ingest_orders, lines in one document. */
#define SS_MAX_PAGE			10000
#define SS_MAX_LINES		10000
/* Lines of all documents of a call together. */
#define SS_MAX_PAGE_LINES	100000
/* Longest text taken as a code, reference, order number or line id, in bytes. */
#define SS_MAX_TEXT			200

/* Settings, defined and described in settings.c. */
extern char *ss_databases;			/* comma-separated names */
extern char *ss_instance_name;
extern char *ss_secret_directory;
extern char *ss_ca_file;			/* "": the system's authorities */
extern bool ss_allow_private_addresses;
extern char *ss_total_rate_limit;	/* text of a rate_limit, "" for none */
extern int	ss_max_in_flight;		/* calls, per database */
extern int	ss_connect_timeout;		/* ms */
extern int	ss_request_timeout;		/* ms */
extern int	ss_key_horizon;			/* s */
extern int	ss_order_retention;		/* s */
extern int	ss_log_retention;		/* s */
extern int	ss_max_fetch_age;		/* ms */
extern int	ss_clock_doubt;			/* ms */
extern char *ss_redis_url;			/* "": no cache */
extern char *ss_redis_password_file;	/* "": no password */
extern int	ss_redis_timeout;		/* ms */
extern char *ss_clickhouse_url;		/* "": none */
extern char *ss_clickhouse_password_file;	/* "": no password */
extern int	ss_max_stores;			/* slots in shared memory, all databases */
extern int	ss_max_databases;

extern void settings_define(void);

/*
 * Running SQL inside a C function that any role may call (session.c).
 *
 * ss_enter connects SPI, becomes the owner of schema storesync and pins
 * search_path to pg_catalog, pg_temp; ss_leave undoes it. On error the
 * transaction's abort undoes it. EXECUTE on the function is the gate.
 * Raises 25006 in a read-only transaction or on a standby when `writes`.
 *
 * ss_enter_direct leaves search_path alone until something asks for it, which
 * ss_execute does by itself: for calls that mostly run no statement, since a
 * setting costs a walk through all settings when it is undone.
 */
typedef struct SsSession
{
	Oid			user;
	int			security;
	int			guc_level;		/* 0: none of its own */
	bool		by_index;		/* of the session around this one: see ss_plan_by_index */
	bool		pinned;			/* of the session around this one: whether search_path is pinned */
} SsSession;

extern void ss_enter(SsSession *session, const char *function, bool writes);
extern void ss_enter_direct(SsSession *session, const char *function, bool writes);
extern void ss_leave(SsSession *session);

/*
 * Pin search_path between the two in a session that left it alone; nothing
 * happens in others. Around whatever looks names up, or calls functions that
 * somebody else wrote. In pairs; an error undoes it.
 */
typedef struct SsPin
{
	int			guc_level;		/* 0: it was pinned already */
	bool		by_index;
} SsPin;

extern void ss_pin(SsPin *pin);
extern void ss_unpin(const SsPin *pin);

/*
 * After ss_enter: statements planned until ss_leave reach tables by index, in
 * nested loops. For those that look a few rows up in tables that grow: their
 * plan is kept, and one made while the tables were empty reads all of them
 * for as long as nothing analyzes them.
 */
extern void ss_plan_by_index(void);

/*
 * Prepare once per backend, keep, execute. `plan` is a static slot of the
 * caller; nargs parameter types follow as Oids. SPI must be connected.
 * Returns SPI's result code, which is `expect` or an error was raised.
 */
extern int	ss_execute(SPIPlanPtr *plan, const char *sql, int expect,
					   int nargs, const Oid *types, Datum *values, const char *nulls,
					   uint64 limit);

/*
 * The same for a SELECT that sees what the statement around the call sees:
 * several of them agree with each other, whatever is committed in between.
 */
extern void ss_look(SPIPlanPtr *plan, const char *sql, int nargs, const Oid *types,
					Datum *values, const char *nulls, uint64 limit);

/* Prepare only, for a cursor; search_path is pinned, and what ss_plan_by_index asked for was done by a statement before. */
extern void ss_keep_plan(SPIPlanPtr *plan, const char *sql, int nargs, const Oid *types);

/* Raises SS_ERR_BAD_QUANTITY unless 1 <= qty <= SS_MAX_QTY. */
extern void ss_check_quantity(int64 qty);
/* Raises 22023 when the text is empty or longer than SS_MAX_TEXT; `what` names it. */
extern void ss_check_text(const char *what, const text *value);

/* Raises SS_ERR_TIME_AHEAD when `at` is over a day ahead of the clock. */
extern void ss_check_not_ahead(const char *what, TimestampTz at);

#endif

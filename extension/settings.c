/*
 * settings.c
 *		The settings storesync.*: SIGHUP, or at start where they size shared
 *		memory; none can be set by a session.
 */
#include "storesync.h"

#include <limits.h>

#include "cache.h"
#include "olap.h"
#include "rate.h"
#include "rate_limit.h"

char	   *ss_databases = NULL;
char	   *ss_instance_name = NULL;
char	   *ss_secret_directory = NULL;
char	   *ss_ca_file = NULL;
bool		ss_allow_private_addresses = false;
char	   *ss_total_rate_limit = NULL;
int			ss_max_in_flight = 64;
int			ss_connect_timeout = 5000;
int			ss_request_timeout = 20000;
int			ss_key_horizon = 90 * SECS_PER_DAY;
int			ss_order_retention = 730 * SECS_PER_DAY;
int			ss_log_retention = 30 * SECS_PER_DAY;
int			ss_max_fetch_age = 20 * 1000;
int			ss_clock_doubt = 5 * 1000;
char	   *ss_redis_url = NULL;
char	   *ss_redis_password_file = NULL;
int			ss_redis_timeout = 200;
char	   *ss_clickhouse_url = NULL;
char	   *ss_clickhouse_password_file = NULL;
int			ss_max_stores = 1024;
int			ss_max_databases = 64;

static void
define_string(const char *name, const char *description, const char *detail, char **variable)
{
	DefineCustomStringVariable(name, description, detail, variable, "",
							   PGC_SIGHUP, 0, NULL, NULL, NULL);
}

static void
define_int(const char *name, const char *description, int *variable,
		   int min, int max, GucContext context, int unit)
{
	DefineCustomIntVariable(name, description, NULL, variable, *variable, min, max,
							context, unit, NULL, NULL, NULL);
}

/* define_shared_sizes: only the preloaded library may define PGC_POSTMASTER settings. */
static void
define_shared_sizes(void)
{
	define_int("storesync.max_stores",
			   "Stores of all databases whose call budgets shared memory has room for.",
			   &ss_max_stores, 1, 100000, PGC_POSTMASTER, 0);
	define_int("storesync.max_databases",
			   "Databases whose workers shared memory has room for.",
			   &ss_max_databases, 1, 1000, PGC_POSTMASTER, 0);
}

void
settings_define(void)
{
	define_string("storesync.databases",
				  "Databases whose outbox is drained, names joined by commas.",
				  NULL, &ss_databases);
	define_string("storesync.instance_name",
				  "Name of this installation; sending to real platforms needs it to be the one last confirmed.",
				  "Keep it outside the data directory, so that a copy does not carry it.",
				  &ss_instance_name);
	define_string("storesync.secret_directory",
				  "Directory of the files that set_credential may read as file:NAME.",
				  NULL, &ss_secret_directory);
	define_string("storesync.ca_file",
				  "File of the certificate authorities that vouch for platforms, in PEM format.",
				  "They are trusted instead of the system's. Empty for the system's.", &ss_ca_file);
	DefineCustomBoolVariable("storesync.allow_private_addresses",
							 "Calls platforms at addresses of private networks, too.",
							 "Without it a platform whose host's name stands for such an address is not called; a base URL that names this machine needs it not.",
							 &ss_allow_private_addresses, false, PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("storesync.total_rate_limit",
							   "Calls of each database to all platforms together, as a rate_limit; empty for none.",
							   "Example: 350/min burst 50.",
							   &ss_total_rate_limit, "", PGC_SIGHUP, 0,
							   rate_limit_check_setting, rate_assign_total, NULL);
	define_int("storesync.max_in_flight", "Calls under way at once, per database.",
			   &ss_max_in_flight, 1, 1000, PGC_SIGHUP, 0);
	define_int("storesync.connect_timeout", "Longest time to connect to a platform.",
			   &ss_connect_timeout, 1, INT_MAX, PGC_SIGHUP, GUC_UNIT_MS);
	define_int("storesync.request_timeout", "Longest time of a whole call to a platform.",
			   &ss_request_timeout, 1, INT_MAX, PGC_SIGHUP, GUC_UNIT_MS);
	define_int("storesync.key_horizon", "Age beyond which a caller's idempotency key is refused.",
			   &ss_key_horizon, SECS_PER_DAY, 3650 * SECS_PER_DAY, PGC_SIGHUP, GUC_UNIT_S);
	define_int("storesync.order_retention", "How long orders are kept.",
			   &ss_order_retention, SECS_PER_DAY, 3650 * SECS_PER_DAY, PGC_SIGHUP, GUC_UNIT_S);
	define_int("storesync.log_retention", "How long logs are kept.",
			   &ss_log_retention, SECS_PER_DAY, 3650 * SECS_PER_DAY, PGC_SIGHUP, GUC_UNIT_S);
	define_int("storesync.max_fetch_age", "Oldest order fetch that still lets a raise go out.",
			   &ss_max_fetch_age, 0, INT_MAX, PGC_SIGHUP, GUC_UNIT_MS);
	define_int("storesync.clock_doubt", "An order this close to our write counts as before it.",
			   &ss_clock_doubt, 0, INT_MAX, PGC_SIGHUP, GUC_UNIT_MS);
	DefineCustomStringVariable("storesync.redis_url",
							   "Where the cache is, redis://ADDRESS[:PORT][/DATABASE] or unix:/PATH[?db=DATABASE]; empty for none.",
							   "The address is in digits, or localhost. User and password do not belong here.",
							   &ss_redis_url, "", PGC_SIGHUP, 0, cache_check_url, NULL, NULL);
	define_string("storesync.redis_password_file",
				  "File in storesync.secret_directory with the password of the cache, or its user, a blank and the password.",
				  NULL, &ss_redis_password_file);
	define_int("storesync.redis_timeout", "Longest time that a call of a function waits for the cache.",
			   &ss_redis_timeout, 1, 10000, PGC_SIGHUP, GUC_UNIT_MS);
	DefineCustomStringVariable("storesync.clickhouse_url",
							   "Where ClickHouse is, https://HOST[:PORT]; empty for none.",
							   "Plain http only on this machine. User and password do not belong here.",
							   &ss_clickhouse_url, "", PGC_SIGHUP, 0, olap_check_url, NULL, NULL);
	define_string("storesync.clickhouse_password_file",
				  "File in storesync.secret_directory with the password of ClickHouse, or its user, a blank and the password.",
				  NULL, &ss_clickhouse_password_file);
	if (process_shared_preload_libraries_in_progress)
		define_shared_sizes();
	MarkGUCPrefixReserved("storesync");
}

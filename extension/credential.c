/*
 * credential.c
 *		Write-only secrets: set by SQL functions from a parameter or a file,
 *		read by the dispatcher alone.
 *
 * A value is in no error text, no audit row, no outbox row and no dump. The
 * first act of a function that takes one is to overwrite what this backend
 * shows of its statement, in pg_stat_activity and in the log line that an
 * error would add; what log_statement wrote before that is beyond its reach.
 */
#include "storesync.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "catalog/pg_type.h"
#include "storage/fd.h"
#include "tcop/tcopprot.h"
#include "utils/backend_status.h"
#include "utils/builtins.h"

#include "credential.h"
#include "outbox.h"

/* A value that begins so names a file in storesync.secret_directory. */
#define FILE_PREFIX		"file:"
/* Longest name of such a file, in bytes. */
#define MAX_FILE_NAME	200

PG_FUNCTION_INFO_V1(set_credential);
PG_FUNCTION_INFO_V1(set_app_credential);

/* Which credentials a platform knows, of its application or of each store. */
typedef struct KnownCredential
{
	const char *platform;
	bool		application;
	const char *name;
} KnownCredential;

static const KnownCredential known[] = {
	{"shopee", true, "partner_id"},
	{"shopee", true, "partner_key"},
	{"shopee", true, "callback_url"},
	{"shopee", false, "access_token"},
	{"shopee", false, "refresh_token"},
	{"shopee", false, "auth_code"},
	{"ruten", false, "api_key"},
	{"ruten", false, "secret_key"},
	{"ruten", false, "salt_key"},
	{"ruten", false, "callback_url"},
};

void
credential_hide(const char *shown)
{
	debug_query_string = shown;
	pgstat_report_activity(STATE_RUNNING, shown);
}

static void
check_name(const char *platform, bool application, const char *name)
{
	for (int i = 0; i < (int) lengthof(known); i++)
		if (strcmp(known[i].platform, platform) == 0 &&
			known[i].application == application && strcmp(known[i].name, name) == 0)
			return;
	/* the name is not repeated: who swaps the arguments would publish the value */
	ereport(ERROR,
			(errcode(SS_ERR_BAD_CREDENTIAL),
			 errmsg("%s of platform \"%s\" have no credential of that name",
					application ? "applications" : "stores", platform)));
}

/* check_value refuses what could break out of a header or URL: anything but printable ASCII. */
static void
check_value(const char *value)
{
	size_t		length = strlen(value);

	if (length == 0 || length > SS_MAX_CREDENTIAL)
		ereport(ERROR,
				(errcode(SS_ERR_BAD_CREDENTIAL),
				 errmsg("credential is empty or longer than %d bytes", SS_MAX_CREDENTIAL)));
	for (size_t i = 0; i < length; i++)
		if (value[i] <= ' ' || value[i] > '~')
			ereport(ERROR,
					(errcode(SS_ERR_BAD_CREDENTIAL),
					 errmsg("credential holds a character that is not printable ASCII")));
}

static void
refuse_file(const char *why)
{
	ereport(ERROR,
			(errcode(SS_ERR_BAD_CREDENTIAL),
			 errmsg("could not read credential from file: %s", why)));
}

/* secret_path makes the path of a file in the secret directory; `name` can lead nowhere else. */
static char *
secret_path(const char *name)
{
	if (ss_secret_directory == NULL || !is_absolute_path(ss_secret_directory))
		ereport(ERROR,
				(errcode(SS_ERR_BAD_CREDENTIAL),
				 errmsg("could not read credential from file: \"%s\" is not set to an absolute path",
						"storesync.secret_directory")));
	if (name[0] == '\0' || name[0] == '.' || strlen(name) > MAX_FILE_NAME ||
		strpbrk(name, "/\\") != NULL)
		refuse_file("its name is no plain file name");
	return psprintf("%s/%s", ss_secret_directory, name);
}

/* read_secret returns the content of a file without the newline at its end. */
static char *
read_secret(const char *name)
{
	/* not to wait for the writer of a pipe that somebody put there */
	int			fd = OpenTransientFile(secret_path(name), O_RDONLY | O_NONBLOCK | PG_BINARY);
	struct stat status;
	char	   *value;
	ssize_t		length;

	if (fd < 0)
		refuse_file(strerror(errno));
	if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))
		refuse_file("it is not a regular file");
	/* room for a byte too many, so that a file that is too long is seen to be */
	value = palloc(SS_MAX_CREDENTIAL + 3);
	length = read(fd, value, SS_MAX_CREDENTIAL + 2);
	if (length < 0)
		refuse_file(strerror(errno));
	CloseTransientFile(fd);
	if (length > 0 && value[length - 1] == '\n')
		length--;
	if (length > 0 && value[length - 1] == '\r')
		length--;
	value[length] = '\0';
	if (strlen(value) != (size_t) length)
		refuse_file("it holds a zero byte");
	return value;
}

/* audit records that a credential was set: its name, never its value. */
static void
audit(const char *subject, const char *name)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {TEXTOID, TEXTOID};
	Datum		values[2];

	values[0] = CStringGetTextDatum(subject);
	values[1] = CStringGetTextDatum(name);
	ss_execute(&plan,
			   "INSERT INTO storesync.audit (action, subject, after) "
			   "VALUES ('set credential', $1, jsonb_build_object('name', $2))",
			   SPI_OK_INSERT, 2, types, values, NULL, 0);
}

static void
put_store(int store_id, const char *name, const char *value)
{
	static SPIPlanPtr plan = NULL;
	static SPIPlanPtr given_plan = NULL;
	const Oid	types[] = {INT4OID, TEXTOID, TEXTOID};
	const int64 subject = store_id;
	const int64 no_version = 0;
	Datum		values[3];

	check_value(value);
	values[0] = Int32GetDatum(store_id);
	values[1] = CStringGetTextDatum(name);
	values[2] = CStringGetTextDatum(value);
	ss_execute(&plan,
			   "INSERT INTO storesync.credential (store_id, name, value) VALUES ($1, $2, $3) "
			   "ON CONFLICT (store_id, name) DO UPDATE SET value = excluded.value, set_at = clock_timestamp()",
			   SPI_OK_INSERT, 3, types, values, NULL, 0);
	ss_execute(&given_plan, "SELECT storesync.token_given($1, $2)", SPI_OK_SELECT, 2, types, values, NULL, 0);
	audit(psprintf("store %d", store_id), name);
	outbox_append(OUTBOX_STORE, 1, &subject, &no_version);
}

static void
put_app(const char *platform, const char *name, const char *value)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {TEXTOID, TEXTOID, TEXTOID};
	const int64 nothing = 0;
	Datum		values[3];

	check_value(value);
	values[0] = CStringGetTextDatum(platform);
	values[1] = CStringGetTextDatum(name);
	values[2] = CStringGetTextDatum(value);
	ss_execute(&plan,
			   "INSERT INTO storesync.app_credential (platform, name, value) VALUES ($1, $2, $3) "
			   "ON CONFLICT (platform, name) DO UPDATE SET value = excluded.value, set_at = clock_timestamp()",
			   SPI_OK_INSERT, 3, types, values, NULL, 0);
	audit(psprintf("platform %s", platform), name);
	outbox_append(OUTBOX_PLATFORM, 1, &nothing, &nothing);
}

char *
credential_platform(int store_id)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT4OID};
	Datum		values[1];

	values[0] = Int32GetDatum(store_id);
	ss_execute(&plan, "SELECT platform FROM storesync.store WHERE store_id = $1",
			   SPI_OK_SELECT, 1, types, values, NULL, 1);
	if (SPI_processed == 0)
		ereport(ERROR,
				(errcode(SS_ERR_UNKNOWN_STORE),
				 errmsg("store %d does not exist", store_id)));
	return SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
}

static void
check_platform(const char *platform)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {TEXTOID};
	Datum		values[1];

	values[0] = CStringGetTextDatum(platform);
	ss_execute(&plan, "SELECT 1 FROM storesync.platform WHERE platform = $1",
			   SPI_OK_SELECT, 1, types, values, NULL, 1);
	if (SPI_processed == 0)
		ereport(ERROR,
				(errcode(SS_ERR_UNKNOWN_PLATFORM),
				 errmsg("platform does not exist")));
}

char *
credential_given(const text *given)
{
	char	   *value = text_to_cstring(given);

	if (strncmp(value, FILE_PREFIX, strlen(FILE_PREFIX)) == 0)
		return read_secret(value + strlen(FILE_PREFIX));
	return value;
}

static void
refuse_nulls(FunctionCallInfo fcinfo)
{
	for (int i = 0; i < PG_NARGS(); i++)
		if (PG_ARGISNULL(i))
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("store or platform, name and value of a credential must not be null")));
}

/* set_credential(store int, name text, value text) */
Datum
set_credential(PG_FUNCTION_ARGS)
{
	SsSession	session;
	ErrorContextCallback *context = error_context_stack;
	char	   *name;

	credential_hide("SELECT storesync.set_credential(...)");
	error_context_stack = NULL; /* a calling function's statement may hold the value */
	refuse_nulls(fcinfo);
	name = text_to_cstring(PG_GETARG_TEXT_PP(1));
	ss_enter(&session, "storesync.set_credential()", true);
	check_name(credential_platform(PG_GETARG_INT32(0)), false, name);
	put_store(PG_GETARG_INT32(0), name, credential_given(PG_GETARG_TEXT_PP(2)));
	ss_leave(&session);
	error_context_stack = context;
	PG_RETURN_VOID();
}

/* set_app_credential(platform text, name text, value text) */
Datum
set_app_credential(PG_FUNCTION_ARGS)
{
	SsSession	session;
	ErrorContextCallback *context = error_context_stack;
	char	   *platform;
	char	   *name;

	credential_hide("SELECT storesync.set_app_credential(...)");
	error_context_stack = NULL;
	refuse_nulls(fcinfo);
	platform = text_to_cstring(PG_GETARG_TEXT_PP(0));
	name = text_to_cstring(PG_GETARG_TEXT_PP(1));
	ss_enter(&session, "storesync.set_app_credential()", true);
	check_platform(platform);
	check_name(platform, true, name);
	put_app(platform, name, credential_given(PG_GETARG_TEXT_PP(2)));
	ss_leave(&session);
	error_context_stack = context;
	PG_RETURN_VOID();
}

void
credential_put(int store_id, const char *name, const char *value)
{
	check_name(credential_platform(store_id), false, name);
	put_store(store_id, name, value);
}

/*
 * recovery.c
 *		Noticing that this cluster's data came out of a backup.
 *
 * After a recovery to a point in time, and in a copy of the data directory
 * that is started, system identifier and database OIDs are those of the
 * cluster that was saved; so is all that is in tables. What tells them apart
 * is gone when recovery ends: recovery.signal, or backup_label without
 * standby.signal. The preloaded library sees these files in the postmaster,
 * before recovery begins, and writes a file with a new random number, which
 * stays. A database whose tables do not know the number waits for its
 * operator (sql/67_instance.sql) and begins another life (incarnation.c).
 *
 * A standby has standby.signal, and goes on by itself when it is promoted. It
 * may have been made before its primary's last recovery: then its file is of
 * an earlier one, or it has none, and its tables know that number as well.
 *
 * The file is never removed: the number of a recovery that was confirmed
 * holds nobody back.
 */
#include "storesync.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file_perm.h"
#include "port.h"
#include "storage/fd.h"

#include "recovery.h"

#define FILE_NAME	"storesync.recovery"
#define NEW_NAME	FILE_NAME ".new"

PG_FUNCTION_INFO_V1(storesync_recovery_id);

/* Of the postmaster, and inherited by all its children. */
static int64 current = 0;

static bool
exists(const char *name)
{
	struct stat status;

	return stat(name, &status) == 0;
}

/* from_backup tells whether the server that is about to start comes up from a backup, and not as a standby. */
static bool
from_backup(void)
{
	return !exists("standby.signal") && (exists("recovery.signal") || exists("backup_label"));
}

/* read_file returns the number of the last recovery, 0 when there was none, -1 when the file is no good. */
static int64
read_file(void)
{
	char		text[64];
	char	   *end;
	int64		number;
	ssize_t		length;
	int			file = open(FILE_NAME, O_RDONLY | PG_BINARY, 0);

	if (file < 0)
		return errno == ENOENT ? 0 : -1;
	length = read(file, text, sizeof(text) - 1);
	close(file);
	if (length <= 0)
		return -1;
	text[length] = '\0';
	errno = 0;
	number = strtoll(text, &end, 10);
	return errno == 0 && *end == '\n' && number > 0 ? number : -1;
}

/* write_file makes the number durable: recovery must not begin before that. */
static void
write_file(int64 number)
{
	char		text[64];
	int			length = snprintf(text, sizeof(text), INT64_FORMAT "\n", number);
	int			file = open(NEW_NAME, O_WRONLY | O_CREAT | O_TRUNC | PG_BINARY, pg_file_create_mode);

	if (file < 0 || write(file, text, length) != length || pg_fsync(file) != 0 || close(file) != 0)
		ereport(FATAL,
				(errcode_for_file_access(),
				 errmsg("could not write file \"%s\": %m", NEW_NAME)));
	(void) durable_rename(NEW_NAME, FILE_NAME, FATAL);
}

static int64
new_number(void)
{
	int64		number;

	if (!pg_strong_random(&number, sizeof(number)))
		ereport(FATAL,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate random values")));
	number &= PG_INT64_MAX;
	return Max(number, 1);
}

void
recovery_init(bool at_start)
{
	current = read_file();
	if (at_start && (current < 0 || from_backup()))
	{
		current = new_number();
		write_file(current);
		ereport(LOG,
				(errmsg("storesync: this data directory comes from a backup"),
				 errdetail("Its databases call no platform before \"confirm_instance\" in each of them.")));
	}
	else if (current < 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not read file \"%s\"", FILE_NAME)));
}

int64
recovery_id(void)
{
	return current;
}

/* recovery_id() returns bigint */
Datum
storesync_recovery_id(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(current);
}

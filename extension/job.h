/*
 * job.h
 *		What a backend asks of the one-shot worker that reaches pg_cron's
 *		tables in their database, and what it answers.
 *
 * The request lies in a segment of dynamic shared memory that the backend
 * makes for it: plain data, no pointers. The backend writes it before the
 * worker starts, and reads the answer after the worker's end, so no lock
 * guards any of it.
 */
#ifndef STORESYNC_JOB_H
#define STORESYNC_JOB_H

#include "storesync.h"

/* Jobs of one database, and the longest of their texts: a list of all minutes and hours has 252 bytes. */
#define JOB_MAX				16
#define JOB_SCHEDULE_BYTES	320
#define JOB_COMMAND_BYTES	128
/* The longest part of an error that is handed on. */
#define JOB_ERROR_BYTES		512

typedef enum JobWork
{
	JOB_SCHEDULE,				/* the database's jobs become the ones given; none: they go */
	JOB_PRUNE					/* what pg_cron noted of runs of the ones given, long ago, goes */
} JobWork;

typedef struct JobLine
{
	char		name[NAMEDATALEN];
	char		schedule[JOB_SCHEDULE_BYTES];
	char		command[JOB_COMMAND_BYTES];
} JobLine;

typedef struct JobAnswer
{
	bool		done;			/* committed; otherwise the error, unless sqlstate is 0 */
	int64		written;		/* jobs that are new or changed */
	int64		removed;		/* jobs, or notes of runs */
	int			sqlstate;
	int			encoding;		/* of the texts: that of pg_cron's database */
	char		message[JOB_ERROR_BYTES];
	char		detail[JOB_ERROR_BYTES];
	char		hint[JOB_ERROR_BYTES];
} JobAnswer;

typedef struct JobRequest
{
	JobWork		work;
	char		cron_database[NAMEDATALEN]; /* where pg_cron is */
	char		database[NAMEDATALEN];	/* where the jobs run */
	char		role[NAMEDATALEN];	/* as whom; for JOB_SCHEDULE with jobs */
	int			keep_s;			/* age of the notes that stay, for JOB_PRUNE */
	int			n_jobs;
	JobLine		jobs[JOB_MAX];
	JobAnswer	answer;
} JobRequest;

/*
 * Has a worker in the database of pg_cron do the work, and waits for it.
 * The request names all but cron_database. What is done is done, whatever
 * becomes of the calling transaction. Raises 55000 when pg_cron is not
 * preloaded or not created there, 3D000, 53400 when no worker slot is free,
 * 08006 when the worker ended without an answer, or what the worker raised;
 * then nothing was done.
 */
extern JobAnswer job_ask(const JobRequest *request);

#endif

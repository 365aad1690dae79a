/*
 * partition_make.h
 *		Making one partition; between partition.c, which knows what is missing,
 *		and partition_make.c alone.
 */
#ifndef STORESYNC_PARTITION_MAKE_H
#define STORESYNC_PARTITION_MAKE_H

#include "storesync.h"

typedef enum PartitionStep
{
	STEP_DAY,
	STEP_WEEK,
	STEP_MONTH
} PartitionStep;

/* One row of storesync.partitioned. */
typedef struct PartitionShape
{
	char	   *parent;
	PartitionStep step;
	char	   *options;		/* storage parameters, "" for none */
	bool		append_only;	/* TRUNCATE is refused */
	int			n_indexes;
	char	  **indexes;		/* "(columns)" or "UNIQUE (columns)" */
} PartitionShape;

/* A relation of schema storesync, whatever search_path says. Raises 42P01. */
extern Oid	partition_relation(const char *name);

/* When a Julian day begins, in UTC. */
extern TimestampTz partition_day(int julian);

/*
 * Make the partition between two Julian days and attach it. The caller holds
 * the lock and has looked again. The new table is empty, so ATTACH has nothing
 * to scan.
 */
extern void partition_make(const PartitionShape *shape, int from, int to);

#endif

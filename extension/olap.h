/*
 * olap.h
 *		What the OLAP worker and the backends share: which ClickHouse.
 */
#ifndef STORESYNC_OLAP_H
#define STORESYNC_OLAP_H

#include "storesync.h"

#include "utils/guc.h"

/* Check hook of storesync.clickhouse_url. */
extern bool olap_check_url(char **value, void **extra, GucSource source);

#endif

/*
 * host.h
 *		Whether a platform can be reached at all: a circuit breaker per base
 *		URL, shared by all stores behind it, and one for each of the stores.
 *
 * Closed, calls go. After HOST_PATIENCE calls in a row that reached nobody
 * (no connection, no name, no answer in time, a gateway's 5xx page) it opens:
 * no call goes out, until a single one probes. The pause before each probe
 * doubles; the first answer closes it. Listings pay no attempt for a host
 * that is away.
 *
 * One store whose calls reach nobody, while others reach the same host, opens
 * its own alone: the host's opens when several stores failed in a row, or
 * nobody else has been heard of for HOST_OTHERS_US.
 */
#ifndef STORESYNC_HOST_H
#define STORESYNC_HOST_H

#include "storesync.h"

/* Failures in a row that open it. */
#define HOST_PATIENCE	5

/* So long ago says nothing any more. */
#define HOST_OTHERS_US	(10 * USECS_PER_SEC)

typedef struct HostBreaker
{
	char	   *name;			/* for the log */
	int			failures;		/* in a row */
	bool		open;
	bool		probing;		/* a probe is under way */
	int			probes;			/* failed since it opened */
	TimestampTz since;			/* it opened */
	TimestampTz probe_due;
} HostBreaker;

typedef struct DispatchHost
{
	char	   *base_url;
	HostBreaker breaker;
	const HostBreaker *failing; /* whose call failed last, since one reached it */
	bool		several;		/* such calls were of more than one store */
	const HostBreaker *reached_by;	/* whose call reached it last */
	TimestampTz reached_at;
	TimestampTz other_reached_at;	/* and the last one of another store */
} DispatchHost;

/* The host of a base URL, made when it is new; lives as long as the process. */
extern DispatchHost *host_find(const char *base_url);

/* Name a store's own breaker, which is zeroed. */
extern void host_name_own(HostBreaker *own, int store_id);

/* When a call may leave as far as these are concerned: 0 at once, DT_NOEND while a probe is under way. */
extern TimestampTz host_due(const DispatchHost *host, const HostBreaker *own);

/* A call is about to be built. True when it is a probe: host_told or host_unprobed has to follow. */
extern bool host_probe(DispatchHost *host, HostBreaker *own);
extern void host_unprobed(DispatchHost *host, HostBreaker *own);

/*
 * What a call came to. True when this answer closed a breaker. One line in
 * the log for each opening and closing; `reason` is without secrets.
 */
extern bool host_told(DispatchHost *host, HostBreaker *own, bool reached, bool probe, TimestampTz now,
					  const char *reason);

#endif

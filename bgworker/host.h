/*
 * host.h
 *		Whether a platform's host can be reached at all: a circuit breaker per
 *		base URL, shared by all stores behind it.
 *
 * Closed, calls go. After HOST_PATIENCE calls in a row that reached nobody
 * (no connection, no name, no answer in time, a gateway's 5xx page) it opens:
 * no call goes out, until a single one probes. The pause before each probe
 * doubles; the first answer closes it. Listings pay no attempt for a host
 * that is away.
 */
#ifndef STORESYNC_HOST_H
#define STORESYNC_HOST_H

#include "storesync.h"

/* Failures in a row that open it. */
#define HOST_PATIENCE	5

typedef struct DispatchHost
{
	char	   *base_url;
	int			failures;		/* in a row */
	bool		open;
	bool		probing;		/* a probe is under way */
	int			probes;			/* failed since it opened */
	TimestampTz since;			/* it opened */
	TimestampTz probe_due;
} DispatchHost;

/* The host of a base URL, made when it is new; lives as long as the process. */
extern DispatchHost *host_find(const char *base_url);

/* When a call may leave as far as the host is concerned: 0 at once, DT_NOEND while a probe is under way. */
extern TimestampTz host_due(const DispatchHost *host);

/* A call is about to be built. True when it is the probe: host_told or host_unprobed has to follow. */
extern bool host_probe(DispatchHost *host);
extern void host_unprobed(DispatchHost *host);

/*
 * What a call came to. True when this answer closed the breaker. One line in
 * the log for each opening and closing; `reason` is without secrets.
 */
extern bool host_told(DispatchHost *host, bool reached, bool probe, TimestampTz now, const char *reason);

#endif

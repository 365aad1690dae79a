/*
 * host.c
 *		The circuit breaker of each platform host; host.h has the rules.
 *		Touched by one process: no locks. Knows neither stores nor calls.
 */
#include "host.h"

#include "utils/memutils.h"

#include "retry.h"

/* A database has a handful of platforms; a base URL that changed leaves its old host behind. */
static DispatchHost **hosts = NULL;
static int	n_hosts = 0;

DispatchHost *
host_find(const char *base_url)
{
	DispatchHost *host;

	for (int i = 0; i < n_hosts; i++)
		if (strcmp(hosts[i]->base_url, base_url) == 0)
			return hosts[i];
	host = MemoryContextAllocZero(TopMemoryContext, sizeof(DispatchHost));
	host->base_url = MemoryContextStrdup(TopMemoryContext, base_url);
	if (hosts == NULL)
		hosts = MemoryContextAlloc(TopMemoryContext, sizeof(*hosts));
	else
		hosts = repalloc(hosts, (n_hosts + 1) * sizeof(*hosts));
	hosts[n_hosts++] = host;
	return host;
}

TimestampTz
host_due(const DispatchHost *host)
{
	if (!host->open)
		return 0;
	return host->probing ? DT_NOEND : host->probe_due;
}

bool
host_probe(DispatchHost *host)
{
	host->probing |= host->open;
	return host->open;
}

void
host_unprobed(DispatchHost *host)
{
	host->probing = false;
}

/* close_host and open_host are the only ways to change the state. */
static void
close_host(DispatchHost *host, TimestampTz now)
{
	host->open = false;
	host->probes = 0;
	ereport(LOG,
			(errmsg("storesync: \"%s\" answers again after %lld s",
					host->base_url, (long long) ((now - host->since) / USECS_PER_SEC))));
}

static void
open_host(DispatchHost *host, TimestampTz now, const char *reason)
{
	host->open = true;
	host->since = now;
	host->probe_due = now + retry_delay_us(1);
	ereport(LOG,
			(errmsg("storesync: \"%s\" is not called: %d calls in a row reached nobody",
					host->base_url, host->failures),
			 reason != NULL && *reason != '\0' ? errdetail_internal("%s", reason) : 0));
}

bool
host_told(DispatchHost *host, bool reached, bool probe, TimestampTz now, const char *reason)
{
	if (probe)
		host->probing = false;
	if (reached)
	{
		host->failures = 0;
		if (!host->open)
			return false;
		close_host(host, now);
		return true;
	}
	host->failures++;
	if (!host->open && host->failures >= HOST_PATIENCE)
		open_host(host, now, reason);
	else if (host->open && probe)
	{
		int64		pause = retry_delay_us(++host->probes);

		host->probe_due = now + Min(pause, USECS_PER_MINUTE);
	}
	return false;
}

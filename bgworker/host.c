/*
 * host.c
 *		The circuit breakers of platform hosts and of single stores; host.h
 *		has the rules. Touched by one process: no locks. Knows no calls.
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
	host->breaker.name = MemoryContextAlloc(TopMemoryContext, strlen(base_url) + 3);
	sprintf(host->breaker.name, "\"%s\"", base_url);
	if (hosts == NULL)
		hosts = MemoryContextAlloc(TopMemoryContext, sizeof(*hosts));
	else
		hosts = repalloc(hosts, (n_hosts + 1) * sizeof(*hosts));
	hosts[n_hosts++] = host;
	return host;
}

void
host_name_own(HostBreaker *own, int store_id)
{
	char		name[32];

	snprintf(name, sizeof(name), "store %d", store_id);
	own->name = MemoryContextStrdup(TopMemoryContext, name);
}

static TimestampTz
breaker_due(const HostBreaker *breaker)
{
	if (!breaker->open)
		return 0;
	return breaker->probing ? DT_NOEND : breaker->probe_due;
}

TimestampTz
host_due(const DispatchHost *host, const HostBreaker *own)
{
	return Max(breaker_due(&host->breaker), breaker_due(own));
}

bool
host_probe(DispatchHost *host, HostBreaker *own)
{
	host->breaker.probing |= host->breaker.open;
	own->probing |= own->open;
	return host->breaker.open || own->open;
}

void
host_unprobed(DispatchHost *host, HostBreaker *own)
{
	host->breaker.probing = false;
	own->probing = false;
}

/* close_breaker and open_breaker are the only ways to change the state. True: it was open. */
static bool
close_breaker(HostBreaker *breaker, TimestampTz now)
{
	breaker->failures = 0;
	if (!breaker->open)
		return false;
	breaker->open = false;
	breaker->probes = 0;
	ereport(LOG,
			(errmsg("storesync: %s answers again after %lld s",
					breaker->name, (long long) ((now - breaker->since) / USECS_PER_SEC))));
	return true;
}

static void
open_breaker(HostBreaker *breaker, TimestampTz now, const char *reason)
{
	breaker->open = true;
	breaker->since = now;
	breaker->probe_due = now + retry_delay_us(1);
	ereport(LOG,
			(errmsg("storesync: %s is not called: %d calls in a row reached nobody",
					breaker->name, breaker->failures),
			 reason != NULL && *reason != '\0' ? errdetail_internal("%s", reason) : 0));
}

/* fail counts a failure, which opens the breaker if it may, or puts the next probe off. */
static void
fail(HostBreaker *breaker, bool may_open, bool probe, TimestampTz now, const char *reason)
{
	breaker->failures++;
	if (!breaker->open && may_open && breaker->failures >= HOST_PATIENCE)
		open_breaker(breaker, now, reason);
	else if (breaker->open && probe)
	{
		int64		pause = retry_delay_us(++breaker->probes);

		breaker->probe_due = now + Min(pause, USECS_PER_MINUTE);
	}
}

/* forget_own: the host's breaker is open, and says all that there is to say of the store. */
static void
forget_own(HostBreaker *own)
{
	own->failures = 0;
	own->open = false;
	own->probes = 0;
}

static void
note_reached(DispatchHost *host, const HostBreaker *own, TimestampTz now)
{
	host->failing = NULL;
	host->several = false;
	if (host->reached_by != own)
		host->other_reached_at = host->reached_at;
	host->reached_by = own;
	host->reached_at = now;
}

/* others_reach: a store beside this one has reached the host of late. */
static bool
others_reach(const DispatchHost *host, const HostBreaker *own, TimestampTz now)
{
	return now - (host->reached_by == own ? host->other_reached_at : host->reached_at) < HOST_OTHERS_US;
}

bool
host_told(DispatchHost *host, HostBreaker *own, bool reached, bool probe, TimestampTz now, const char *reason)
{
	if (probe)
		host_unprobed(host, own);
	if (reached)
	{
		bool		closed = close_breaker(&host->breaker, now);

		note_reached(host, own, now);
		return close_breaker(own, now) || closed;
	}
	host->several |= host->failing != NULL && host->failing != own;
	host->failing = own;
	fail(&host->breaker, host->several || !others_reach(host, own, now), probe, now, reason);
	if (!host->breaker.open)
		fail(own, true, probe, now, reason);
	else
		forget_own(own);
	return false;
}

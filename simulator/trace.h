/*
 * trace.h
 *		The buyers' script: read from a file, played by a thread of its own
 *		once it is started, at the speed asked for.
 */
#ifndef SIM_TRACE_H
#define SIM_TRACE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "market.h"

typedef enum TraceKind
{
	TRACE_BUY,
	TRACE_STATUS
} TraceKind;

typedef struct TraceEvent
{
	int64_t		at_us;			/* simulated time since the start */
	TraceKind	kind;
	OrderStatus status;			/* of TRACE_STATUS */
	char	   *order_sn;
	uint32_t	shop;			/* of TRACE_BUY, as are the lines */
	uint32_t	first_line;
	int			n_lines;
} TraceEvent;

typedef struct Trace
{
	TraceEvent *events;			/* constant after loading, as are the lines */
	uint32_t	n_events;
	OrderLine  *lines;
	uint32_t	n_lines;
	double		speed;
	Market	   *market;

	pthread_mutex_t lock;		/* guards the rest; never held together with the market's */
	pthread_cond_t wake;
	pthread_t	thread;
	bool		running;		/* the thread exists */
	bool		stop;
	bool		started;
	uint32_t	done;
	int64_t		started_us;
	int64_t		finished_us;	/* 0: not yet */
} Trace;

/* file may be NULL: no events. False, with a message on stderr, when it is not as it should be. */
extern bool trace_load(Trace *trace, const char *file, const Catalogue *catalogue, double speed);

/* Starts the thread, which waits for trace_start; false when there is none to be had. */
extern bool trace_run(Trace *trace, Market *market);
extern bool trace_start(Trace *trace);	/* false: was started before */
extern void trace_stop(Trace *trace);	/* ends the thread */
extern void trace_free(Trace *trace);

typedef struct TraceProgress
{
	bool		started;
	bool		finished;
	uint32_t	events;
	uint32_t	done;
	int64_t		elapsed_us;		/* wall clock, since the start, until the last event */
} TraceProgress;

extern TraceProgress trace_progress(Trace *trace);

#endif

/*
 * simulator.h
 *		All parts of one simulator together.
 */
#ifndef SIM_SIMULATOR_H
#define SIM_SIMULATOR_H

#include "calls.h"
#include "catalogue.h"
#include "faults.h"
#include "market.h"
#include "token.h"
#include "trace.h"

typedef struct Simulator
{
	Catalogue	catalogue;		/* constant once loaded */
	Market		market;			/* its lock guards the next three too */
	Tokens		tokens;
	Calls		calls;
	Faults		faults;
	Trace		trace;			/* has a lock of its own */
} Simulator;

#endif

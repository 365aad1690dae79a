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
#include "notice.h"
#include "pchome_state.h"
#include "ruten_state.h"
#include "shopee_state.h"
#include "token.h"
#include "trace.h"
#include "writes.h"

struct Simulator
{
	Catalogue	catalogue;		/* constant once loaded */
	Market		market;			/* its lock guards the next three too */
	Tokens		tokens;
	Calls		calls;
	Faults		faults;
	ShopeeState shopee;			/* guarded by the market's lock, too */
	RutenState	ruten;			/* guarded by the market's lock, too */
	PchomeState pchome;			/* guarded by the market's lock, too */
	Writes		writes;			/* guarded by the market's lock, too */
	Trace		trace;			/* has a lock of its own */
	Notices		notices;		/* likewise */
};

#endif

/*
 * ledger.c
 */
#include "storesync.h"

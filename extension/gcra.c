/*
 * gcra.c
 */
#include "storesync.h"

/*
 * rate_limit.c
 */
#include "storesync.h"

/*
 * rate.c
 */
#include "storesync.h"

/*
 * listing.c
 */
#include "storesync.h"

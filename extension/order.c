/*
 * order.c
 */
#include "storesync.h"

/*
 * partition.c
 */
#include "storesync.h"

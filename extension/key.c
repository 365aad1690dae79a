/*
 * key.c
 */
#include "storesync.h"

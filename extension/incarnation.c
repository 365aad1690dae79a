/*
 * incarnation.c
 */
#include "storesync.h"

/*
 * outbox.c
 */
#include "storesync.h"

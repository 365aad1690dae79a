/*
 * credential.c
 */
#include "storesync.h"

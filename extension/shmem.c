/*
 * shmem.c
 */
#include "storesync.h"

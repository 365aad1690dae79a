/*
 * order_doc.c
 */
#include "storesync.h"

/*
 * shopee.c
 */
#include "platform.h"

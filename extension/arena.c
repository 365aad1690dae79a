/*
 * arena.c
 */
#include "platform.h"

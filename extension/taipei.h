/*
 * taipei.h
 *		Times of day in Taiwan, as platforms write them that say no zone.
 *		Free of PostgreSQL headers.
 */
#ifndef STORESYNC_TAIPEI_H
#define STORESYNC_TAIPEI_H

#include <stdbool.h>
#include <stdint.h>

typedef struct TaipeiTime
{
	int			year;			/* 1970 to 9999 */
	int			month;			/* from 1 */
	int			day;			/* from 1 */
	int			hour;
	int			minute;
	int			second;
} TaipeiTime;

/* The time of day in Taiwan at a moment in Unix seconds; false outside of the years above. */
extern bool taipei_of(int64_t unix_s, TaipeiTime *time);

/* The moment, in Unix seconds; false when there is no such date or time of day. */
extern bool taipei_moment(const TaipeiTime *time, int64_t *unix_s);

#endif

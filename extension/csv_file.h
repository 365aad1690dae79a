/*
 * csv_file.h
 *		A CSV file that a client has left as a large object, on its way to text
 *		that a reader takes apart; between csv_file.c and csv_load.c alone.
 */
#ifndef STORESYNC_CSV_FILE_H
#define STORESYNC_CSV_FILE_H

#include "storesync.h"

#include "csv.h"

/*
 * Read the caller's large object and drop it, as the caller. Raises 42704 and
 * 42501 as PostgreSQL does, 54000 when it is too large.
 */
extern bytea *csv_take_object(Oid file);

/* An encoding that a file may be said to have. Raises 22023 for others. */
extern int	csv_encoding(const char *name);

/*
 * Hand a reader the file as text of the server's encoding, without the mark
 * that it may begin with. Returns the encoding it has; `said`: the one it was
 * said to have, -1 for none. Raises 22021 for a byte that is not in it, 22P04
 * for a quote that is never closed, 54000 for too many rows.
 */
extern int	csv_open(const bytea *file, int said, CsvReader *reader);

#endif

-- A peak window may have orders fetched more often, and may be for that alone.
ALTER TABLE storesync.peak_window
	DROP CONSTRAINT peak_window_kinds_check,
	ADD CONSTRAINT peak_window_kinds_check CHECK (kinds <@ ARRAY['raise', 'price', 'list', 'unlist', 'read_back', 'fetch_listings']),
	ADD COLUMN poll_interval interval CHECK (poll_interval BETWEEN '100 milliseconds' AND '1 day'),
	ADD CONSTRAINT peak_window_purpose CHECK (kinds <> '{}' OR poll_interval IS NOT NULL);
DROP FUNCTION storesync.add_peak_window(timestamp, timestamp, int, text, text[], interval);

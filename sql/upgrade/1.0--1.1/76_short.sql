-- Platforms say what they do to a seller who does not send. Set by a rewrite: an UPDATE would call triggers.
ALTER TABLE storesync.platform
	ADD COLUMN short_weight numeric NOT NULL DEFAULT 1 CHECK (short_weight BETWEEN 0 AND 1000),
	ADD COLUMN ship_within interval NOT NULL DEFAULT '2 days' CHECK (ship_within BETWEEN '1 hour' AND '366 days');
ALTER TABLE storesync.platform ALTER COLUMN short_weight TYPE numeric
	USING CASE platform WHEN 'shopee' THEN 3 WHEN 'pchome' THEN 2 ELSE 1 END;

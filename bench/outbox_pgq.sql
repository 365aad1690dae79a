-- PgQ beside the outbox: a queue, a consumer, and a tick whenever the script asks for one.
CREATE EXTENSION pgq;
SELECT pgq.create_queue('bench');
SELECT pgq.set_queue_config('bench', 'ticker_max_count', '1');
SELECT pgq.set_queue_config('bench', 'ticker_max_lag', '0');
SELECT pgq.set_queue_config('bench', 'ticker_idle_period', '0');
SELECT pgq.register_consumer('bench', 'bench');

CREATE FUNCTION queue.take_pgq() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	batch bigint := pgq.next_batch('bench', 'bench');
	n bigint;
	bytes bigint;
BEGIN
	IF batch IS NULL THEN
		RETURN 0;
	END IF;
	SELECT count(*), sum(length(e.ev_data)) INTO n, bytes FROM pgq.get_batch_events(batch) e;
	PERFORM pgq.finish_batch(batch);
	RETURN n;
END $$;

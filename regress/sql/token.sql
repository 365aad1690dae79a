-- What is told about tokens: their lives, when they are refreshed, and when people are needed.
\set VERBOSITY terse
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS storesync CASCADE;
CREATE EXTENSION storesync;
RESET client_min_messages;
SELECT storesync.ensure_partitions() > 0 AS made;
SELECT storesync.add_store('shopee', '1001', 'One') AS one \gset
SELECT storesync.add_store('shopee', '1002', 'Two') AS two \gset

SELECT * FROM storesync.token_life('shopee');
SELECT * FROM storesync.token_life('nowhere');

-- a row for each store that has a refresh token
SELECT storesync.set_credential(:one, 'access_token', 'first-access');
SELECT count(*) FROM storesync.token_status;
SELECT storesync.set_credential(:one, 'refresh_token', 'first-refresh');
CREATE VIEW told AS
SELECT store_id, round(extract(epoch FROM authorization_left) / 86400) AS authorization_days,
	round(extract(epoch FROM refresh_left) / 86400) AS refresh_days,
	access_expires IS NOT NULL AS known,
	CASE WHEN refresh_due = '-infinity' THEN 'at once'
		ELSE round(extract(epoch FROM refresh_due - clock_timestamp()) / 60)::text END AS refresh_in,
	asked_at IS NOT NULL AS asked, refused_at IS NOT NULL AS refused, reason
FROM storesync.token_status;
SELECT * FROM told;
-- without an access token there is one to be had at once
SELECT storesync.set_credential(:two, 'refresh_token', 'other-refresh');
SELECT store_id, refresh_in FROM told ORDER BY store_id;

-- a short life: in its last quarter
UPDATE storesync.token SET refreshed_at = now(), access_expires = now() + '40 minutes' WHERE store_id = :one;
UPDATE storesync.credential SET set_at = now() WHERE store_id = :one;
SELECT known, refresh_in FROM told WHERE store_id = :one;
-- one whose answer is not known: at once; one that was refused: an hour later
UPDATE storesync.token SET asked_at = now() WHERE store_id = :one;
SELECT refresh_in, asked FROM told WHERE store_id = :one;
UPDATE storesync.token SET asked_at = NULL, refused_at = now(), reason = 'Invalid refresh_token.' WHERE store_id = :one;
SELECT refresh_in, refused, reason FROM told WHERE store_id = :one;
-- an access token alone does not mend that, both do
SELECT storesync.set_credential(:one, 'access_token', 'second-access');
SELECT known, refused FROM told WHERE store_id = :one;
SELECT storesync.set_credential(:one, 'refresh_token', 'second-refresh');
SELECT known, refused, reason FROM told WHERE store_id = :one;

-- health(): only where somebody is needed
CREATE VIEW unwell AS
SELECT component, state, regexp_replace(reason, '\w{3} \w{3} \d\d [0-9:]+ \d{4} \w+', 'TIME', 'g') AS reason
FROM storesync.health() WHERE component LIKE 'authorisation%';
SELECT * FROM unwell;
UPDATE storesync.token SET refused_at = now(), reason = 'Invalid refresh_token.' WHERE store_id = :one;
SELECT * FROM unwell;
UPDATE storesync.token SET refused_at = NULL, asked_at = now() - interval '6 minutes' WHERE store_id = :one;
SELECT * FROM unwell;
UPDATE storesync.token SET asked_at = NULL, authorized_at = now() - interval '352 days' WHERE store_id = :one;
UPDATE storesync.credential SET set_at = now() - interval '24 days' WHERE store_id = :one;
SELECT * FROM unwell;
UPDATE storesync.token SET authorized_at = now(), incarnation = 0 WHERE store_id = :one;
UPDATE storesync.credential SET set_at = now() WHERE store_id = :one;
SELECT * FROM unwell;
UPDATE storesync.store SET mode = 'off';
SELECT * FROM unwell;

UPDATE storesync.store SET mode = 'live';

-- the year may be known better: the platform says when it ends
SELECT storesync.note_authorization(:two, clock_timestamp() + '6 days');
SELECT store_id, authorization_days FROM told ORDER BY store_id;
SELECT component FROM unwell;
SELECT storesync.note_authorization(:two, NULL);
SELECT storesync.note_authorization(-1, now());

-- where a seller consents, signed with the application's credentials
SELECT storesync.authorization_url('shopee', 'https://erp.example.com/');
SELECT storesync.set_app_credential('shopee', 'partner_id', '2009999');
SELECT storesync.set_app_credential('shopee', 'partner_key', 'demoPartnerKey0123456789abcdef');
SELECT regexp_replace(storesync.authorization_url('shopee', 'https://erp.example.com/?a=1'), '=[0-9]{10}|=[0-9a-f]{64}', '=...', 'g');
SELECT regexp_replace(storesync.authorization_url('shopee', 'https://erp.example.com/', cancel => true), '=[0-9]{10}|=[0-9a-f]{64}', '=...', 'g');
SELECT storesync.authorization_url('shopee', 'two words');
SELECT storesync.authorization_url('pchome', 'https://erp.example.com/');
SELECT storesync.authorization_url('nowhere', 'https://erp.example.com/');

-- the code is a secret that waits for the dispatcher, and a task that tells of it
SELECT storesync.add_store('shopee', '1003', 'Three') AS three \gset
SELECT storesync.authorize_store(:three, 'the-code') AS task \gset
SELECT state FROM storesync.task_state(:task);
SELECT name FROM storesync.credential WHERE store_id = :three;
SELECT o.payload FROM storesync.outbox o WHERE o.subject = :task AND o.kind = 'task';
SELECT authorized_at, refresh_due, code_given_at IS NOT NULL AS given, code_refused_at FROM storesync.token_status WHERE store_id = :three;
UPDATE storesync.credential SET set_at = now() - interval '6 minutes' WHERE name = 'auth_code';
SELECT * FROM unwell;
-- tokens that people set make it needless
SELECT storesync.set_credential(:three, 'refresh_token', 'third-refresh');
SELECT name FROM storesync.credential WHERE store_id = :three;
SELECT * FROM unwell;
SELECT storesync.add_store('pchome', '22001', 'No codes') AS pchome \gset
SELECT storesync.authorize_store(:pchome, 'MARKER-code');
SELECT storesync.authorize_store(-1, 'MARKER-code');
SELECT storesync.authorize_store(:three, '');
SELECT storesync.authorize_store(:three, NULL);

-- nothing of it is dumped, and it goes with its store
SELECT 'storesync.token'::regclass = ANY (extconfig) AS dumped FROM pg_extension WHERE extname = 'storesync';
SELECT count(*) FROM storesync.audit WHERE concat(before, after) ~ 'access$|-refresh|the-code';
DROP VIEW told, unwell;

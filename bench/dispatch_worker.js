// The peer of bench/dispatch: what a user would write. Woken by LISTEN, takes batches of tasks with
// SKIP LOCKED, signs and sends them over kept-alive connections, writes the outcomes, commits.
//
//	node dispatch_worker.js BASE-URL BATCH CONNECTIONS
//
// The transaction stays open while the shop answers: half the writes of a lease, and a batch that a
// crash interrupts comes again by itself. PG* variables say which database.
'use strict';
const crypto = require('crypto');
const http = require('http');
const { Client } = require('pg');

const [base, batch, connections] = [process.argv[2], +process.argv[3], +process.argv[4]];
const { hostname, port } = new URL(base);
const agent = new http.Agent({ keepAlive: true, maxSockets: connections });
const partner = '2009999', key = 'benchPartnerKey0123456789', token = 'benchAccessToken0123456789';

function send(task) {
	return new Promise((resolve) => {
		const now = Math.floor(Date.now() / 1000);
		const sign = crypto.createHmac('sha256', key).update(partner + task.path + now + token + task.shop_id).digest('hex');
		const body = JSON.stringify(task.body);
		const request = http.request({
			agent, hostname, port, method: 'POST', timeout: 20000,
			path: `${task.path}?partner_id=${partner}&timestamp=${now}&access_token=${token}&shop_id=${task.shop_id}&sign=${sign}`,
			headers: { Accept: 'application/json', 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) },
		}, (response) => {
			let text = '';
			response.setEncoding('utf8');
			response.on('data', (part) => { text += part; });
			response.on('end', () => {
				try {
					resolve({ id: task.id, status: response.statusCode, error: JSON.parse(text).error || null });
				} catch (e) {
					resolve({ id: task.id, status: response.statusCode, error: 'not JSON' });
				}
			});
		});
		request.on('timeout', () => request.destroy(new Error('timeout')));
		request.on('error', (e) => resolve({ id: task.id, status: null, error: e.message }));
		request.end(body);
	});
}

async function take(client) {
	await client.query('BEGIN');
	const { rows } = await client.query({
		name: 'take',
		text: 'SELECT id, shop_id, path, body FROM worker.task WHERE done_at IS NULL ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED',
		values: [batch],
	});
	if (rows.length > 0) {
		const outcomes = await Promise.all(rows.map(send));
		await client.query({
			name: 'settle',
			text: 'UPDATE worker.task t SET attempts = attempts + 1, http_status = o.status, error = o.error, ' +
				'done_at = CASE WHEN o.error IS NULL THEN clock_timestamp() END ' +
				'FROM unnest($1::bigint[], $2::int[], $3::text[]) o(id, status, error) WHERE t.id = o.id',
			values: [outcomes.map((o) => o.id), outcomes.map((o) => o.status), outcomes.map((o) => o.error)],
		});
	}
	await client.query('COMMIT');
	return rows.length;
}

async function main() {
	const client = new Client();
	let woken = true, wake = () => {};
	client.on('notification', () => { woken = true; wake(); });
	await client.connect();
	await client.query('LISTEN task');
	console.log((await client.query('SELECT pg_backend_pid() AS pid')).rows[0].pid);
	for (;;) {
		woken = false;
		while (await take(client) > 0);
		if (!woken) {
			await new Promise((resolve) => { wake = resolve; setTimeout(resolve, 1000); });
		}
	}
}

process.on('SIGTERM', () => process.exit(0));
main().catch((e) => { console.error(e); process.exit(1); });

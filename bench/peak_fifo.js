// The peer of bench/peak, the usual way: orders are polled, each change of stock becomes a row of a queue
// for each listing, and the rows are sent one by one in their order, inside the same limits.
//
//	node peak_fifo.js BASE-URL STORE-PER-SECOND TOTAL-PER-MINUTE BURST-MS POLL-MS CATALOGUE
//
// Orders go before the queue. One call at a time for a listing, 64 in all; what fails is sent again at
// once, five times. PG* variables say which database.
'use strict';
const crypto = require('crypto');
const fs = require('fs');
const http = require('http');
const { Client, Pool } = require('pg');

const [base, perStore, perMinute, burstMs, pollMs, catalogue] = process.argv.slice(2).map((a, i) => (i > 0 && i < 5 ? +a : a));
const { hostname, port } = new URL(base);
const agent = new http.Agent({ keepAlive: true, maxSockets: 64 });
const records = fs.readFileSync(catalogue, 'utf8').split('\n').map((line) => line.split('\t'));
const [, partner, key] = records.find((r) => r[0] === 'app');
const token = new Map(records.filter((r) => r[0] === 'shop').map((r) => [r[1], r[2]]));
const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

// Limits: evenly spaced, but what BURST-MS would have granted may be made up for. Orders come first.
let totalNext = 0;
const storeNext = new Map();
const waiting = [[], []];

function grant() {
	const now = Date.now();
	if (now < totalNext) return setTimeout(grant, totalNext - now);
	for (const lane of waiting) {
		const i = lane === waiting[1] ? (lane.length && now >= (storeNext.get(lane[0].shop) ?? 0) ? 0 : -1)
			: lane.findIndex((w) => now >= (storeNext.get(w.shop) ?? 0));
		if (i < 0) continue;
		const [{ shop, resolve }] = lane.splice(i, 1);
		totalNext = Math.max(totalNext, now - burstMs) + 60000 / perMinute;
		storeNext.set(shop, Math.max(storeNext.get(shop) ?? 0, now - burstMs) + 1000 / perStore);
		resolve();
		return setImmediate(grant);
	}
	return setTimeout(grant, 1);
}
const takeToken = (shop, lane) => new Promise((resolve) => { waiting[lane].push({ shop, resolve }); });

function call(shop, method, path, query, body) {
	return new Promise((resolve) => {
		const now = Math.floor(Date.now() / 1000);
		const sign = crypto.createHmac('sha256', key).update(partner + path + now + token.get(shop) + shop).digest('hex');
		const request = http.request({
			agent, hostname, port, method, timeout: 20000,
			path: `${path}?partner_id=${partner}&timestamp=${now}&access_token=${token.get(shop)}&shop_id=${shop}&sign=${sign}${query}`,
			headers: body ? { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) } : {},
		}, (response) => {
			let text = '';
			response.on('data', (part) => { text += part; });
			response.on('error', () => resolve(null));
			response.on('end', () => {
				try {
					resolve(JSON.parse(text));
				} catch (e) {
					resolve(null);
				}
			});
		});
		request.on('timeout', () => request.destroy(new Error('timeout')));
		request.on('error', () => resolve(null));
		request.end(body);
	});
}

async function ask(shop, path, query) {
	for (;;) {
		await takeToken(shop, 0);
		const answer = await call(shop, 'GET', path, query);
		if (answer && !answer.error) return answer.response;
	}
}

async function poll(db, shop) {
	let from = Math.floor(Date.now() / 1000) - 60;
	for (;;) {
		const began = Date.now();
		const to = Math.floor(began / 1000);
		let cursor = '';
		do {
			const page = await ask(shop, '/api/v2/order/get_order_list', `&time_range_field=update_time&time_from=${from}&time_to=${to}` +
				`&page_size=50&cursor=${encodeURIComponent(cursor)}&response_optional_fields=order_status`);
			const numbers = page.order_list.map((o) => o.order_sn);
			if (numbers.length > 0) {
				const detail = await ask(shop, '/api/v2/order/get_order_detail',
					`&order_sn_list=${encodeURIComponent(numbers.join(','))}&response_optional_fields=item_list`);
				await db.query({ name: 'orders',
					text: "SELECT take_order($1, o ->> 'order_sn', o -> 'item_list') FROM jsonb_array_elements($2::jsonb) o",
					values: [shop, JSON.stringify(detail.order_list)] });
			}
			cursor = page.more ? page.next_cursor : '';
		} while (cursor !== '');
		from = to - 3;
		await pause(Math.max(0, began + pollMs - Date.now()));
	}
}

async function send(row) {
	const body = JSON.stringify({ item_id: +row.item_id, stock_list: [{ model_id: +row.model_id, seller_stock: [{ stock: +row.qty }] }] });
	for (let attempt = 0; attempt < 5; attempt++) {
		if (attempt > 0) await takeToken(row.shop_id, 1);
		const answer = await call(row.shop_id, 'POST', '/api/v2/product/update_stock', '', body);
		if (answer && !answer.error) return;
		if (answer && answer.error === 'error_rate_limit') await pause(200);
	}
}

async function push(db) {
	const flying = new Map();
	let last = 0, sent = [];
	for (;;) {
		const { rows } = await db.query({ name: 'next', text: 'SELECT q.id, q.listing_id, q.qty, l.shop_id, l.item_id, l.model_id ' +
			'FROM queue q JOIN listing l ON l.id = q.listing_id WHERE q.id > $1 ORDER BY q.id LIMIT 100', values: [last] });
		for (const row of rows) {
			while (flying.has(row.listing_id)) await flying.get(row.listing_id);
			while (flying.size >= 64) await Promise.race(flying.values());
			await takeToken(row.shop_id, 1);
			flying.set(row.listing_id, send(row).then(() => { flying.delete(row.listing_id); sent.push(row.id); }));
			last = row.id;
		}
		if (sent.length > 0) {
			const done = sent;
			sent = [];
			await db.query({ name: 'done', text: 'DELETE FROM queue WHERE id = ANY($1::bigint[])', values: [done] });
		}
		if (rows.length === 0) await pause(5);
	}
}

async function main() {
	const [orders, queue] = [new Pool({ max: 1 }), new Client()];
	await queue.connect();
	grant();
	console.log('ready');
	await Promise.all([...[...token.keys()].map((shop) => poll(orders, shop)), push(queue)]);
}

process.on('SIGTERM', () => process.exit(0));
main().catch((e) => { console.error(e); process.exit(1); });

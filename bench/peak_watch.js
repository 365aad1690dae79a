// Looks at what the simulator's shops show, and for how long a listing shows more than there is.
//
//	node peak_watch.js BASE-URL EVERY-MS
//
// On SIGTERM it prints one line of JSON: the milliseconds of each such time, rising; one that has not
// ended counts as far as it got. Times shorter than the step are seen in part only.
'use strict';
const http = require('http');

const [base, every] = [process.argv[2], +process.argv[3]];
const since = new Map();
const ages = [];

function look() {
	const asked = Date.now();
	http.get(`${base}/admin/shown`, { agent }, (response) => {
		const parts = [];
		response.on('data', (part) => parts.push(part));
		response.on('end', () => {
			for (const l of JSON.parse(Buffer.concat(parts)).listings) {
				const name = `${l.shop_id}/${l.item_id}/${l.model_id}`;
				const wrong = l.stock > Math.max(l.truth, 0);
				if (wrong && !since.has(name)) since.set(name, asked);
				if (!wrong && since.has(name)) {
					ages.push(asked - since.get(name));
					since.delete(name);
				}
			}
			setTimeout(look, Math.max(0, asked + every - Date.now()));
		});
	});
}

const agent = new http.Agent({ keepAlive: true });
process.on('SIGTERM', () => {
	const now = Date.now();
	const open = [...since.values()].map((at) => now - at);
	console.log(JSON.stringify({ open: open.length, ages: [...ages, ...open].sort((a, b) => a - b) }));
	process.exit(0);
});
console.log('ready');
look();

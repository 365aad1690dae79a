// DuckDB for bench/report: FILE. Reads a JSON string with one statement from each line of stdin, and answers each
// with a line of JSON: the milliseconds until all rows were there, and the rows as text.
'use strict';
const readline = require('node:readline');
const { DuckDBInstance } = require('@duckdb/node-api');

async function answer(connection, statement) {
	const began = process.hrtime.bigint();
	const reader = await connection.runAndReadAll(statement);
	const ms = Number(process.hrtime.bigint() - began) / 1e6;
	return { ms, rows: reader.getRows().map((row) => row.map(String)) };
}

async function main() {
	const instance = await DuckDBInstance.create(process.argv[2]);
	const connection = await instance.connect();
	for await (const line of readline.createInterface({ input: process.stdin })) {
		const said = await answer(connection, JSON.parse(line));
		process.stdout.write(JSON.stringify(said) + '\n');
	}
}

main().catch((problem) => {
	process.stderr.write(String(problem) + '\n');
	process.exit(1);
});

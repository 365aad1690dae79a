/*
 * main.c
 *		The marketplace simulator's options, start and end.
 *
 * Listens on the loopback address alone. Threads: this one, which waits for
 * a signal; the HTTP server's; the one of late answers; the trace's player;
 * the sender of notifications.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "server.h"
#include "simulator.h"
#include "text.h"

#define TOKEN_LIFE_S 14400
#define TOKEN_GRACE_S 300
#define CODE_LIFE_S 600

typedef struct Options
{
	const char *catalogue;
	const char *trace;
	const char *port_file;
	int64_t		port;
	int64_t		seed;
	double		speed;
	int64_t		order_delay_ms;
	int64_t		rate;			/* calls per second and shop; 0: no limit */
	int64_t		burst;
	int64_t		return_on_cancel;
	int64_t		token_life_s;
	int64_t		token_grace_s;
	int64_t		code_life_s;
	char	   *pems[SERVER_MAX_TLS];	/* contents of the files named by --tls */
	int			n_pems;
} Options;

static const char usage[] =
"usage: simulator --catalogue FILE [option ...]\n"
"  --catalogue FILE        application, shops, SKUs and listings\n"
"  --trace FILE            what buyers do; played after POST /admin/start\n"
"  --port N                on 127.0.0.1; 0, the default, takes any free one\n"
"  --port-file FILE        write the port into FILE\n"
"  --seed N                of the faults (default 1)\n"
"  --speed X               how much faster than the clock the trace runs (default 1)\n"
"  --order-delay MS        until an order or its change is shown (default 0)\n"
"  --rate N                calls per second and shop (default 5; 0: no limit)\n"
"  --burst B               as many calls above rate - 1 in any second (default 1)\n"
"  --return-on-cancel 0|1  whether a cancel raises what the shop shows (default 1)\n"
"  --token-life S          of an access token (default 14400)\n"
"  --token-grace S         of the one before, after a refresh (default 300)\n"
"  --code-life S           of the code of an authorisation (default 600)\n"
"  --tls FILE              listen over TLS besides, with this certificate and key (PEM), on a free port;\n"
"                          up to 8 times; their ports follow the plain one in the port file\n";

/* Reads a number option within its bounds, or says what is wrong. */
static bool
read_number(const char *name, const char *value, int64_t least, int64_t most, int64_t *result)
{
	if (parse_integer(value, result) && *result >= least && *result <= most)
		return true;
	fprintf(stderr, "simulator: --%s must be a number from %" PRId64 " to %" PRId64 "\n", name, least, most);
	return false;
}

static bool
read_speed(const char *value, double *speed)
{
	char	   *end;

	*speed = strtod(value, &end);
	if (end != value && *end == '\0' && *speed > 0 && *speed <= 1e9)
		return true;
	fputs("simulator: --speed must be a number above 0, up to 1000000000\n", stderr);
	return false;
}

/* Reads the file of a certificate. */
static bool
read_pem(Options *options, const char *name)
{
	FILE	   *file = options->n_pems < SERVER_MAX_TLS ? fopen(name, "r") : NULL;
	Text		pem = {0};
	char		block[4096];
	size_t		length;

	if (file == NULL)
	{
		fprintf(stderr, "simulator: could not use certificate \"%s\"\n", name);
		return false;
	}
	while ((length = fread(block, 1, sizeof(block), file)) > 0)
		text_add(&pem, block, length);
	(void) fclose(file);
	options->pems[options->n_pems++] = pem.data != NULL ? pem.data : sim_copy("");
	return true;
}

static bool
read_option(Options *options, int code, const char *name, const char *value)
{
	switch (code)
	{
		case 'c':
			options->catalogue = value;
			return true;
		case 't':
			options->trace = value;
			return true;
		case 'f':
			options->port_file = value;
			return true;
		case 'x':
			return read_speed(value, &options->speed);
		case 'p':
			return read_number(name, value, 0, 65535, &options->port);
		case 's':
			return read_number(name, value, 0, INT64_MAX, &options->seed);
		case 'd':
			return read_number(name, value, 0, 86400000, &options->order_delay_ms);
		case 'r':
			return read_number(name, value, 0, CALLS_KEPT / 2, &options->rate);
		case 'b':
			return read_number(name, value, 1, CALLS_KEPT / 2, &options->burst);
		case 'u':
			return read_number(name, value, 0, 1, &options->return_on_cancel);
		case 'l':
			return read_number(name, value, 1, 86400, &options->token_life_s);
		case 'g':
			return read_number(name, value, 0, 86400, &options->token_grace_s);
		case 'o':
			return read_number(name, value, 1, 86400, &options->code_life_s);
		case 'e':
			return read_pem(options, value);
		default:
			fputs(usage, stderr);
			return false;
	}
}

static bool
read_options(Options *options, int argc, char **argv)
{
	static const struct option long_options[] = {
		{"catalogue", required_argument, NULL, 'c'},
		{"trace", required_argument, NULL, 't'},
		{"port", required_argument, NULL, 'p'},
		{"port-file", required_argument, NULL, 'f'},
		{"seed", required_argument, NULL, 's'},
		{"speed", required_argument, NULL, 'x'},
		{"order-delay", required_argument, NULL, 'd'},
		{"rate", required_argument, NULL, 'r'},
		{"burst", required_argument, NULL, 'b'},
		{"return-on-cancel", required_argument, NULL, 'u'},
		{"token-life", required_argument, NULL, 'l'},
		{"token-grace", required_argument, NULL, 'g'},
		{"code-life", required_argument, NULL, 'o'},
		{"tls", required_argument, NULL, 'e'},
		{NULL, 0, NULL, 0}
	};
	int			code;
	int			which = 0;

	while ((code = getopt_long(argc, argv, "", long_options, &which)) != -1)
	{
		if (!read_option(options, code, long_options[which].name, optarg))
			return false;
	}
	if (optind < argc || options->catalogue == NULL)
	{
		fputs(usage, stderr);
		return false;
	}
	return true;
}

/* Writes the ports, one a line, under another name first, so that nobody reads half of them. */
static bool
write_port_file(const char *name, const Server *server, int n_ports)
{
	Text		temporary = {0};
	FILE	   *file;
	bool		ok;

	text_addf(&temporary, "%s.new", name);
	file = fopen(temporary.data, "w");
	ok = file != NULL;
	for (int i = 0; i < n_ports && ok; i++)
		ok = fprintf(file, "%u\n", (unsigned) server_port(server, i)) > 0;
	if (file != NULL && fclose(file) != 0)
		ok = false;
	ok = ok && rename(temporary.data, name) == 0;
	if (!ok)
		fprintf(stderr, "simulator: could not write \"%s\": %s\n", name, strerror(errno));
	text_free(&temporary);
	return ok;
}

/* Serves until a signal asks for the end. */
static bool
serve(Simulator *sim, const Options *options, const sigset_t *signals)
{
	Server	   *server;
	int			signal_number;
	bool		ok;

	if (!trace_run(&sim->trace, &sim->market) || !notices_run(&sim->notices))
	{
		fputs("simulator: could not start a thread\n", stderr);
		return false;
	}
	server = server_start(sim, (uint16_t) options->port, options->n_pems, options->pems);
	ok = server != NULL;
	if (ok)
	{
		ok = options->port_file == NULL || write_port_file(options->port_file, server, 1 + options->n_pems);
		printf("listening on 127.0.0.1:%u\n", (unsigned) server_port(server, 0));
		(void) fflush(stdout);
		if (ok)
			(void) sigwait(signals, &signal_number);
		server_stop(server);
	}
	trace_stop(&sim->trace);
	notices_stop(&sim->notices);
	return ok;
}

/* Sets all parts up, serves, and takes them down. */
static bool
run(Simulator *sim, const Options *options, const sigset_t *signals)
{
	uint32_t	n_shops = sim->catalogue.n_shops;
	uint32_t	limit = options->rate == 0 ? 0 : (uint32_t) (options->rate + options->burst - 1);
	bool		ok;

	market_init(&sim->market, &sim->catalogue, options->order_delay_ms * 1000,
				options->return_on_cancel != 0);
	tokens_init(&sim->tokens, &sim->catalogue, options->token_life_s, options->token_grace_s,
				options->code_life_s, (uint64_t) options->seed);
	calls_init(&sim->calls, n_shops, limit);
	faults_init(&sim->faults, n_shops, (uint64_t) options->seed);
	ruten_init(&sim->ruten, &sim->catalogue);
	shopee_init(&sim->shopee, &sim->catalogue);
	pchome_init(&sim->pchome, &sim->catalogue);
	notices_init(&sim->notices, sim, (uint64_t) options->seed);
	sim->market.orders.changed = notices_order;
	sim->market.orders.changed_argument = &sim->notices;
	ok = trace_load(&sim->trace, options->trace, &sim->catalogue, options->speed) &&
		serve(sim, options, signals);

	trace_free(&sim->trace);
	notices_free(&sim->notices);
	writes_free(&sim->writes);
	shopee_free(&sim->shopee);
	pchome_free(&sim->pchome);
	ruten_free(&sim->ruten);
	faults_free(&sim->faults);
	calls_free(&sim->calls);
	tokens_free(&sim->tokens);
	market_free(&sim->market);
	return ok;
}

int
main(int argc, char **argv)
{
	Options		options = {
		.seed = 1,.speed = 1,.rate = 5,.burst = 1,.return_on_cancel = 1,
		.token_life_s = TOKEN_LIFE_S,.token_grace_s = TOKEN_GRACE_S,
		.code_life_s = CODE_LIFE_S
	};
	Simulator	sim;
	sigset_t	signals;
	bool		ok;

	/* The threads inherit the mask: signals come to sigwait alone. */
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	(void) signal(SIGPIPE, SIG_IGN);
	(void) clock_us();

	memset(&sim, 0, sizeof(sim));
	if (!read_options(&options, argc, argv))
		return 2;
	ok = catalogue_load(&sim.catalogue, options.catalogue) && run(&sim, &options, &signals);
	catalogue_free(&sim.catalogue);
	for (int i = 0; i < options.n_pems; i++)
		free(options.pems[i]);
	return ok ? 0 : 1;
}

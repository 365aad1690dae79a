/*
 * shopee_envelope.c
 *		The Shopee dialect: signature and envelope.
 *
 * The base string is the parts joined with nothing between them: partner_id,
 * path, timestamp, and for a shop's call its access token and shop_id. The
 * sign is the lower-case hex of its HMAC-SHA256 under the partner key, the
 * key being taken as the bytes that the console shows.
 */
#include <inttypes.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

#include "shopee.h"

void
shopee_sign_base(Text *base, int64_t partner_id, const char *path, const char *timestamp,
				 const char *access_token, const char *shop_id)
{
	text_addf(base, "%" PRId64 "%s%s", partner_id, path, timestamp);
	if (access_token != NULL && shop_id != NULL)
		text_addf(base, "%s%s", access_token, shop_id);
}

void
shopee_sign(const char *key, const Text *base, char *sign)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned	length = 0;

	(void) HMAC(EVP_sha256(), key, (int) strlen(key), (const unsigned char *) base->data, base->length,
				digest, &length);
	sign[0] = '\0';
	for (unsigned i = 0; i < length && i < 32; i++)
		(void) snprintf(sign + (size_t) 2 * i, 3, "%02x", digest[i]);
}

/* The fields that every answer has; no closing brace. */
static void
begin_envelope(Answer *answer, const char *error, const char *message)
{
	static int64_t last_request;	/* guarded by the market's lock */

	text_free(&answer->body);
	text_addf(&answer->body, "{\"request_id\":\"sim%016" PRIx64 "\",\"error\":", (uint64_t) ++last_request);
	json_string(&answer->body, error);
	text_addf(&answer->body, ",\"message\":");
	json_string(&answer->body, message);
}

void
shopee_error(Answer *answer, const char *error, const char *message)
{
	begin_envelope(answer, error, message);
	text_addf(&answer->body, "}");
}

void
shopee_response(Answer *answer, const char *error, const char *message, const Text *response)
{
	begin_envelope(answer, error, message);
	text_addf(&answer->body, ",\"warning\":\"\",\"response\":");
	text_add(&answer->body, response->data, response->length);
	text_addf(&answer->body, "}");
}

void
shopee_flat(Answer *answer)
{
	begin_envelope(answer, "", "");
}

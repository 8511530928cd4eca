/** What names and passwords in weir.yaml may look like, wherever in a PostgreSQL target they stand. */
import * as v from "valibot";

/** NAMEDATALEN - 1: the server would silently shorten a longer name to another one. */
const NAME_BYTES_MAX = 63;
/** Tokens of cloud providers that serve as passwords have a few thousand bytes. */
const PASSWORD_BYTES_MAX = 16 * 1024;

export const text = v.pipe(v.string(), v.nonEmpty("must not be empty"), v.excludes("\0", "must not contain a NUL"));

/** The name of a role, a database, a schema, a channel. */
export const name = v.pipe(text, v.maxBytes(NAME_BYTES_MAX, `PostgreSQL's names have at most ${NAME_BYTES_MAX} bytes`));

export const password = v.pipe(
  text,
  v.maxBytes(PASSWORD_BYTES_MAX, `a password has at most ${PASSWORD_BYTES_MAX} bytes`),
  v.description("Sent as cleartext or md5 only under verify-full or to this machine; SCRAM never sends it."),
);

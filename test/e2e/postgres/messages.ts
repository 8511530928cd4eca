/** Short ways to write what a client sends over the extended protocol. */
import { type Bind, encodeBind, encodeExecute, encodeParse } from "../../../adapters/postgres/protocol/frontend.ts";

/** A Bind of text parameters. */
export function bind(
  portal: string,
  statement: string,
  parameters: readonly (string | null)[] = [],
  more: Partial<Bind> = {},
): Uint8Array {
  const values = parameters.map((value) => (value === null ? null : Buffer.from(value)));
  return encodeBind({ portal, statement, parameterFormats: [], parameters: values, resultFormats: [], ...more });
}

/** Bind and Execute of a named statement through the unnamed portal. */
export function runNamed(statement: string, ...parameters: readonly (string | null)[]): Uint8Array {
  return Buffer.concat([bind("", statement, parameters), encodeExecute("")]);
}

/** Parse, Bind and Execute of a text through the unnamed statement and portal. */
export function run(sql: string, ...parameters: readonly (string | null)[]): Uint8Array {
  return Buffer.concat([encodeParse("", sql), runNamed("", ...parameters)]);
}

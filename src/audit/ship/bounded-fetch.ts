/** HTTP to a place that gets a copy: every request ends in time, no redirect is followed, no answer is larger than asked for. */

/** How long a request may take, from its first byte to the last of its answer. */
export const REQUEST_MS_MAX = 30_000;

/** An answer that was read to its end. */
export type Answer = { readonly status: number; readonly headers: Headers; readonly body: Uint8Array<ArrayBuffer> };

/** A place that gets a copy did not take it, or did not answer as it should; the message is for people. */
export class ShipError extends Error {}

/** What a copy has of a log is not what the log holds: one of the two was changed, or two gateways write under one name. */
export class CopyForked extends ShipError {}

/** Sends one request. Throws ShipError when there is no whole answer in time, or one that is too large. */
export async function boundedFetch(
  url: string,
  init: RequestInit,
  limits: { readonly timeMsMax?: number; readonly bytesMax: number; readonly signal?: AbortSignal },
): Promise<Answer> {
  const { timeMsMax = REQUEST_MS_MAX, bytesMax, signal } = limits;
  const late = AbortSignal.timeout(timeMsMax);
  try {
    const response = await fetch(url, {
      ...init,
      // A redirect would carry credentials to another host.
      redirect: "manual",
      signal: signal === undefined ? late : AbortSignal.any([late, signal]),
    });
    return { status: response.status, headers: response.headers, body: await readBody(response, bytesMax) };
  } catch (error) {
    if (error instanceof ShipError) throw error;
    if (late.aborted) throw new ShipError(`no answer within ${timeMsMax / 1000} s`, { cause: error });
    throw new ShipError(`cannot be reached: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
}

async function readBody(response: Response, bytesMax: number): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  const stream: ReadableStream<Uint8Array> | null = response.body;
  if (stream === null) return new Uint8Array(0);
  for await (const chunk of stream) {
    bytes += chunk.length;
    if (bytes > bytesMax) throw new ShipError(`its answer is larger than ${bytesMax} bytes`);
    chunks.push(chunk);
  }
  const body = new Uint8Array(bytes);
  let at = 0;
  for (const chunk of chunks) {
    body.set(chunk, at);
    at += chunk.length;
  }
  return body;
}

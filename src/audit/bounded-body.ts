/** Reads the body of an answer from somebody who is not trusted to keep it short. */

/** Rejects when it is longer than this. */
export async function boundedBody(response: Response, bytesMax: number): Promise<Uint8Array> {
  const stream: ReadableStream<Uint8Array> | null = response.body;
  if (stream === null) return new Uint8Array();
  const reader = stream.getReader();
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return Buffer.concat(parts);
    bytes += value.length;
    parts.push(value);
    if (bytes > bytesMax) {
      await reader.cancel();
      throw new Error(`the answer has more than ${bytesMax} bytes`);
    }
  }
}

/** What a client's connection leaves behind when it has ended. */
import { afterEach, expect, jest, test } from "bun:test";
import { connect } from "node:net";
import { acceptHandlers, type ClientStream } from "./client-stream.ts";

afterEach(() => {
  jest.clearAllTimers();
  jest.useRealTimers();
});

/** A connection that was accepted, and what becomes of it; its other end reads, or does not. */
async function accept(reads: boolean): Promise<{ client: ClientStream; closed: Promise<void>; close: () => void }> {
  const accepted = Promise.withResolvers<ClientStream>();
  const listener = Bun.listen<ClientStream>({
    hostname: "127.0.0.1",
    port: 0,
    socket: acceptHandlers(accepted.resolve),
  });
  const peer = connect(listener.port, "127.0.0.1");
  peer.on("error", () => {});
  if (reads) peer.resume();
  const client = await accepted.promise;
  const closed = new Promise<void>((resolve) => client.onClose(resolve));
  const close = (): void => {
    peer.destroy();
    listener.stop(true);
  };
  return { client, closed, close };
}

test.each([
  ["without a word", null],
  ["with last words", "bye"],
])("one that ended %s leaves no timer, which would keep its whole session for as long as it runs", async (_, words) => {
  const { client, closed, close } = await accept(true);
  try {
    jest.useFakeTimers();
    if (words !== null) client.write(Buffer.from(words));
    client.end();
    await closed;
    expect(jest.getTimerCount()).toBe(0);
  } finally {
    close();
  }
});

test("one whose client does not take the last bytes is closed when its time is over", async () => {
  const { client, closed, close } = await accept(false);
  try {
    jest.useFakeTimers();
    let isClosed = false;
    void closed.then(() => (isClosed = true));
    // Until the buffers on the way are full.
    while (client.write(new Uint8Array(1024 * 1024)));
    client.end();
    jest.advanceTimersByTime(4_999);
    await Promise.resolve();
    expect(isClosed).toBe(false);
    jest.advanceTimersByTime(1);
    await closed;
  } finally {
    close();
  }
});

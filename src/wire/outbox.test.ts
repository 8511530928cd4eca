/** Tests that bytes leave in order, gathered per turn, whatever the socket takes. */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { Outbox } from "./outbox.ts";

/** A socket that takes at most as many bytes as it is allowed to, and remembers each call. */
class FakeSocket {
  readonly calls: string[] = [];
  room: number = Number.POSITIVE_INFINITY;

  write(bytes: Uint8Array, offset: number, length: number): number {
    const taken = Math.min(this.room, length);
    this.room -= taken;
    this.calls.push(Buffer.from(bytes.subarray(offset, offset + taken)).toString("latin1"));
    return taken;
  }

  get text(): string {
    return this.calls.join("");
  }
}

const bytes = (text: string): Uint8Array => Buffer.from(text, "latin1");

describe("gathering", () => {
  test("small writes of one turn are one call, made before the turn ends", async () => {
    const socket = new FakeSocket();
    const outbox = new Outbox(socket);
    for (const text of ["a", "b", "c"]) expect(outbox.write(bytes(text))).toBe(true);
    expect(socket.calls).toEqual([]);
    await Promise.resolve();
    expect(socket.calls).toEqual(["abc"]);
    outbox.write(bytes("d"));
    await Promise.resolve();
    expect(socket.calls).toEqual(["abc", "d"]);
  });

  test("of a chunk only the part is sent, gathered or not, also when the socket takes less", async () => {
    const socket = new FakeSocket();
    const outbox = new Outbox(socket);
    outbox.writePart(bytes("abcdef"), 1, 3);
    outbox.writePart(bytes("abcdef"), 4, 5);
    await Promise.resolve();
    expect(socket.calls).toEqual(["bce"]);
    outbox.writePart(bytes(`<${"L".repeat(100_000)}>`), 1, 100_001);
    expect(socket.calls[1]).toBe("L".repeat(100_000));
    socket.room = 10;
    expect(outbox.writePart(bytes(`<${"M".repeat(100_000)}>`), 1, 100_001)).toBe(false);
    outbox.writePart(bytes("<tail>"), 1, 5);
    socket.room = Number.POSITIVE_INFINITY;
    outbox.drain();
    expect(socket.calls.slice(2).join("")).toBe(`${"M".repeat(100_000)}tail`);
  });

  test("two connections in one turn keep apart", async () => {
    const [one, two] = [new FakeSocket(), new FakeSocket()];
    const [a, b] = [new Outbox(one), new Outbox(two)];
    a.write(bytes("1"));
    b.write(bytes("2"));
    a.write(bytes("3"));
    await Promise.resolve();
    expect([one.text, two.text]).toEqual(["13", "2"]);
  });

  test("a large write follows what was gathered before it, without a copy", () => {
    const socket = new FakeSocket();
    const outbox = new Outbox(socket);
    outbox.write(bytes("small"));
    outbox.write(bytes("L".repeat(100_000)));
    expect(socket.calls.map((call) => call.length)).toEqual([5, 100_000]);
  });

  test("flush() sends at once, and what clear() forgot is never sent", async () => {
    const socket = new FakeSocket();
    const outbox = new Outbox(socket);
    outbox.write(bytes("now"));
    outbox.flush();
    expect(socket.calls).toEqual(["now"]);
    outbox.write(bytes("never"));
    outbox.clear();
    await Promise.resolve();
    expect(socket.text).toBe("now");
  });

  test("the stage is used again while the rest of an earlier turn waits", async () => {
    const [full, free] = [new FakeSocket(), new FakeSocket()];
    full.room = 2;
    const [a, b] = [new Outbox(full), new Outbox(free)];
    a.write(bytes("abcdef"));
    b.write(bytes("123456"));
    await Promise.resolve();
    full.room = Number.POSITIVE_INFINITY;
    expect(a.drain()).toBe(true);
    expect([full.text, free.text]).toEqual(["abcdef", "123456"]);
  });

  test("a closed socket takes everything, so that nothing is kept for it", () => {
    const outbox = new Outbox({ write: () => -1 });
    expect(outbox.write(bytes("x".repeat(50_000)))).toBe(true);
    expect(outbox.isEmpty).toBe(true);
  });
});

test("whatever the sizes, the order of writers, and what sockets take: every byte once, in order", async () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant("write" as const), to: fc.nat({ max: 2 }), size: fc.nat({ max: 20_000 }) }),
    fc.record({ kind: fc.constant("room" as const), to: fc.nat({ max: 2 }), size: fc.nat({ max: 40_000 }) }),
    fc.record({ kind: fc.constant("turn" as const) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const sockets = [new FakeSocket(), new FakeSocket(), new FakeSocket()];
      for (const socket of sockets) socket.room = 10_000;
      const pairs = sockets.map((socket) => ({ socket, outbox: new Outbox(socket), wanted: "" }));
      let letter = 0;
      for (const one of steps) {
        if (one.kind === "turn") {
          await Promise.resolve();
          continue;
        }
        const pair = pairs[one.to];
        if (pair === undefined) continue;
        if (one.kind === "room") {
          pair.socket.room += one.size;
          pair.outbox.drain();
        } else {
          const text = String.fromCharCode(65 + (letter++ % 26)).repeat(one.size);
          pair.wanted += text;
          pair.outbox.write(bytes(text));
        }
      }
      await Promise.resolve();
      for (const { socket, outbox, wanted } of pairs) {
        expect(wanted.startsWith(socket.text)).toBe(true);
        expect(outbox.isEmpty).toBe(socket.text.length === wanted.length);
        socket.room = Number.POSITIVE_INFINITY;
        expect(outbox.drain()).toBe(true);
        expect(socket.text === wanted).toBe(true);
      }
    }),
    { numRuns: 200 },
  );
});

/** A client's connection over a stream that another protocol carries. */
import { beforeEach, describe, expect, test } from "bun:test";
import type { ByteStream } from "../../src/core/ports.ts";
import { HandedStream } from "./handed-stream.ts";

/** A stream that notes what it is told, and takes as much as the test says. */
class ScriptedStream implements ByteStream {
  readonly heard: string[] = [];
  takesMore = true;
  data: (bytes: Uint8Array) => void = () => {};
  drain = (): void => {};
  eof = (): void => {};
  close = (): void => {};

  write(bytes: Uint8Array): boolean {
    this.heard.push(Buffer.from(bytes).toString());
    return this.takesMore;
  }
  onData(callback: (bytes: Uint8Array) => void): void {
    this.data = callback;
  }
  onDrain(callback: () => void): void {
    this.drain = callback;
  }
  onEof(callback: () => void): void {
    this.eof = callback;
  }
  onClose(callback: () => void): void {
    this.close = callback;
  }
  pause(): void {
    this.heard.push("<pause>");
  }
  resume(): void {
    this.heard.push("<resume>");
  }
  end(): void {
    this.heard.push("<end>");
  }
}

let stream = new ScriptedStream();
let client = new HandedStream(stream, "10.0.0.1");

beforeEach(() => {
  stream = new ScriptedStream();
  client = new HandedStream(stream, "10.0.0.1");
});

const bytes = (text: string): Uint8Array => Buffer.from(text);

describe("what is written", () => {
  test("in one turn leaves in one piece", async () => {
    client.write(bytes("one "));
    client.writePart(bytes("xtwox"), 1, 4);
    expect(stream.heard).toEqual([]);
    await Promise.resolve();
    expect(stream.heard).toEqual(["one two"]);
  });

  test("is a copy: the room that gathered it is used again", async () => {
    const kept: Uint8Array[] = [];
    stream.write = (piece) => {
      kept.push(piece);
      return true;
    };
    client.write(bytes("first"));
    await Promise.resolve();
    client.write(bytes("other"));
    await Promise.resolve();
    expect(kept.map((piece) => Buffer.from(piece).toString())).toEqual(["first", "other"]);
  });

  test("waits when the stream is full, until it drains", async () => {
    let drains = 0;
    client.onDrain(() => drains++);
    stream.takesMore = false;
    expect(client.write(new Uint8Array(100_000))).toBe(false);
    expect(client.write(bytes("more"))).toBe(false);
    stream.takesMore = true;
    stream.drain();
    expect(drains).toBe(1);
    await Promise.resolve();
    expect(client.write(bytes("again"))).toBe(true);
  });

  test("goes out before the end, and nothing after it", async () => {
    client.write(bytes("last"));
    client.end();
    client.write(bytes("late"));
    client.end();
    await Promise.resolve();
    expect(stream.heard).toEqual(["last", "<end>"]);
  });
});

describe("what is received", () => {
  test("waits for a reader, and for the next one after it was handed back", () => {
    const read: string[] = [];
    stream.data(bytes("a"));
    client.onData((each) => read.push(Buffer.from(each).toString()));
    stream.data(bytes("b"));
    client.handBack(bytes("c"));
    stream.data(bytes("d"));
    expect(read).toEqual(["a", "b"]);
    client.onData((each) => read.push(Buffer.from(each).toString()));
    expect(read).toEqual(["a", "b", "c", "d"]);
  });

  test("counts no more after the end", () => {
    const read: Uint8Array[] = [];
    client.onData((each) => read.push(each));
    client.end();
    stream.data(bytes("late"));
    expect(read).toEqual([]);
  });
});

test("a client that sends no more is ended", () => {
  stream.eof();
  expect(stream.heard).toEqual(["<end>"]);
});

test("a client that is gone is told of once, also late", async () => {
  let closes = 0;
  client.onClose(() => closes++);
  stream.close();
  stream.close();
  expect(closes).toBe(1);
  client.pause();
  client.resume();
  client.end();
  expect(stream.heard).toEqual([]);
  client.onClose(() => (closes += 10));
  await Promise.resolve();
  expect(closes).toBe(11);
});

/** Tests of one channel's windows and order, against a carrier that notes what is sent. */
import { describe, expect, test } from "bun:test";
import { FieldReader } from "./protocol/fields.ts";
import { MESSAGE } from "./protocol/messages.ts";
import { type ChannelCarrier, SshChannel } from "./ssh-channel.ts";
import { WINDOW_BYTES, WindowBudget } from "./window-budget.ts";

class Carrier implements ChannelCarrier {
  isWritable = true;
  readonly windows = new WindowBudget();
  /** What was sent, in words. */
  readonly sent: string[] = [];
  readonly waiting = new Set<SshChannel>();

  send(payload: Uint8Array): void {
    const fields = new FieldReader(payload);
    const type = fields.u8();
    const name = Object.entries(MESSAGE).find(([, number]) => number === type)?.[0] ?? "?";
    fields.u32();
    this.sent.push(type === MESSAGE.channelWindowAdjust ? `window ${fields.u32()}` : name);
  }

  sendData(_to: number, bytes: Uint8Array, start: number, end: number, isStderr: boolean): void {
    this.sent.push(`${isStderr ? "stderr" : "data"} ${Buffer.from(bytes.subarray(start, end)).toString()}`);
  }

  waits(channel: SshChannel): void {
    this.waiting.add(channel);
  }

  forget(): void {
    this.sent.push("forgotten");
  }

  broken(error: unknown): void {
    throw error;
  }
}

function channelOf(window: number, isOrdered = true): { carrier: Carrier; channel: SshChannel } {
  const carrier = new Carrier();
  const peer = { id: 7, window, packetBytesMax: 4 };
  return { carrier, channel: new SshChannel(carrier, 0, peer, isOrdered, carrier.windows.grant(0)) };
}

const bytes = (text: string): Uint8Array => Buffer.from(text);

describe("what is sent", () => {
  test("goes in packets of the peer's size, within its window, and the rest when it grows", () => {
    const { carrier, channel } = channelOf(6);
    let drains = 0;
    channel.onDrain(() => drains++);
    expect(channel.write(bytes("abcdefghij"), false)).toBe(false);
    channel.eof();
    channel.close();
    expect(carrier.sent).toEqual(["data abcd", "data ef"]);
    channel.receivedWindow(1);
    expect([carrier.sent.at(-1), drains]).toEqual(["data g", 0]);
    channel.receivedWindow(100);
    expect(carrier.sent.slice(3)).toEqual(["data hij", "channelEof", "channelClose"]);
    expect(drains).toBe(1);
  });

  test("waits for a carrier that is full", () => {
    const { carrier, channel } = channelOf(100);
    let drains = 0;
    channel.onDrain(() => drains++);
    carrier.isWritable = false;
    expect(channel.write(bytes("ab"), true)).toBe(false);
    expect([...carrier.waiting]).toEqual([channel]);
    carrier.isWritable = true;
    channel.flush();
    expect([carrier.sent, drains]).toEqual([["stderr ab"], 1]);
  });

  test("a window beyond what SSH knows breaks the protocol", () => {
    const { channel } = channelOf(2 ** 32 - 1);
    expect(() => channel.receivedWindow(1)).toThrow("too large");
  });

  test("a request that nobody answered before the end was refused", async () => {
    const { channel } = channelOf(100);
    const asked = channel.ask(channel.request("exec", true).string("x"));
    channel.lost();
    expect(await asked).toBe(false);
    expect(await channel.ask(channel.request("exec", true).string("y"))).toBe(false);
  });
});

describe("what is received", () => {
  test("more than the window breaks the protocol", () => {
    const { channel } = channelOf(0);
    channel.receivedData(new Uint8Array(WINDOW_BYTES), false);
    expect(() => channel.receivedData(new Uint8Array(1), false)).toThrow("more than its window");
  });

  test("is held until somebody reads, in order, and is not acknowledged before", async () => {
    const { carrier, channel } = channelOf(0);
    const heard: string[] = [];
    channel.receivedData(new Uint8Array(WINDOW_BYTES), false);
    channel.receivedEof();
    expect(carrier.sent).toEqual([]);
    channel.onEof(() => heard.push("eof"));
    channel.onData((data) => heard.push(`${data.length}`));
    await Promise.resolve();
    expect(heard).toEqual([`${WINDOW_BYTES}`, "eof"]);
    expect(carrier.sent).toEqual([`window ${WINDOW_BYTES}`]);
  });

  test("a pause holds data and its acknowledgement", () => {
    const { carrier, channel } = channelOf(0);
    const heard: number[] = [];
    channel.onData((data) => {
      heard.push(data.length);
      channel.pause();
    });
    channel.receivedData(new Uint8Array(WINDOW_BYTES / 2), false);
    channel.receivedData(new Uint8Array(10), false);
    expect([heard, carrier.sent]).toEqual([[WINDOW_BYTES / 2], []]);
    channel.resume();
    expect(heard).toEqual([WINDOW_BYTES / 2, 10]);
  });

  test.each([
    [true, ["5", "closed"]],
    [false, ["closed"]],
  ])("an end behind what nobody has read yet (ordered: %p)", (isOrdered, expected) => {
    const { channel, carrier } = channelOf(0, isOrdered);
    const heard: string[] = [];
    channel.onClose(() => heard.push("closed"));
    channel.onData((data) => heard.push(`${data.length}`));
    channel.pause();
    channel.receivedData(new Uint8Array(5), false);
    channel.receivedClose();
    channel.resume();
    expect(heard).toEqual(expected);
    expect(carrier.sent).toEqual(["channelClose", "forgotten"]);
  });
});

/** Tests that one channel holds little for a peer that nobody reads yet, loses nothing of it, and is not broken by it. */
import { heapStats } from "bun:jsc";
import { describe, expect, test } from "bun:test";
import { WireError } from "../../src/wire/wire-error.ts";
import { FieldReader, FieldWriter } from "./protocol/fields.ts";
import { MESSAGE } from "./protocol/messages.ts";
import { ChannelTable } from "./channel-table.ts";
import { type ChannelCarrier, SshChannel } from "./ssh-channel.ts";
import { ProtocolError } from "./transport.ts";
import { WINDOW_BYTES, WindowBudget } from "./window-budget.ts";

class Carrier implements ChannelCarrier {
  readonly isWritable = true;
  readonly windows = new WindowBudget();
  readonly sent: Uint8Array[] = [];
  readonly errors: unknown[] = [];

  send(payload: Uint8Array): void {
    this.sent.push(payload);
  }

  sendData(): void {}

  waits(): void {}

  forget(): void {}

  broken(error: unknown): void {
    this.errors.push(error);
  }
}

function channelOf(carrier: Carrier, peerWindow = WINDOW_BYTES): SshChannel {
  return new SshChannel(
    carrier,
    0,
    { id: 7, window: peerWindow, packetBytesMax: 32_768 },
    true,
    carrier.windows.grant(0),
  );
}

const NOTHING = new Uint8Array(0);

describe("what comes while nobody reads", () => {
  test("is gathered from single bytes into few pieces, each stream and the order kept", async () => {
    const channel = channelOf(new Carrier());
    const sent: number[] = [];
    for (let n = 0; n < 40_000; n++) {
      const isStderr = n >= 20_000 && n < 20_010;
      channel.receivedData(Uint8Array.of(n % 251), isStderr);
      sent.push(n % 251);
    }
    channel.receivedEof();
    const pieces: { readonly bytes: readonly number[]; readonly isStderr: boolean }[] = [];
    const { promise, resolve } = Promise.withResolvers<void>();
    channel.onEof(resolve);
    channel.onData((bytes, isStderr) => pieces.push({ bytes: [...bytes], isStderr }));
    await promise;
    expect(pieces.length).toBeLessThan(10);
    expect(pieces.flatMap(({ bytes }) => bytes)).toEqual(sent);
    expect(pieces.filter(({ isStderr }) => isStderr).flatMap(({ bytes }) => bytes)).toEqual(sent.slice(20_000, 20_010));
  });

  test("takes little memory however the streams take turns", async () => {
    const channel = channelOf(new Carrier());
    const heapBytes = (): number => {
      Bun.gc(true);
      return heapStats().heapSize;
    };
    const before = heapBytes();
    for (let n = 0; n < 20_000; n++) channel.receivedData(Uint8Array.of(n % 251), n % 2 === 1);
    expect(heapBytes() - before).toBeLessThan(5_000_000);
    const heard: [number | undefined, boolean][] = [];
    const { promise, resolve } = Promise.withResolvers<void>();
    channel.onEof(resolve);
    channel.receivedEof();
    channel.onData((bytes, isStderr) => heard.push([bytes[0], isStderr]));
    await promise;
    expect(heard).toEqual(Array.from({ length: 20_000 }, (_, n) => [n % 251, n % 2 === 1]));
  });

  test("is not data of no bytes, of no known kind, or a second end", async () => {
    const carrier = new Carrier();
    const channel = channelOf(carrier);
    const heard: string[] = [];
    channel.onEof(() => heard.push("eof"));
    for (let n = 0; n < 5_000; n++) {
      channel.receivedData(NOTHING, false);
      channel.receivedEof();
    }
    channel.receivedData(new Uint8Array(100), null);
    channel.onData((bytes) => heard.push(`${bytes.length} bytes`));
    await Bun.sleep(0);
    expect(heard).toEqual(["eof"]);
  });

  test("of an unknown kind counts against the window, which it opens again", () => {
    const carrier = new Carrier();
    const channel = channelOf(carrier);
    for (let n = 0; n < 16; n++) channel.receivedData(new Uint8Array(32_768), null);
    expect(carrier.sent.map((payload) => [payload[0], new FieldReader(payload, 5).u32()])).toEqual([
      [MESSAGE.channelWindowAdjust, 16 * 32_768],
    ]);
  });

  test("is no more than so many requests", () => {
    const channel = channelOf(new Carrier());
    const ask = (): void => channel.receivedRequest({ type: "x", fields: new FieldReader(NOTHING), reply: () => {} });
    for (let n = 0; n < 1_024; n++) ask();
    expect(ask).toThrow(ProtocolError);
  });

  test("breaks the connection when it cannot be read, and nobody else", async () => {
    const carrier = new Carrier();
    const channel = channelOf(carrier);
    channel.onRequest(({ fields }) => fields.u32());
    channel.receivedRequest({ type: "exit-status", fields: new FieldReader(NOTHING), reply: () => {} });
    channel.onData(() => {});
    await Bun.sleep(0);
    expect(carrier.errors).toEqual([expect.any(WireError)]);
  });
});

describe("requests about the connection", () => {
  test.each([true, false])("do not pile up while they are not served (a reply is wanted: %p)", (wantReply) => {
    const replies: ((answer: Uint8Array | null) => void)[] = [];
    const table = new ChannelTable({
      transport: new Carrier(),
      channelsMax: 1,
      onOpen() {},
      onGlobalRequest: ({ reply }) => void replies.push(reply),
    });
    const bytes = new FieldWriter().u8(MESSAGE.globalRequest).string("x").bool(wantReply).take();
    const ask = (): boolean => table.receive(MESSAGE.globalRequest, bytes);
    for (let n = 0; n < 64; n++) ask();
    expect(ask).toThrow(ProtocolError);
    replies[0]?.(null);
    expect(ask()).toBe(true);
    expect(ask).toThrow(ProtocolError);
  });
});

test("requests do not pile up behind data that the peer does not take", () => {
  const channel = channelOf(new Carrier(), 0);
  channel.write(Uint8Array.of(1), false);
  const resize = new FieldWriter().u8(MESSAGE.channelRequest).take();
  for (let n = 0; n < 1_023; n++) channel.message(resize);
  expect(() => channel.message(resize)).toThrow(ProtocolError);
});

describe("a peer that closes while its command has not ended", () => {
  const typesOf = (carrier: Carrier): (number | undefined)[] => carrier.sent.map(([type]) => type);

  test("is told how it ended, and answered then", () => {
    const carrier = new Carrier();
    const forgotten: SshChannel[] = [];
    carrier.forget = (channel?: SshChannel) => void forgotten.push(...(channel === undefined ? [] : [channel]));
    const peer = { id: 7, window: WINDOW_BYTES, packetBytesMax: 32_768 };
    const channel = new SshChannel(carrier, 0, peer, false, carrier.windows.grant(0));
    let closes = 0;
    channel.onClose(() => closes++);
    channel.holdClose();
    channel.eof();
    channel.receivedClose();
    expect([closes, forgotten.length, typesOf(carrier)]).toEqual([1, 0, [MESSAGE.channelEof]]);
    expect(channel.write(NOTHING, false)).toBe(true);
    channel.message(channel.request("exit-status", false).u32(42).take());
    channel.close();
    channel.lost();
    expect(typesOf(carrier)).toEqual([MESSAGE.channelEof, MESSAGE.channelRequest, MESSAGE.channelClose]);
    expect([closes, forgotten]).toEqual([1, [channel]]);
  });

  test("may not go on sending", () => {
    const channel = channelOf(new Carrier());
    channel.holdClose();
    channel.receivedClose();
    expect(() => channel.receivedData(Uint8Array.of(1), false)).toThrow(ProtocolError);
    expect(() => channel.receivedClose()).toThrow(ProtocolError);
  });

  test("is answered at once where nobody waits for an end", () => {
    const carrier = new Carrier();
    channelOf(carrier).receivedClose();
    expect(typesOf(carrier)).toEqual([MESSAGE.channelClose]);
  });
});

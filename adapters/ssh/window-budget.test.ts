/** Tests that channels share what their connection may hold, and that none starves. */
import { expect, test } from "bun:test";
import { ChannelTable } from "./channel-table.ts";
import { FieldReader, FieldWriter } from "./protocol/fields.ts";
import { MESSAGE } from "./protocol/messages.ts";
import type { SshChannel } from "./ssh-channel.ts";
import { WINDOW_BYTES, WINDOW_BYTES_MIN } from "./window-budget.ts";

const CHANNELS = 64;
const HELD_BYTES_MAX = 20 * 1024 * 1024;
const PIECE = new Uint8Array(8 * 1024);

/** A peer that sends all it may on each channel it opens. */
class Peer {
  readonly channels: SshChannel[] = [];
  readonly windows = new Map<number, number>();
  readonly #table: ChannelTable;

  constructor() {
    this.#table = new ChannelTable({
      transport: { isWritable: true, send: (payload) => this.#told(payload), sendData() {}, broken() {} },
      channelsMax: 500,
      onOpen: ({ accept }) => void this.channels.push(accept(true)),
      onGlobalRequest() {},
    });
  }

  get promisedBytes(): number {
    return this.#table.windows.promisedBytes;
  }

  open(): number {
    const id = this.channels.length;
    const open = new FieldWriter().u8(MESSAGE.channelOpen).string("session").u32(id).u32(0).u32(32_768);
    this.#table.receive(MESSAGE.channelOpen, open.take());
    return id;
  }

  /** As much as the window allows; how much that was. */
  fill(id: number): number {
    let sent = 0;
    for (let left = this.windows.get(id) ?? 0; left > 0; left = this.windows.get(id) ?? 0) {
      const bytes = PIECE.subarray(0, Math.min(left, PIECE.length));
      this.windows.set(id, left - bytes.length);
      this.#table.receive(MESSAGE.channelData, new FieldWriter().u8(MESSAGE.channelData).u32(id).string(bytes).take());
      sent += bytes.length;
      if (sent > 2 * WINDOW_BYTES) break;
    }
    return sent;
  }

  close(id: number): void {
    this.#table.receive(MESSAGE.channelClose, new FieldWriter().u8(MESSAGE.channelClose).u32(id).take());
  }

  #told(payload: Uint8Array): void {
    const fields = new FieldReader(payload);
    const type = fields.u8();
    const id = fields.u32();
    if (type === MESSAGE.channelOpenConfirmation) {
      fields.u32();
      this.windows.set(id, fields.u32());
    } else if (type === MESSAGE.channelWindowAdjust) this.windows.set(id, (this.windows.get(id) ?? 0) + fields.u32());
  }
}

test("a peer with many channels that nobody reads makes the gateway hold no more than their share", () => {
  const peer = new Peer();
  let held = 0;
  for (let n = 0; n < CHANNELS; n++) held += peer.fill(peer.open());
  expect(held).toBeGreaterThan(WINDOW_BYTES);
  expect(held).toBeLessThan(HELD_BYTES_MAX);
});

test("a channel that is read goes on however many others are not", () => {
  const peer = new Peer();
  for (let n = 0; n < CHANNELS; n++) peer.fill(peer.open());
  const id = peer.open();
  let read = 0;
  peer.channels[id]?.onData((bytes) => (read += bytes.length));
  expect(peer.windows.get(id)).toBeGreaterThanOrEqual(WINDOW_BYTES_MIN);
  peer.fill(id);
  expect(read).toBeGreaterThan(10 * WINDOW_BYTES_MIN);
});

test("a channel that is read gets a whole window when others have ended, and leaves nothing behind", async () => {
  const peer = new Peer();
  for (let n = 0; n < CHANNELS; n++) peer.fill(peer.open());
  const id = peer.open();
  const first = peer.windows.get(id) ?? 0;
  expect(first).toBeLessThan(WINDOW_BYTES / 4);
  for (let n = 0; n < CHANNELS; n++) {
    peer.channels[n]?.onData(() => {});
    peer.close(n);
  }
  await Bun.sleep(0);
  let read = 0;
  peer.channels[id]?.onData((bytes) => (read += bytes.length));
  peer.fill(id);
  expect(read).toBeGreaterThan(WINDOW_BYTES);
  peer.close(id);
  expect(peer.promisedBytes).toBe(0);
});

test("the first channels have as much under way as in OpenSSH", () => {
  const peer = new Peer();
  for (let n = 0; n < 4; n++) expect(peer.windows.get(peer.open())).toBe(WINDOW_BYTES);
});

/** Asks a target by SFTP what a login's home folder is (draft-ietf-secsh-filexfer-02, section 6.11: REALPATH of "."). */
import type { Permit } from "../../src/core/ports.ts";
import type { TargetChannel } from "./channels.ts";
import { FieldReader, FieldWriter } from "./protocol/fields.ts";

/** Commands that need it wait for it. */
const TIME_MS_MAX = 3_000;
const ANSWER_BYTES_MAX = 64 * 1024;
const VERSION = 3;
const INIT = 1;
const VERSION_ANSWER = 2;
const REALPATH = 16;
const NAME = 104;
const REQUEST_ID = 1;

/** Resolves with the absolute path, or null when the target does not say. Closes the channel. */
export async function askHome(
  channel: Pick<TargetChannel, "write" | "onData" | "onClose" | "close">,
  permit: Permit,
): Promise<string | null> {
  const { promise, resolve } = Promise.withResolvers<string | null>();
  const timer = setTimeout(() => resolve(null), TIME_MS_MAX);
  let received = new Uint8Array(0);
  /** The next whole packet; throws when it is too long to be an answer. */
  const takePacket = (): FieldReader | null => {
    if (received.length < 4) return null;
    const length = new FieldReader(received).u32();
    if (length > ANSWER_BYTES_MAX) throw new RangeError("no answer is so long");
    if (received.length < 4 + length) return null;
    const packet = new FieldReader(received, 4, 4 + length);
    received = received.subarray(4 + length);
    return packet;
  };
  const answer = (packet: FieldReader): void => {
    const type = packet.u8();
    if (type === VERSION_ANSWER) return send(new FieldWriter().u8(REALPATH).u32(REQUEST_ID).string("."));
    if (type !== NAME || packet.u32() !== REQUEST_ID || packet.u32() !== 1) return resolve(null);
    const path = packet.utf8();
    resolve(path.startsWith("/") && !path.includes("\0") ? path : null);
  };
  const send = (packet: FieldWriter): void => {
    channel.write(permit, new FieldWriter().string(packet.take()).take());
  };
  channel.onClose(() => resolve(null));
  channel.onData((bytes, isStderr) => {
    if (isStderr) return;
    received = Buffer.concat([received, bytes]);
    try {
      for (let packet = takePacket(); packet !== null; packet = takePacket()) answer(packet);
    } catch {
      resolve(null);
    }
  });
  try {
    send(new FieldWriter().u8(INIT).u32(VERSION));
    return await promise;
  } finally {
    clearTimeout(timer);
    channel.close();
  }
}

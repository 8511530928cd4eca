/** SFTP packets: what is written is read, in whatever chunks it comes, and what is not exactly one request is none. */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { WireError } from "../../../../src/wire/wire-error.ts";
import { Writer } from "../../../../src/wire/writer.ts";
import { type Attributes, packet, writeAttributes, writeString, writeUint64 } from "./fields.ts";
import { DATA_BYTES_MAX, HANDLE_BYTES_MAX, PACKET_BYTES_MAX } from "./limits.ts";
import { HEADROOM_BYTES, type Packet, PacketStream } from "./packet-stream.ts";
import * as replies from "./replies.ts";
import * as requests from "./requests.ts";
import { EXTENSIONS, FXP } from "./types.ts";

/** Everything that a stream of bytes holds, cut as `sizes` say; `atOnce`: so many chunks come before any is read. */
function packetsOf(bytes: Uint8Array, sizes: readonly number[] = [], atOnce = 1): Packet[] {
  const stream = new PacketStream();
  const packets: Packet[] = [];
  let at = 0;
  for (let turn = 0; at < bytes.length; turn++) {
    const size = Math.max(1, sizes[turn % Math.max(sizes.length, 1)] ?? bytes.length);
    stream.push(bytes.subarray(at, at + size));
    at += size;
    if (at < bytes.length && (turn + 1) % atOnce !== 0) continue;
    for (let next = stream.next(); next !== null; next = stream.next()) packets.push(next);
  }
  expect(stream.isInPacket).toBe(false);
  return packets;
}

function onePacket(bytes: Uint8Array): Packet {
  const [first, ...others] = packetsOf(bytes);
  if (first === undefined || others.length > 0) throw new Error("not one packet");
  return first;
}

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof WireError) return error.code;
    throw error;
  }
  return "none";
}

const id = fc.nat(0xffff_ffff);
const uint32 = fc.nat(0xffff_ffff);
const string = fc.uint8Array({ maxLength: 50 });
const text = fc.string({ unit: "binary", maxLength: 50 }).map((each) => each.toWellFormed());
const place = fc.maxSafeNat();
const attributes: fc.Arbitrary<Attributes> = fc.record(
  {
    size: place,
    owner: fc.record({ uid: uint32, gid: uint32 }),
    permissions: uint32,
    times: fc.record({ accessed: uint32, modified: uint32 }),
  },
  { requiredKeys: [] },
);

describe("the stream", () => {
  test("hands out every packet as it was, in whatever chunks it comes", () => {
    const body = fc.record({ type: fc.nat(255), body: fc.uint8Array({ maxLength: 300 }) });
    const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 8 });
    const atOnce = fc.integer({ min: 1, max: 20 });
    fc.assert(
      fc.property(fc.array(body, { maxLength: 12 }), sizes, atOnce, (sent, cuts, together) => {
        const bytes = sent.map((each) => packet(each.type, (writer) => writer.raw(each.body), new Writer()));
        const packets = packetsOf(Buffer.concat(bytes), cuts, together);
        expect(packets.map((each) => each.type)).toEqual(sent.map((each) => each.type));
        expect(packets.map((each) => Buffer.from(each.raw))).toEqual(bytes.map((each) => Buffer.from(each)));
        expect(packets.map((each) => Buffer.from(each.bytes.subarray(each.bodyStart)))).toEqual(
          sent.map((each) => Buffer.from(each.body)),
        );
      }),
    );
  });

  test("a packet has memory of its own: neither the chunk nor another packet changes with it", () => {
    const chunk = Buffer.concat([requests.encodePath(FXP.stat, "/a")(1), requests.encodePath(FXP.stat, "/b")(2)]);
    const before = Buffer.from(chunk);
    const stream = new PacketStream();
    stream.push(chunk);
    const [first, second] = [stream.next(), stream.next()];
    first?.bytes.fill(0xff);
    expect(chunk).toEqual(before);
    expect(second === null ? null : requests.decodeRequest(second)).toEqual({ kind: "stat", path: Buffer.from("/b") });
  });

  test("lengths that no packet has end it at once, before anything is kept for them", () => {
    for (const length of [0, PACKET_BYTES_MAX + 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff]) {
      const stream = new PacketStream();
      stream.push(new Writer().u32(length).take());
      expect(codeOf(() => stream.next())).toBe("PROTOCOL_LENGTH");
    }
    const stream = new PacketStream();
    stream.push(new Writer().u32(PACKET_BYTES_MAX).take());
    expect(stream.next()).toBeNull();
    expect(stream.isInPacket).toBe(true);
  });
});

describe("requests", () => {
  const decoded = (bytes: Uint8Array): requests.Request => requests.decodeRequest(onePacket(bytes));

  test("are read as they were written, under their ids", () => {
    fc.assert(
      fc.property(id, text, text, uint32, attributes, place, (number, path, other, flags, given, offset) => {
        const [bytes, otherBytes] = [Buffer.from(path), Buffer.from(other)];
        const sent: [Uint8Array, requests.Request][] = [
          [requests.encodeOpen(path, flags, given)(number), { kind: "open", path: bytes, flags, attributes: given }],
          [
            requests.encodeWithAttributes(FXP.setstat, path, given)(number),
            { kind: "setstat", path: bytes, attributes: given },
          ],
          [
            requests.encodeWithAttributes(FXP.fsetstat, bytes, given)(number),
            { kind: "fsetstat", handle: bytes, attributes: given },
          ],
          [requests.encodeRename(path, other)(number), { kind: "rename", from: bytes, to: otherBytes }],
          [requests.encodeSymlink(path, other)(number), { kind: "symlink", content: bytes, path: otherBytes }],
          [requests.encodeRead(bytes, offset, flags)(number), { kind: "read", handle: bytes, offset, length: flags }],
          [
            requests.encodeExtended("lsetstat@openssh.com", (writer) =>
              writeAttributes(writeString(writer, path), given),
            )(number),
            { kind: "lsetstat", path: bytes, attributes: given },
          ],
          [
            requests.encodeExtended("copy-data", (writer) => {
              writeUint64(writeUint64(writeString(writer, path), offset), 7);
              writeUint64(writeString(writer, other), 9);
            })(number),
            { kind: "copy-data", from: bytes, offset, length: 7, to: otherBytes, toOffset: 9 },
          ],
        ];
        for (const [packetBytes, expected] of sent) {
          const one = onePacket(packetBytes);
          expect(requests.requestId(one)).toBe(number);
          expect(requests.decodeRequest(one)).toEqual(expected);
        }
      }),
    );
  });

  test("every byte that is missing or too much makes a request none", () => {
    const bodies: [number, (writer: Writer) => void][] = [
      [FXP.open, (writer) => writeAttributes(writeString(writer, "/a").u32(1), { size: 1, permissions: 2 })],
      [FXP.close, (writer) => writeString(writer, "hand")],
      [FXP.read, (writer) => writeUint64(writeString(writer, "hand"), 1).u32(2)],
      [FXP.write, (writer) => writeString(writeUint64(writeString(writer, "hand"), 1), "content")],
      [FXP.rename, (writer) => writeString(writeString(writer, "/a"), "/b")],
      [FXP.symlink, (writer) => writeString(writeString(writer, "/a"), "/b")],
      [FXP.mkdir, (writer) => writeAttributes(writeString(writer, "/a"), { times: { accessed: 1, modified: 2 } })],
      [FXP.extended, (writer) => writeString(writeString(writer, "fsync@openssh.com"), "hand")],
      [FXP.extended, (writer) => writeString(writeString(writeString(writer, "hardlink@openssh.com"), "/a"), "/b")],
    ];
    for (const [type, body] of bodies) {
      const whole = packet(type, (writer) => body(writer.u32(1)), new Writer()).subarray(5);
      const asOne = (bytes: Uint8Array): Uint8Array => packet(type, (writer) => writer.raw(bytes), new Writer());
      expect(codeOf(() => decoded(asOne(whole)))).toBe("none");
      for (let size = 4; size < whole.length; size++) {
        expect(codeOf(() => decoded(asOne(whole.subarray(0, size))))).toBe("WIRE_SHORT");
      }
      expect(codeOf(() => decoded(asOne(Buffer.concat([whole, Buffer.from("x")]))))).toBe("WIRE_TRAILING");
    }
  });

  test("whatever bytes come, they are a request or a WireError", () => {
    const known = fc.constantFrom<number>(...Object.values(FXP), 0, 21, 255);
    const name = fc.constantFrom(...Object.keys(EXTENSIONS), "other@openssh.com");
    const body = fc.oneof(
      fc.uint8Array({ maxLength: 80 }),
      name.chain((each) =>
        fc.uint8Array({ maxLength: 60 }).map((rest) => writeString(new Writer().u32(1), each).raw(rest).take()),
      ),
    );
    fc.assert(
      fc.property(known, body, (type, bytes) => {
        codeOf(() => decoded(packet(type, (writer) => writer.raw(bytes), new Writer())));
      }),
      { numRuns: 2000 },
    );
  });

  test("numbers past 2^53, attributes with unknown flags or too many pairs are none", () => {
    const read = (high: number): Uint8Array =>
      packet(FXP.read, (writer) => writeString(writer.u32(1), "h").u32(high).u32(0).u32(1), new Writer());
    expect(codeOf(() => decoded(read(0x1f_ffff)))).toBe("none");
    expect(codeOf(() => decoded(read(0x20_0000)))).toBe("PROTOCOL_NUMBER");
    const set = (flags: number, count: number): Uint8Array =>
      packet(FXP.setstat, (writer) => writeString(writer.u32(1), "/a").u32(flags).u32(count), new Writer());
    for (const flags of [0x10, 0x40, 0x4000_0000]) {
      expect(codeOf(() => decoded(set(flags, 0)))).toBe("PROTOCOL_ATTRIBUTES");
    }
    expect(codeOf(() => decoded(set(0x8000_0000, 65)))).toBe("PROTOCOL_ATTRIBUTES");
    expect(decoded(set(0x8000_0000, 0))).toEqual({ kind: "setstat", path: Buffer.from("/a"), attributes: {} });
  });

  test("a WRITE goes on under another id and another handle, its content where it was", () => {
    const content = fc.uint8Array({ maxLength: 400 });
    const handle = fc.uint8Array({ minLength: 1, maxLength: HANDLE_BYTES_MAX });
    fc.assert(
      fc.property(id, id, handle, handle, place, content, (from, to, own, target, offset, data) => {
        const one = onePacket(
          packet(
            FXP.write,
            (writer) => writeString(writeUint64(writeString(writer.u32(from), own), offset), data),
            new Writer(),
          ),
        );
        const request = requests.decodeRequest(one);
        if (request.kind !== "write") throw new Error("not a WRITE");
        const sent = requests.rewriteWrite(one, request.dataBytes, to, target, offset);
        expect(sent.buffer).toBe(one.bytes.buffer);
        const again = onePacket(sent.slice());
        expect(requests.requestId(again)).toBe(to);
        expect(requests.decodeRequest(again)).toEqual({
          kind: "write",
          handle: target,
          offset,
          dataBytes: data.length,
        });
        expect(Buffer.from(again.bytes.subarray(again.bytes.length - data.length))).toEqual(Buffer.from(data));
      }),
    );
  });

  test("the longest WRITE fits a packet, and the longest handle its headroom", () => {
    const data = new Uint8Array(DATA_BYTES_MAX);
    const write = packet(
      FXP.write,
      (writer) => writeString(writeUint64(writeString(writer.u32(1), "hand"), 0), data),
      new Writer(),
    );
    const one = onePacket(write);
    const sent = requests.rewriteWrite(one, data.length, 1, new Uint8Array(HANDLE_BYTES_MAX), 0);
    expect(sent.byteOffset).toBeGreaterThanOrEqual(one.bytes.byteOffset);
    expect(HEADROOM_BYTES).toBeGreaterThanOrEqual(HANDLE_BYTES_MAX);
  });
});

describe("replies", () => {
  test("are read as they were written", () => {
    fc.assert(
      fc.property(id, uint32, text, text, (number, code, message, name) => {
        const status = onePacket(replies.encodeStatus(number, { code, message }));
        expect([replies.replyId(status), replies.decodeStatus(status)]).toEqual([number, { code, message }]);
        const one = onePacket(replies.encodeOneName(number, name));
        expect(Buffer.from(replies.decodeOneName(one)).toString("utf8")).toBe(name);
      }),
    );
    const limits = { packetBytes: 1, readBytes: 2 ** 40, writeBytes: 3, handles: 0 };
    expect(replies.decodeLimits(onePacket(replies.encodeLimits(7, limits)))).toEqual(limits);
    const extensions = new Map([["a@b", "1"]]);
    expect(replies.decodeVersion(onePacket(replies.encodeVersion(extensions)))).toEqual({ version: 3, extensions });
  });

  test("go on under the client's id, otherwise as they came", () => {
    fc.assert(
      fc.property(id, id, string, (from, to, data) => {
        const made = (number: number): Uint8Array =>
          packet(FXP.data, (writer) => writeString(writer.u32(number), data), new Writer());
        expect(Buffer.from(replies.withId(onePacket(made(from)), to))).toEqual(Buffer.from(made(to)));
      }),
    );
  });

  test("of a server that sends what it should not are WireErrors", () => {
    const reply = (type: number, body: (writer: Writer) => void): Packet =>
      onePacket(packet(type, (writer) => body(writer.u32(1)), new Writer()));
    expect(codeOf(() => replies.decodeHandle(reply(FXP.handle, (writer) => writeString(writer, ""))))).toBe(
      "PROTOCOL_HANDLE",
    );
    expect(
      codeOf(() => replies.decodeHandle(reply(FXP.handle, (writer) => writeString(writer, new Uint8Array(257))))),
    ).toBe("PROTOCOL_HANDLE");
    expect(codeOf(() => replies.decodeOneName(reply(FXP.name, (writer) => writer.u32(0))))).toBe("PROTOCOL_NAME");
    expect(codeOf(() => replies.decodeOneName(reply(FXP.name, (writer) => writer.u32(0xffff_ffff))))).toBe(
      "PROTOCOL_NAME",
    );
    expect(codeOf(() => replies.decodeData(reply(FXP.data, (writer) => writer.u32(5).u8(1))))).toBe("WIRE_SHORT");
    expect(codeOf(() => replies.decodeData(reply(FXP.data, (writer) => writeString(writer, "a").u8(1))))).toBe(
      "WIRE_TRAILING",
    );
    expect(codeOf(() => replies.decodeStatus(reply(FXP.status, () => {})))).toBe("WIRE_SHORT");
    const pairs = packet(
      FXP.version,
      (writer) => {
        writer.u32(3);
        for (let n = 0; n < 65; n++) writeString(writeString(writer, `e${n}`), "1");
      },
      new Writer(),
    );
    expect(codeOf(() => replies.decodeVersion(onePacket(pairs)))).toBe("PROTOCOL_EXTENSIONS");
  });

  test("a status without a message, as older servers send it", () => {
    const bare = onePacket(packet(FXP.status, (writer) => writer.u32(1).u32(2), new Writer()));
    expect(replies.decodeStatus(bare)).toEqual({ code: 2, message: "" });
  });
});

/** Tests of key exchanges with peers that keep to no rules: each message as it comes on the wire, before there are keys. */
import { describe, expect, test } from "bun:test";
import { generateKeyPairSync } from "node:crypto";
import { clientOffer, METHODS } from "../algorithms.ts";
import { readHostKeys } from "../host-keys.ts";
import { FieldReader, FieldWriter } from "../protocol/fields.ts";
import { DISCONNECT, MESSAGE } from "../protocol/messages.ts";
import { Transport, type TransportSide } from "../transport.ts";
import { exchangeHash } from "./keys.ts";
import type { Method } from "./methods.ts";

const HYBRID = "mlkem768x25519-sha256";
const CURVE = "curve25519-sha256";
const IGNORE = 2;
const GEX_REQUEST = 34;
const PEER_IDENT = "SSH-2.0-peer";

const PEM = generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" });
const OTHER_PEM = generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" });

/** Something of the product's, and all that it says until there are keys. */
class Subject {
  readonly transport: Transport;
  readonly error = Promise.withResolvers<Error>();
  readonly ready = Promise.withResolvers<void>();
  /** The first packet that is neither KEXINIT nor NEWKEYS. */
  readonly answer = Promise.withResolvers<Uint8Array>();
  readonly kexInit = Promise.withResolvers<Uint8Array>();
  readonly messages: Uint8Array[] = [];
  ident = "";
  isOver = false;
  #sent = Buffer.alloc(0);
  #isEncrypted = false;

  constructor(side: TransportSide) {
    this.transport = new Transport(side, {
      write: (bytes) => {
        this.#read(bytes);
        return true;
      },
      onReady: () => this.ready.resolve(),
      onMessage: (_type, payload) => this.messages.push(payload.slice()),
      onDrain: () => {},
      onDisconnect: () => {},
      onError: (error) => {
        this.isOver = true;
        this.error.resolve(error);
      },
    });
  }

  #read(bytes: Uint8Array): void {
    this.#sent = Buffer.concat([this.#sent, bytes]);
    if (this.ident === "") {
      const end = this.#sent.indexOf("\r\n");
      this.ident = this.#sent.toString("latin1", 0, end);
      this.#sent = this.#sent.subarray(end + 2);
    }
    while (!this.#isEncrypted && this.#sent.length >= 4) {
      const length = this.#sent.readUInt32BE(0);
      const payload = Uint8Array.from(this.#sent.subarray(5, 4 + length - (this.#sent[4] ?? 0)));
      this.#sent = this.#sent.subarray(4 + length);
      if (payload[0] === MESSAGE.newKeys) this.#isEncrypted = true;
      else if (payload[0] === MESSAGE.kexInit) this.kexInit.resolve(payload);
      else this.answer.resolve(payload);
    }
  }
}

/** A packet before there are keys. */
function packet(payload: Uint8Array): Buffer {
  const padding = 16 - ((5 + payload.length) % 8);
  const head = new FieldWriter().u32(1 + payload.length + padding).u8(padding);
  return Buffer.from(head.raw(payload).raw(new Uint8Array(padding)).take());
}

function message(type: number, ...fields: readonly Uint8Array[]): Uint8Array {
  const payload = new FieldWriter().u8(type);
  for (const field of fields) payload.string(field);
  return payload.take();
}

function kexInit(kex: readonly string[], hasGuessed = false): Uint8Array {
  const payload = new FieldWriter().u8(MESSAGE.kexInit).raw(new Uint8Array(16));
  const cipher = "aes128-gcm@openssh.com";
  for (const list of [kex.join(","), "ssh-ed25519", cipher, cipher, "", "", "none", "none", "", ""])
    payload.string(list);
  return payload.bool(hasGuessed).u32(0).take();
}

async function server(...packets: readonly Uint8Array[]): Promise<Subject> {
  const { byAlgorithm, offers } = readHostKeys([PEM]);
  const subject = new Subject({ kind: "server", hostKeys: byAlgorithm, offers });
  await subject.transport.start();
  subject.transport.receive(Buffer.concat([Buffer.from(`${PEER_IDENT}\r\n`), ...packets.map(packet)]));
  return subject;
}

function methodOf(name: string): Method {
  const method = METHODS.get(name);
  if (method === undefined) throw new Error(`there is no ${name}`);
  return method;
}

async function initOf(name: string): Promise<Uint8Array> {
  return message(MESSAGE.kexEcdhInit, (await methodOf(name).begin()).init);
}

/** The reason and the words of a disconnect. */
function disconnectOf(payload: Uint8Array): readonly [reason: number, words: string] {
  expect(payload[0]).toBe(MESSAGE.disconnect);
  const fields = new FieldReader(payload, 1);
  return [fields.u32(), fields.utf8()];
}

describe("a listener answers", () => {
  test("each exchange that it offers", async () => {
    for (const name of [HYBRID, CURVE, "curve25519-sha256@libssh.org"]) {
      const subject = await server(kexInit([name]), await initOf(name));
      expect((await subject.answer.promise)[0]).toBe(MESSAGE.kexEcdhReply);
      subject.transport.close();
    }
  });

  test("by the client's order", async () => {
    const subject = await server(kexInit([CURVE, HYBRID]), await initOf(CURVE));
    expect((await subject.answer.promise)[0]).toBe(MESSAGE.kexEcdhReply);
    subject.transport.close();
  });

  test("a right guess without being told again", async () => {
    const subject = await server(kexInit([HYBRID], true), await initOf(HYBRID));
    expect((await subject.answer.promise)[0]).toBe(MESSAGE.kexEcdhReply);
    subject.transport.close();
  });

  test("what follows a wrong guess", async () => {
    const subject = await server(kexInit([CURVE], true), await initOf(HYBRID), await initOf(CURVE));
    expect((await subject.answer.promise)[0]).toBe(MESSAGE.kexEcdhReply);
    subject.transport.close();
  });

  test("also whose client says something in between and counts as ever", async () => {
    const idle = message(IGNORE, new Uint8Array(3));
    const subject = await server(idle, kexInit([HYBRID]), idle, await initOf(HYBRID));
    expect((await subject.answer.promise)[0]).toBe(MESSAGE.kexEcdhReply);
    subject.transport.close();
  });
});

describe("a listener ends the connection, and says why, when", () => {
  const strict = kexInit([HYBRID, "kex-strict-c-v00@openssh.com"]);
  const idle = message(IGNORE, new Uint8Array(3));
  const cases: Readonly<Record<string, () => Promise<readonly [words: string, ...Uint8Array[]]>>> = {
    "the first packet of a strict client is another": async () => ["not the first packet", idle, strict],
    "a strict client says more than it must": async () => ["out of turn", strict, idle],
    "there is no exchange that both know": async () => [
      "no matching key exchange",
      kexInit(["sntrup761x25519-sha512"]),
    ],
    "a client asks for what stands in the list and is no exchange": async () => [
      "is no key exchange",
      kexInit(["kex-strict-s-v00@openssh.com"]),
    ],
    "the KEXINIT comes twice": async () => ["out of turn", kexInit([HYBRID]), kexInit([HYBRID])],
    "the client's half comes first": async () => ["out of turn", await initOf(HYBRID)],
    "the client's half comes twice": async () => [
      "out of turn",
      kexInit([CURVE]),
      await initOf(CURVE),
      await initOf(CURVE),
    ],
    "NEWKEYS comes before anything is agreed on": async () => [
      "out of turn",
      kexInit([HYBRID]),
      message(MESSAGE.newKeys),
    ],
    "the client answers as a server": async () => ["out of turn", kexInit([HYBRID]), message(MESSAGE.kexEcdhReply)],
    "the client asks for a group": async () => ["out of turn", kexInit([HYBRID]), message(GEX_REQUEST)],
    "a service is asked for too early": async () => ["out of turn", kexInit([HYBRID]), message(MESSAGE.serviceRequest)],
    "a channel is asked for in the middle": async () => [
      "out of turn",
      kexInit([HYBRID]),
      message(MESSAGE.channelOpen),
    ],
    "the half is of another method": async () => ["wrong length", kexInit([HYBRID]), await initOf(CURVE)],
    "the half is empty": async () => [
      "wrong length",
      kexInit([HYBRID]),
      message(MESSAGE.kexEcdhInit, new Uint8Array(0)),
    ],
    "a key of ML-KEM is none": async () => {
      const { init } = await methodOf(HYBRID).begin();
      init.fill(0xff, 0, 3);
      return ["cannot be used", kexInit([HYBRID]), message(MESSAGE.kexEcdhInit, init)];
    },
    "a point of X25519 makes the secret zero": async () => {
      const { init } = await methodOf(HYBRID).begin();
      return ["cannot be used", kexInit([HYBRID]), message(MESSAGE.kexEcdhInit, init.fill(0, 1_184))];
    },
    "a point of X25519 alone makes the secret zero": async () => [
      "cannot be used",
      kexInit([CURVE]),
      message(MESSAGE.kexEcdhInit, new Uint8Array(32)),
    ],
  };
  for (const [name, make] of Object.entries(cases)) {
    test(name, async () => {
      const [words, ...packets] = await make();
      const subject = await server(...packets);
      const error = await subject.error.promise;
      expect(error.message).toContain(words);
      // What was answered before the fault, a half that came twice, went out before.
      const answer = await subject.answer.promise;
      if (name.endsWith("half comes twice")) return expect(answer[0]).toBe(MESSAGE.kexEcdhReply);
      const [reason, told] = disconnectOf(answer);
      expect(told).toContain(words);
      expect(reason).toBe(DISCONNECT.keyExchangeFailed);
    });
  }

  test("more comes than can be meant while the answer is worked out", async () => {
    const subject = await server(kexInit([HYBRID]), await initOf(HYBRID));
    for (let part = 0; part < 3; part++) subject.transport.receive(new Uint8Array(30_000));
    expect((await subject.error.promise).message).toContain("too much");
    const [reason] = disconnectOf(await subject.answer.promise);
    expect(reason).toBe(DISCONNECT.keyExchangeFailed);
  });
});

test("a connection that ends while the answer is worked out ends in silence", async () => {
  const init = await initOf(HYBRID);
  const answered: unknown[] = [];
  const subjects: Subject[] = [];
  for (let n = 0; n < 5; n++) {
    const subject = await server(kexInit([HYBRID]), init);
    void subject.answer.promise.then((payload) => answered.push(payload));
    subject.transport.close();
    subjects.push(subject);
  }
  // Whoever comes later is answered later.
  const later = await server(kexInit([HYBRID]), init);
  await later.answer.promise;
  later.transport.close();
  expect(answered).toEqual([]);
  expect(subjects.some(({ isOver }) => isOver)).toBe(false);
});

/** What a server of somebody else's answers, as far as `change` lets it. */
async function target(
  change: {
    readonly blob?: Uint8Array;
    readonly signedBy?: string;
    readonly signature?: Uint8Array;
    readonly reply?: Uint8Array;
  },
  verify: (blob: Uint8Array) => boolean = () => true,
): Promise<Subject> {
  const subject = new Subject({ kind: "client", offer: clientOffer(["ssh-ed25519"]), verify });
  const ours = kexInit([HYBRID]);
  await subject.transport.start();
  subject.transport.receive(Buffer.concat([Buffer.from(`${PEER_IDENT}\r\n`), packet(ours)]));
  const init = Uint8Array.from(new FieldReader(await subject.answer.promise, 1).string());
  const { reply, secret } = await methodOf(HYBRID).answer(init);
  const hostKey = readHostKeys([change.signedBy ?? PEM]).byAlgorithm["ssh-ed25519"];
  const blob = change.blob ?? readHostKeys([PEM]).byAlgorithm["ssh-ed25519"]?.blob;
  if (hostKey === undefined || blob === undefined) throw new Error("there is no key");
  const said = {
    clientIdent: Buffer.from(subject.ident),
    serverIdent: Buffer.from(PEER_IDENT),
    clientKexInit: await subject.kexInit.promise,
    serverKexInit: ours,
    hostKey: blob,
    init,
    reply,
  };
  const signature = change.signature ?? hostKey.sign(exchangeHash("sha256", said, secret));
  const answer = message(MESSAGE.kexEcdhReply, blob, change.reply ?? reply, signature);
  subject.transport.receive(Buffer.concat([packet(answer), packet(message(MESSAGE.newKeys))]));
  return subject;
}

describe("towards a target", () => {
  test("the exchange ends when it has proven its key", async () => {
    const subject = await target({});
    await subject.ready.promise;
    expect(subject.transport.sessionId).toHaveLength(32);
    subject.transport.close();
  });

  test("one with another key is left at once, for that reason", async () => {
    const seen: Uint8Array[] = [];
    const subject = await target({}, (blob) => {
      seen.push(blob);
      return false;
    });
    expect(await subject.error.promise).toMatchObject({ reason: DISCONNECT.hostKeyNotVerifiable });
    expect(seen).toEqual([readHostKeys([PEM]).byAlgorithm["ssh-ed25519"]?.blob ?? new Uint8Array(0)]);
  });

  test("one that shows a key and cannot sign with it is left", async () => {
    const subject = await target({ signedBy: OTHER_PEM });
    expect((await subject.error.promise).message).toContain("signature is wrong");
  });

  test("one whose signature, key or half cannot be read is left", async () => {
    const damaged = new FieldWriter().string("ssh-ed25519").string(new Uint8Array(31)).take();
    for (const change of [{ signature: new Uint8Array(0) }, { signature: damaged }, { reply: new Uint8Array(1_119) }]) {
      expect(await (await target(change)).error.promise).toMatchObject({ reason: DISCONNECT.keyExchangeFailed });
    }
    expect(await (await target({ blob: damaged })).error.promise).toMatchObject({
      reason: DISCONNECT.keyExchangeFailed,
    });
  });

  test("one that has changed the other's half is left", async () => {
    const { reply } = await methodOf(HYBRID).answer((await methodOf(HYBRID).begin()).init);
    const subject = await target({ reply });
    expect((await subject.error.promise).message).toContain("signature is wrong");
  });
});

/** Time stamps of a real authority (`openssl ts`): kept when they answer what was asked, and for nothing else. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { startTimeStampAuthority } from "../../test/servers/time-stamps.ts";
import type { TimeStampAuthority } from "../../test/servers/time-stamps.ts";
import { der, DerReader, DerError } from "./der.ts";
import { sha256 } from "./sha256.ts";
import { Stamping } from "./stamping.ts";
import { NONCE_BYTES, stampRequest, TimeStampError, tokenOf } from "./time-stamp.ts";

setDefaultTimeout(240_000);

let authority: TimeStampAuthority;
beforeAll(() => {
  authority = startTimeStampAuthority();
});
afterAll(async () => authority.stop());

const DATA = "a checkpoint\n";
const order = (): { hash: Uint8Array; nonce: Uint8Array } => ({ hash: sha256(DATA), nonce: randomBytes(NONCE_BYTES) });

describe("a token", () => {
  test("is one that openssl verifies, whatever the nonce begins with", () => {
    for (const first of [0x00, 0x01, 0x7f, 0x80, 0xff]) {
      const asked = order();
      asked.nonce[0] = first;
      const { token, time } = tokenOf(authority.reply(stampRequest(asked)), asked);
      expect(time).toMatch(/^\d{14}Z$/u);
      expect(authority.verify(token, DATA)).toContain("Verification: OK");
      expect(authority.verify(token, "something else")).toContain("Verification: FAILED");
    }
  });

  test("of another hash, of another nonce, or cut or changed anywhere before its signature is refused", () => {
    const asked = order();
    const answer = authority.reply(stampRequest(asked));
    expect(() => tokenOf(answer, { ...asked, hash: sha256("another") })).toThrow("over something else");
    expect(() => tokenOf(answer, { ...asked, nonce: randomBytes(NONCE_BYTES) })).toThrow("its nonce is another");
    for (let length = 0; length < answer.length; length++) {
      expect(() => tokenOf(answer.subarray(0, length), asked)).toThrow(TimeStampError);
    }
    expect(() => tokenOf(Buffer.concat([answer, Uint8Array.of(0)]), asked)).toThrow(TimeStampError);
  });

  test("without the nonce of the request is refused", () => {
    const asked = order();
    const whole = stampRequest(asked);
    // The same request without its nonce: version, imprint, certReq.
    const inside = new DerReader(whole).inside(0x30);
    const [version, imprint] = [inside.whole(0x02), inside.whole(0x30)];
    inside.skip();
    const without = der(0x30, version, imprint, inside.whole(0x01));
    expect(() => tokenOf(authority.reply(without), asked)).toThrow("lacks the nonce");
  });

  test("that was not given is refused with what the authority says", () => {
    const asked = order();
    const request = Buffer.from(stampRequest(asked));
    // Another hash algorithm than the authority takes: SHA-512's last arc, with a hash of the wrong length.
    const at = request.indexOf(Buffer.from("608648016503040201", "hex"));
    request[at + 8] = 3;
    expect(() => tokenOf(authority.reply(request), asked)).toThrow(/gives no stamp: rejected \(.+\)/u);
  });

  test("of any bytes is refused", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(() => tokenOf(bytes, order())).toThrow(TimeStampError);
      }),
    );
  });

  test("changed in any one byte is refused or still says what was asked for", () => {
    const asked = order();
    // With a zero at its beginning the token has the same number in fewer bytes.
    asked.nonce[0] = 1;
    const answer = Buffer.from(authority.reply(stampRequest(asked)));
    for (let i = 0; i < answer.length; i++) {
      const changed = Buffer.from(answer);
      changed[i] = (changed[i] ?? 0) ^ 0x01;
      try {
        const { token } = tokenOf(changed, asked);
        expect(Buffer.from(token).includes(Buffer.from(asked.hash))).toBeTrue();
        expect(Buffer.from(token).includes(Buffer.from(asked.nonce))).toBeTrue();
      } catch (error) {
        expect(error).toBeInstanceOf(TimeStampError);
      }
    }
  });
});

describe("DER", () => {
  test("is written and read back, of every length", () => {
    for (const length of [0, 1, 127, 128, 255, 256, 65_535, 65_536]) {
      const content = Buffer.alloc(length, 7);
      const reader = new DerReader(der(0x04, content));
      expect(Buffer.from(reader.content(0x04))).toEqual(content);
      reader.end();
    }
  });

  const bad: readonly (readonly [what: string, hex: string])[] = [
    ["an open length", "0480"],
    ["a length in more bytes than it needs", "04810100"],
    ["a length with a zero before it", "0482008000"],
    ["a length of five bytes", "048500000000010000"],
    ["too little", "040200"],
    ["another tag", "0500"],
    ["nothing", ""],
  ];
  for (const [what, hex] of bad) {
    test(`with ${what} is refused`, () => {
      expect(() => new DerReader(Buffer.from(hex, "hex")).content(0x04)).toThrow(DerError);
    });
  }
});

describe("stamping", () => {
  type Kept = { size: number; token: Uint8Array };
  const CHECKPOINT = { size: 7, note: DATA };

  async function stamped(
    parts: Partial<ConstructorParameters<typeof Stamping>[0]>,
    until: (kept: readonly Kept[], said: readonly string[]) => boolean,
  ): Promise<{ kept: readonly Kept[]; said: readonly string[]; stamping: Stamping }> {
    const kept: Kept[] = [];
    const said: string[] = [];
    const stamping = new Stamping({
      url: authority.url,
      everyMs: 5,
      ca: null,
      stampedSize: -1,
      log: { checkpoint: CHECKPOINT, keepStamp: (size, token) => void kept.push({ size, token }) },
      say: (line) => said.push(line),
      ...parts,
    });
    while (!until(kept, said)) await Bun.sleep(1);
    await stamping.stop();
    return { kept, said, stamping };
  }

  test("keeps a token over the checkpoint's note", async () => {
    const { kept, stamping } = await stamped({}, (all) => all.length > 0);
    expect(authority.verify(kept[0]?.token ?? new Uint8Array(), DATA)).toContain("Verification: OK");
    expect(stamping.status).toEqual({ url: authority.url, last: { size: 7, time: expect.any(String) }, problem: null });
  });

  test("asks again only when the log has grown since", async () => {
    const before = authority.requests;
    let looks = 0;
    const log = {
      get checkpoint() {
        looks++;
        return looks < 20 ? CHECKPOINT : { size: 8, note: "grown\n" };
      },
      keepStamp: (size: number, token: Uint8Array) => void kept.push({ size, token }),
    };
    const kept: Kept[] = [];
    await stamped({ log, stampedSize: 7 }, () => kept.length > 0);
    expect(kept.map(({ size }) => size)).toEqual([8]);
    expect(authority.requests - before).toBe(1);
  });

  test("says once that it does not work, and once that it works again", async () => {
    authority.spoil = (answer) => answer.subarray(1);
    const { kept, said } = await stamped({}, (all, lines) => {
      if (lines.length > 0) authority.spoil = null;
      return all.length > 0 && lines.length > 1;
    });
    expect(kept).toHaveLength(1);
    expect(said).toEqual([
      expect.stringContaining("are not stamped: the answer cannot be read"),
      "the checkpoints of the log are stamped again",
    ]);
  });

  test("keeps nothing of an answer to another request, a long one, or an error", async () => {
    const old = authority.reply(stampRequest(order()));
    for (const [spoil, message] of [
      [(): Uint8Array => old, "another"],
      [(): Uint8Array => new Uint8Array(70_000), "more than 65536 bytes"],
    ] as const) {
      authority.spoil = spoil;
      const { kept, said } = await stamped({}, (_, lines) => lines.length > 0);
      expect(kept).toEqual([]);
      expect(said[0]).toContain(message);
    }
    authority.spoil = null;
    const { said } = await stamped({ url: "http://127.0.0.1:1/" }, (_, lines) => lines.length > 0);
    expect(said[0]).toContain("are not stamped");
  });

  test("stops while the authority has not answered", async () => {
    const asked = Promise.withResolvers<void>();
    const never = Promise.withResolvers<Uint8Array>();
    authority.spoil = async () => {
      asked.resolve();
      return never.promise;
    };
    const said: string[] = [];
    const log = { checkpoint: CHECKPOINT, keepStamp: () => {} };
    const stamping = new Stamping({
      url: authority.url,
      everyMs: 5,
      ca: null,
      stampedSize: -1,
      log,
      say: (line) => said.push(line),
    });
    await asked.promise;
    await stamping.stop();
    authority.spoil = null;
    never.resolve(new Uint8Array());
    expect(said).toEqual([]);
  });
});

/** Tests that passwords are brought into the form in which a real server hashed them. */
import { afterAll, beforeAll, describe, expect, test, setDefaultTimeout } from "bun:test";
import { createHmac, pbkdf2Sync } from "node:crypto";
import * as fc from "fast-check";
import { type PostgresServer, startPostgres } from "../../test/servers/postgres.ts";
import { saslPrep } from "./saslprep.ts";

// Real servers, on machines that may be busy.
setDefaultTimeout(240_000);

describe("RFC 4013, section 3", () => {
  test.each([
    ["I\u00adX", "IX"],
    ["user", "user"],
    ["USER", "USER"],
    ["\u00aa", "a"],
    ["\u2168", "IX"],
    // Where the RFC refuses, PostgreSQL takes the password as it is.
    ["\u0007", "\u0007"],
    ["\u0627\u0031", "\u0627\u0031"],
  ])("%j is %j", (given, wanted) => {
    expect(saslPrep(given)).toBe(wanted);
  });
});

describe("a real server", () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await startPostgres({ sql: "create role probe" });
  });
  afterAll(async () => {
    await server.stop();
  });

  /** What the server stores: SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey. */
  function serverKeys(passwords: readonly string[]): { salt: Buffer; iterations: number; serverKey: string }[] {
    const statements = passwords.map((password) => {
      const literal = Array.from(password)
        .map((character) => `\\+${codeOf(character).toString(16).padStart(6, "0")}`)
        .join("");
      return `alter role probe password U&'${literal}'; select rolpassword from pg_authid where rolname = 'probe';`;
    });
    const rows = server.psql(statements.join("\n")).split("\n");
    return rows.map((row) => {
      const [, parameters = "", keys = ""] = row.split("$");
      const [iterations = "", salt = ""] = parameters.split(":");
      return { salt: Buffer.from(salt, "base64"), iterations: Number(iterations), serverKey: keys.split(":")[1] ?? "" };
    });
  }

  function check(passwords: readonly string[]): void {
    const stored = serverKeys(passwords);
    expect(stored.length).toBe(passwords.length);
    for (const [index, password] of passwords.entries()) {
      const row = stored[index];
      if (row === undefined) throw new Error("a row is missing");
      const salted = pbkdf2Sync(saslPrep(password), row.salt, row.iterations, 32, "sha256");
      const serverKey = createHmac("sha256", salted).update("Server Key").digest("base64");
      expect(`${escape(password)} ${serverKey}`).toBe(`${escape(password)} ${row.serverKey}`);
    }
  }

  test("agrees on what is special", () => {
    check([
      "plain ASCII \u007f\u0001",
      "\u00a0 spaces \u3000\u200b\u1680",
      "re\u00admo\u200dved\ufeff",
      "\u00ad", // nothing is left
      "\u00ad\u200d",
      "cafe\u0301 ﬁ ½ ²",
      "cafe\u0301 \u{1f511}", // a key was no character in Unicode 3.2
      "cafe\u0301 \u0221",
      "e\u0301\u2028",
      "e\u0301\ue000",
      "e\u0301\u0340",
      "\u05d0e\u0301",
      "\u05d0\u05d1",
      "\u05d0 1 \u05d1",
      "\u05d0 1",
      "1 \u05d0",
      "\u05d0\ufb20\u05d1",
      "\u05d0\ufb20 1",
      "\u0627\ufdfa\u0627",
      "\u1100\u1161\u11a8",
      "\uac00\u0301",
      "\u212b\u2126",
    ]);
  });

  test("agrees on code points from every corner", () => {
    const printable = fc
      .integer({ min: 1, max: 0x10ffff })
      .filter((code) => code < 0xd800 || code > 0xdfff)
      .map((code) => String.fromCodePoint(code));
    const common = fc.constantFrom("\u05d0", "\u0627", "a", "é", "e\u0301", "\u00a0", "\u00ad", "ﬁ", "½", "1", " ");
    const near = fc.integer({ min: 0x80, max: 0x3400 }).map((code) => String.fromCodePoint(code));
    const password = fc
      .array(fc.oneof(common, common, near, printable), { minLength: 1, maxLength: 4 })
      .map((characters) => characters.join(""));
    check(fc.sample(password, { numRuns: 100 }));
  });
});

function codeOf(character: string): number {
  return character.codePointAt(0) ?? 0;
}

function escape(text: string): string {
  return Array.from(text)
    .map((character) => codeOf(character).toString(16))
    .join(" ");
}

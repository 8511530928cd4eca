/** Tests of SCRAM against the RFC's own example. (Real servers are logged in to in upstream.test.ts.) */
import { describe, expect, test } from "bun:test";
import { type Binding, ScramClient, ScramError } from "./scram.ts";

// RFC 7677, section 3. PostgreSQL leaves the user's name empty, so the example is played with the name it has there.
const NONCE = "rOprNGfwEbeRWgbNEkqO";
const SERVER_FIRST = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
const IMPOSSIBLE: Binding = { kind: "impossible" };
const bytes = (text: string): Uint8Array => Buffer.from(text, "latin1");
const string = (given: Uint8Array): string => Buffer.from(given).toString("latin1");

describe("the exchange", () => {
  test("has the messages that an independent implementation computes", async () => {
    const client = new ScramClient("pencil", IMPOSSIBLE, NONCE);
    expect(client.mechanism).toBe("SCRAM-SHA-256");
    expect(string(client.first())).toBe(`n,,n=,r=${NONCE}`);
    const final = string(await client.final(bytes(SERVER_FIRST)));
    expect(final).toStartWith("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=");
    const { proof, signature } = await independent("pencil", `n=,r=${NONCE}`, SERVER_FIRST, "c=biws");
    expect(final.split(",p=")[1]).toBe(proof);
    client.verify(bytes(`v=${signature}`));
    expect(() => client.verify(bytes(`v=${proof}`))).toThrow("could not prove");
  });

  test("the independent implementation has the RFC's numbers", async () => {
    const wanted = {
      proof: "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
      signature: "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
    };
    expect(await independent("pencil", `n=user,r=${NONCE}`, SERVER_FIRST, "c=biws")).toEqual(wanted);
  });

  test("carries how it is bound", async () => {
    const certificateHash = new Uint8Array([1, 2, 255]);
    const bound = new ScramClient("pencil", { kind: "bound", certificateHash }, NONCE);
    expect(bound.mechanism).toBe("SCRAM-SHA-256-PLUS");
    expect(string(bound.first())).toStartWith("p=tls-server-end-point,,n=");
    const data = Buffer.concat([bytes("p=tls-server-end-point,,"), certificateHash]).toString("base64");
    expect(string(await bound.final(bytes(SERVER_FIRST)))).toStartWith(`c=${data},r=`);
    const notOffered = new ScramClient("pencil", { kind: "notOffered" }, NONCE);
    expect(notOffered.mechanism).toBe("SCRAM-SHA-256");
    expect(string(notOffered.first())).toStartWith("y,,n=");
    expect(string(await notOffered.final(bytes(SERVER_FIRST)))).toStartWith("c=eSws,r=");
  });

  test("no two logins have the same nonce", () => {
    const firsts = Array.from({ length: 50 }, () => string(new ScramClient("x", IMPOSSIBLE).first()));
    expect(new Set(firsts).size).toBe(50);
  });
});

describe("a server's first message that is refused", () => {
  test.each([
    ["empty", ""],
    ["without its parts", "r="],
    ["another nonce", "r=somebodyelse,s=c2FsdA==,i=4096"],
    ["no nonce of its own", `r=${NONCE},s=c2FsdA==,i=4096`],
    ["a nonce that cannot be printed", `r=${NONCE}\u0001,s=c2FsdA==,i=4096`],
    ["a nonce without end", `r=${NONCE}${"x".repeat(2000)},s=c2FsdA==,i=4096`],
    ["an empty salt", `r=${NONCE}x,s=,i=4096`],
    ["a salt that is no base64", `r=${NONCE}x,s=c2Fs dA,i=4096`],
    ["a salt without end", `r=${NONCE}x,s=${Buffer.alloc(2000).toString("base64")},i=4096`],
    ["the wrong order", `s=c2FsdA==,r=${NONCE}x,i=4096`],
    ["an extension that must be understood", `m=x,r=${NONCE}x,s=c2FsdA==,i=4096`],
    ["more than there should be", `r=${NONCE}x,s=c2FsdA==,i=4096,x=y`],
    ["no iterations", `r=${NONCE}x,s=c2FsdA==,i=0`],
    ["too many iterations", `r=${NONCE}x,s=c2FsdA==,i=1000001`],
    ["iterations that are no number", `r=${NONCE}x,s=c2FsdA==,i=0x10`],
  ])("%s", async (_what, message) => {
    const client = new ScramClient("pencil", IMPOSSIBLE, NONCE);
    await expect(client.final(bytes(message))).rejects.toThrow(ScramError);
  });
});

describe("a server's last message that is refused", () => {
  test.each(["", "v=", "v=AAAA", "v=!!!!", "e=invalid-proof", "x=y"])("%p", async (message) => {
    const client = new ScramClient("pencil", IMPOSSIBLE, NONCE);
    await client.final(bytes(SERVER_FIRST));
    expect(() => client.verify(bytes(message))).toThrow(ScramError);
  });

  test("any, before the exchange has come so far", () => {
    const client = new ScramClient("pencil", IMPOSSIBLE, NONCE);
    expect(() => client.verify(bytes("v=AAAA"))).toThrow(ScramError);
  });
});

/** RFC 5802, section 3, by the Web Crypto API. */
async function independent(password: string, firstBare: string, serverFirst: string, channel: string) {
  const [r = "", s = "", i = ""] = serverFirst.split(",");
  const { subtle } = crypto;
  const material = await subtle.importKey("raw", Buffer.from(password), "PBKDF2", false, ["deriveBits"]);
  const salt = Buffer.from(s.slice(2), "base64");
  const derivation = { name: "PBKDF2", hash: "SHA-256", salt, iterations: Number(i.slice(2)) };
  const salted = await subtle.deriveBits(derivation, material, 256);
  const hmac = async (key: ArrayBuffer, text: string): Promise<ArrayBuffer> => {
    const imported = await subtle.importKey("raw", key, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
    return subtle.sign("HMAC", imported, Buffer.from(text));
  };
  const auth = `${firstBare},${serverFirst},${channel},${r}`;
  const clientKey = await hmac(salted, "Client Key");
  const clientSignature = new Uint8Array(await hmac(await subtle.digest("SHA-256", clientKey), auth));
  const proof = new Uint8Array(clientKey).map((byte, index) => byte ^ (clientSignature[index] ?? 0));
  const signature = await hmac(await hmac(salted, "Server Key"), auth);
  return { proof: Buffer.from(proof).toString("base64"), signature: Buffer.from(signature).toString("base64") };
}

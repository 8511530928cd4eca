/** Tests of logging in to servers that are not what they should be: silent, chatty, garbled, lying, or somebody in between. */
import { afterAll, beforeAll, describe, expect, test, setDefaultTimeout } from "bun:test";
import { createServer, type Server, type Socket } from "node:net";
import { connect as connectTls, createSecureContext, TLSSocket } from "node:tls";
import * as fc from "fast-check";
import { type Authority, createAuthority } from "../../test/servers/certificates.ts";
import { type PostgresServer, startPostgres } from "../../test/servers/postgres.ts";
import { ANY_PERMIT, dialUpstream } from "../../test/servers/upstream.ts";
import {
  encodeAuthenticationCleartext,
  encodeAuthenticationOk,
  encodeAuthenticationSasl,
  encodeAuthenticationSaslContinue,
  encodeAuthenticationSaslFinal,
  encodeBackendKeyData,
  encodeError,
  encodeNegotiateProtocolVersion,
  encodeNotice,
  encodeParameterStatus,
  encodeReadyForQuery,
} from "./protocol/backend.ts";
import { encodeSslRequest } from "./protocol/startup.ts";
import { type LoggedIn, logIn, type LoginFailure, type LoginSettings } from "./upstream.ts";

// Real servers, on machines that may be busy.
setDefaultTimeout(240_000);

const servers: Server[] = [];
afterAll(() => {
  for (const server of servers) server.close();
});

async function serve(onConnection: (socket: Socket) => void): Promise<number> {
  const server = createServer((socket) => {
    socket.on("error", () => {});
    onConnection(socket);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return address !== null && typeof address === "object" ? address.port : 0;
}

/** Answers each chunk from the client with the next piece, the rest with silence. `null` closes. */
async function script(...answers: (Uint8Array | null)[]): Promise<number> {
  return serve((socket) => {
    const left = [...answers];
    socket.on("data", () => {
      const answer = left.shift();
      if (answer === null) socket.end();
      else if (answer !== undefined) socket.write(answer);
    });
  });
}

const SETTINGS: LoginSettings = {
  host: "db.example.com",
  database: "postgres",
  user: "weir",
  password: "secret-of-the-target",
  tls: "disable",
  ca: null,
  cert: null,
  key: null,
  loginTimeMs: 200_000,
};

async function attempt(
  port: number,
  settings: Partial<LoginSettings> = {},
  protocolMinor: 0 | 2 = 0,
): Promise<LoggedIn | LoginFailure> {
  const upstream = await dialUpstream({ host: "127.0.0.1", port });
  const result = await logIn(upstream, ANY_PERMIT, { ...SETTINGS, ...settings }, [], protocolMinor);
  if (result.kind === "loggedIn") upstream.close();
  return result;
}

async function failure(port: number, settings: Partial<LoginSettings> = {}, minor: 0 | 2 = 0): Promise<LoginFailure> {
  const result = await attempt(port, settings, minor);
  if (result.kind === "loggedIn") throw new Error("the login should have failed");
  expect(JSON.stringify(result)).not.toContain("secret-of-the-target");
  return result;
}

const together = (...messages: Uint8Array[]): Uint8Array => Buffer.concat(messages);
const text = (characters: string): Uint8Array => Buffer.from(characters, "latin1");
const READY = encodeReadyForQuery("I");
const NOT_THE_PROTOCOL = "the target does not speak PostgreSQL's protocol";
const NOT_ITS_TURN = "the target does not keep to PostgreSQL's protocol";

describe("what comes is understood in any pieces", () => {
  const messages = together(
    encodeNotice([["M", "before"]]),
    encodeAuthenticationOk(),
    encodeParameterStatus("a", "1"),
    encodeParameterStatus("a", "2"),
    encodeNotice([["M", "after"]]),
    encodeBackendKeyData(7, Buffer.from("0123")),
    encodeReadyForQuery("T"),
    encodeParameterStatus("late", "x"),
  );

  test.each([1, 2, 5, 13, messages.length])("of %i bytes", async (size) => {
    const port = await serve((socket) => {
      socket.setNoDelay(true);
      const send = async (): Promise<void> => {
        for (let at = 0; at < messages.length; at += size) {
          await new Promise((resolve) => socket.write(messages.subarray(at, at + size), resolve));
          await new Promise((resolve) => setImmediate(resolve));
        }
        socket.end();
      };
      socket.once("data", () => void send());
    });
    const upstream = await dialUpstream({ host: "127.0.0.1", port });
    const result = await logIn(upstream, ANY_PERMIT, SETTINGS, [], 0);
    if (result.kind === "loginFailure") throw new Error(result.detail);
    expect([...result.parameterStatus]).toEqual([["a", "2"]]);
    expect(result.key).toEqual({ processId: 7, secret: new Uint8Array(Buffer.from("0123")) });
    expect(result.transactionStatus).toBe("T");
    expect(result.notices.map((notice) => Buffer.from(notice).toString())).toEqual(
      ["before", "after"].map((words) => Buffer.from(encodeNotice([["M", words]])).toString()),
    );
    // What came behind ReadyForQuery is there until somebody listens, then goes there: no byte is lost or doubled.
    const { promise: end, resolve: onEnd } = Promise.withResolvers<null>();
    await new Promise((resolve) => setImmediate(resolve));
    const rest: Uint8Array[] = [];
    upstream.onData((bytes) => rest.push(bytes));
    rest.unshift(result.leftover);
    upstream.onClose(() => onEnd(null));
    await end;
    expect(Buffer.concat(rest)).toEqual(Buffer.from(encodeParameterStatus("late", "x")));
  });
});

describe("who does not answer as PostgreSQL does", () => {
  test("never answers: after the time", async () => {
    const message = "the target did not finish the login within 100 ms";
    expect(await failure(await script(), { loginTimeMs: 100 })).toMatchObject({ code: null, message });
    expect(await failure(await script(), { loginTimeMs: 100, tls: "require" })).toMatchObject({ message });
    expect(await failure(await script(encodeAuthenticationOk()), { loginTimeMs: 100 })).toMatchObject({ message });
    // Neither at the TLS handshake.
    expect(await failure(await script(text("S")), { loginTimeMs: 100, tls: "require" })).toMatchObject({ message });
  });

  test("is busy without end", async () => {
    const port = await serve((socket) => {
      const notice = encodeNotice([["M", "x".repeat(20_000)]]);
      const more = (): void => {
        if (!socket.destroyed) socket.write(notice, more);
      };
      socket.once("data", more);
    });
    expect((await failure(port)).message).toBe("the target sent more than a login consists of");
  });

  test("closes", async () => {
    const message = "the target closed the connection";
    expect((await failure(await script(null))).message).toBe(message);
    expect((await failure(await script(null), { tls: "require" })).message).toBe(message);
    const reset = await serve((socket) => socket.once("data", () => socket.resetAndDestroy()));
    expect((await failure(reset)).detail).toContain("ECONNRESET");
  });

  test("sends an error and closes: the error counts", async () => {
    const error = encodeError([
      ["C", "53300"],
      ["M", "sorry, too many clients already"],
    ]);
    const port = await serve((socket) => socket.once("data", () => socket.end(error)));
    expect(await failure(port)).toEqual({
      kind: "loginFailure",
      code: "53300",
      message: "the server refuses the login: sorry, too many clients already",
      detail: "the server refuses the login: sorry, too many clients already",
    });
  });

  test.each([
    ["another protocol", text("HTTP/1.1 400 Bad Request\r\n\r\n"), NOT_THE_PROTOCOL],
    ["an unknown type", text("?\0\0\0\u0004"), NOT_THE_PROTOCOL],
    ["a length below its own", text("R\0\0\0\u0003"), NOT_THE_PROTOCOL],
    ["a notice that ends before it begins", text("N\u00ff\u00ff\u00ff\u00ff"), NOT_THE_PROTOCOL],
    ["a negative length", text("R\u00ff\u00ff\u00ff\u00ff"), NOT_THE_PROTOCOL],
    ["a message of a gigabyte", text("E\u0040\0\0\0"), NOT_THE_PROTOCOL],
    ["a message that is too short inside", text("R\0\0\0\u0006\0\0"), NOT_THE_PROTOCOL],
    [
      "an authentication nobody knows",
      text("R\0\0\0\u0008\0\0\0\u0063"),
      "the target asks for authentication method 99, which is not supported",
    ],
    ["GSSAPI", text("R\0\0\0\u0008\0\0\0\u0007"), "the target asks for GSSAPI, which is not supported"],
    ["ready before it authenticates", READY, NOT_ITS_TURN],
    ["a row", text("D\0\0\0\u0006\0\0"), NOT_ITS_TURN],
    ["SCRAM's end at its beginning", encodeAuthenticationSaslFinal(text("v=")), NOT_ITS_TURN],
    [
      "no mechanism that we know",
      encodeAuthenticationSasl(["OAUTHBEARER"]),
      "the target offers no SASL mechanism that is supported",
    ],
    ["channel binding without TLS", encodeAuthenticationSasl(["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"]), NOT_ITS_TURN],
    ["a newer version than was asked for", encodeNegotiateProtocolVersion(2, []), NOT_ITS_TURN],
    ["an option that was not asked for", encodeNegotiateProtocolVersion(0, ["_pq_.x"]), NOT_ITS_TURN],
    [
      "a version twice",
      together(encodeNegotiateProtocolVersion(0, []), encodeNegotiateProtocolVersion(0, [])),
      NOT_ITS_TURN,
    ],
    ["authentication after it was through", together(encodeAuthenticationOk(), encodeAuthenticationOk()), NOT_ITS_TURN],
  ])("%s", async (_what, answer, message) => {
    expect(await failure(await script(answer))).toMatchObject({ code: null, message });
  });

  test("an older version than was asked for is what is spoken", async () => {
    const port = await script(together(encodeNegotiateProtocolVersion(0, []), encodeAuthenticationOk(), READY));
    expect(await attempt(port, {}, 2)).toMatchObject({ kind: "loggedIn", protocolMinor: 0, key: null });
    const modern = await script(together(encodeAuthenticationOk(), encodeBackendKeyData(1, new Uint8Array(32)), READY));
    expect(await attempt(modern, {}, 2)).toMatchObject({ protocolMinor: 2, key: { secret: new Uint8Array(32) } });
  });

  test("an error's words are bounded and hold no control characters", async () => {
    const words = `\u001b[31m${"x".repeat(5000)}\r\n\u0085`;
    const { detail, code } = await failure(
      await script(
        encodeError([
          ["C", "x\nx"],
          ["M", words],
        ]),
      ),
    );
    expect(code).toBeNull();
    expect(detail.length).toBeLessThan(600);
    for (const character of detail) expect(character >= " ").toBe(true);
  });

  test("whatever a server sends, the answer is a result, and soon", async () => {
    const valid = [encodeAuthenticationOk(), encodeParameterStatus("a", "b"), encodeNotice([["M", "x"]]), READY];
    const chunk = fc.oneof(fc.constantFrom(...valid), fc.uint8Array({ maxLength: 40 }));
    await fc.assert(
      fc.asyncProperty(fc.array(chunk, { maxLength: 6 }), async (chunks) => {
        const port = await serve((socket) => socket.once("data", () => socket.end(together(...chunks))));
        const result = await attempt(port);
        servers.pop()?.close();
        expect(["loggedIn", "loginFailure"]).toContain(result.kind);
      }),
      { numRuns: 150 },
    );
  });
});

describe("before TLS", () => {
  test.each(["require", "verify-ca", "verify-full"] as const)(
    "bytes behind the S end the login, under %s",
    async (tls) => {
      const injected = together(text("S"), encodeAuthenticationOk(), READY);
      expect((await failure(await script(injected), { tls })).message).toBe(
        "bytes in plain text came before TLS began",
      );
    },
  );

  test("an error in place of the answer is not repeated: nobody has proven to be the server", async () => {
    const port = await script(
      encodeError([
        ["C", "28000"],
        ["M", "please log in at https://evil.example"],
      ]),
    );
    const result = await failure(port, { tls: "verify-full" });
    expect(result).toMatchObject({ code: null, message: "the target did not answer the request for TLS" });
    expect(result.detail).not.toContain("evil");
  });

  test("a cleartext password is not given to whoever asks", async () => {
    let received = Buffer.alloc(0);
    const port = await serve((socket) => {
      socket.on("data", (chunk: Buffer) => {
        received = Buffer.concat([received, chunk]);
        socket.write(encodeAuthenticationCleartext());
      });
    });
    const upstream = await dialUpstream({ host: "127.0.0.1", port }, { isLoopback: false });
    const result = await logIn(upstream, ANY_PERMIT, SETTINGS, [], 0);
    expect(result).toMatchObject({ kind: "loginFailure" });
    expect(received.includes("secret-of-the-target")).toBe(false);
  });
});

describe("a server that only pretends to know the password", () => {
  const SCRAM = encodeAuthenticationSasl(["SCRAM-SHA-256"]);
  /** Plays SCRAM up to where the server would have to prove itself. */
  const pretend = async (last: Uint8Array, iterations = "4096"): Promise<number> =>
    serve((socket) => {
      let step = 0;
      socket.on("data", (chunk) => {
        step++;
        if (step === 1) socket.write(SCRAM);
        if (step === 2) {
          const nonce = chunk.toString("latin1").split("r=")[1] ?? "";
          socket.write(encodeAuthenticationSaslContinue(text(`r=${nonce}AAAA,s=c2FsdA==,i=${iterations}`)));
        }
        if (step === 3) socket.write(last);
      });
    });

  test.each([
    [
      "a wrong signature",
      encodeAuthenticationSaslFinal(text(`v=${Buffer.alloc(32).toString("base64")}`)),
      "could not prove that it knows the password",
    ],
    ["no signature", encodeAuthenticationSaslFinal(text("v=")), "malformed"],
    [
      "an error of SCRAM's own",
      encodeAuthenticationSaslFinal(text("e=other-error")),
      "ended the SCRAM exchange with an error",
    ],
    ["just going on", together(encodeAuthenticationOk(), READY), NOT_ITS_TURN],
    ["asking for the password after all", encodeAuthenticationCleartext(), NOT_ITS_TURN],
  ])("%s", async (_what, last, message) => {
    expect((await failure(await pretend(last))).message).toContain(message);
  });

  test.each(["0", "-1", "1e3", "1000001", "99999999999", ""])("%p iterations are not done", async (iterations) => {
    expect((await failure(await pretend(READY, iterations))).message).toContain("1000000 SCRAM iterations");
  });

  test("going on at once is trust: the settings' password proves nothing about the server", async () => {
    const port = await script(together(encodeAuthenticationOk(), READY));
    expect(await attempt(port)).toMatchObject({ kind: "loggedIn" });
  });
});

describe("somebody in between", () => {
  let authority: Authority;
  let server: PostgresServer;

  beforeAll(async () => {
    authority = createAuthority();
    server = await startPostgres({
      ssl: authority.issue("db.example.com", { names: ["DNS:db.example.com"] }),
      sql: "create role weir login password 'secret-of-the-target'; create role trusting login",
      hba: ["hostssl all trusting 127.0.0.1/32 trust", "hostssl all weir 127.0.0.1/32 scram-sha-256"],
    });
  });
  afterAll(async () => {
    await server.stop();
  });

  /** Decrypts, shows each piece from the server to `change`, and encrypts again: with a certificate of its own. */
  async function between(own: Authority, change: (bytes: Buffer) => Buffer = (bytes) => bytes): Promise<number> {
    const secureContext = createSecureContext(own.issue("db.example.com", { names: ["DNS:db.example.com"] }));
    return serve((client) => {
      client.once("data", () => {
        const near = new TLSSocket(client, { isServer: true, secureContext });
        near.on("error", () => {});
        client.write("S");
        const raw = new (client.constructor as typeof Socket)();
        raw.on("error", () => {});
        raw.connect(server.port, "127.0.0.1", () => raw.write(encodeSslRequest()));
        raw.once("data", () => {
          const far = connectTls({ socket: raw, rejectUnauthorized: false });
          far.on("error", () => near.destroy());
          near.on("data", (bytes: Buffer) => far.write(bytes));
          far.on("data", (bytes: Buffer) => near.write(change(bytes)));
          far.on("end", () => near.end());
          near.on("close", () => far.destroy());
        });
      });
    });
  }

  test("passes where nobody is proven to be anybody", async () => {
    const port = await between(createAuthority("evil"));
    expect(await attempt(port, { tls: "require", user: "trusting" })).toMatchObject({ kind: "loggedIn" });
  });

  test("does not pass SCRAM: the login is bound to the other certificate", async () => {
    const port = await between(createAuthority("evil"));
    const result = await failure(port, { tls: "require" });
    expect(result.detail).toContain("SCRAM channel binding check failed");
    // The real server lets the same login in.
    expect(await attempt(server.port, { tls: "require" })).toMatchObject({ kind: "loggedIn" });
  });

  test("does not pass by hiding that the server could bind", async () => {
    const offer = Buffer.from("SCRAM-SHA-256-PLUS\0");
    const hide = (bytes: Buffer): Buffer => {
      const at = bytes.indexOf(offer);
      if (at < 0) return bytes;
      const shorter = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + offer.length)]);
      shorter.writeInt32BE(shorter.length - 1, 1);
      return shorter;
    };
    const result = await failure(await between(createAuthority("evil"), hide), { tls: "require" });
    expect(result.detail).toContain("SCRAM");
    expect(result.code).toMatch(/^28/u);
  });

  test("does not pass verification at all", async () => {
    const port = await between(createAuthority("evil"));
    for (const tls of ["verify-ca", "verify-full"] as const) {
      expect((await failure(port, { tls, ca: authority.cert, user: "trusting" })).message).toContain(
        "no TLS connection",
      );
    }
  });

  test("an Ed25519 certificate cannot be bound to, so it must be verified", async () => {
    const ca = createAuthority("ed25519", "ed25519");
    const issued = ca.issue("db.example.com", { names: ["DNS:db.example.com"], keyType: "ed25519" });
    const port = await serve((socket) => {
      socket.once("data", () => {
        const tls = new TLSSocket(socket, { isServer: true, secureContext: createSecureContext(issued) });
        tls.on("error", () => {});
        tls.once("data", () => tls.write(encodeAuthenticationSasl(["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"])));
        socket.write("S");
      });
    });
    const result = await failure(port, { tls: "require" });
    expect(result.message).toBe(
      "the target's certificate allows no channel binding (Ed25519); use tls: verify-ca or verify-full",
    );
  });
});

/** From the first byte to the session: encryption requests, protocol versions, and what is turned away before a login. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { connect as connectTls } from "node:tls";
import { encodePassword, encodeQuery } from "../../../adapters/postgres/protocol/frontend.ts";
import {
  encodeCancelRequest,
  encodeGssEncRequest,
  encodeSslRequest,
  encodeStartup,
} from "../../../adapters/postgres/protocol/startup.ts";
import { PROTOCOL_3_0, PROTOCOL_3_2 } from "../../../adapters/postgres/protocol/types.ts";
import { startGateway } from "../../gateway.ts";
import { Roads, type Road } from "./roads.ts";
import { errorIn, rows, sqlStates, transcript, types } from "./transcript.ts";
import { type Login, type Message, WireClient, TEST_TIME_MS_MAX } from "./wire-client.ts";

setDefaultTimeout(TEST_TIME_MS_MAX);

const NO = "N".charCodeAt(0);
const YES = "S".charCodeAt(0);

let roads: Roads;
let plain: Road;
let secure: Road;

beforeAll(async () => {
  roads = await Roads.start();
  [, plain, secure] = roads.all;
});

afterAll(async () => {
  await roads.stop();
});

/** What the gateway answers to these bytes until it closes the connection. */
async function answerTo(road: Road, ...parts: readonly Uint8Array[]): Promise<Message[]> {
  const client = await WireClient.open(road.address);
  client.expectMessages();
  client.send(...parts);
  return client.end();
}

async function refusedLogin(road: Road, login: Login): Promise<ReadonlyMap<string, string> | undefined> {
  const client = await WireClient.open(road.address, login.tls ?? road.login.tls ?? "none");
  client.sendStartup({ ...road.login, ...login });
  const password = login.password ?? road.login.password ?? "";
  const isIn = await client.finishLogin(password).then(
    () => true,
    () => false,
  );
  expect(isIn).toBe(false);
  await client.end();
  return errorIn(client.received);
}

async function expectToWork(client: WireClient): Promise<void> {
  expect(rows(await client.ask(encodeQuery("SELECT 'works'")))).toEqual([["works"]]);
  await client.terminate();
}

test("a client may ask for GSSAPI, then for TLS, and go on without either", async () => {
  const client = await WireClient.open(plain.address);
  client.send(encodeGssEncRequest());
  expect(await client.byte()).toBe(NO);
  client.send(encodeSslRequest());
  expect(await client.byte()).toBe(NO);
  client.sendStartup(plain.login);
  await client.finishLogin(plain.login.password);
  await expectToWork(client);
});

test("a client may ask for GSSAPI and then begin TLS", async () => {
  const client = await WireClient.open(secure.address);
  client.send(encodeGssEncRequest());
  expect(await client.byte()).toBe(NO);
  await client.requestTls();
  client.sendStartup(secure.login);
  await client.finishLogin(secure.login.password);
  await expectToWork(client);
});

test("TLS from the first byte", async () => {
  await expectToWork(await WireClient.logIn(secure.address, { ...secure.login, tls: "direct" }));
});

test("TLS from the first byte needs the protocol's name", async () => {
  for (const ALPNProtocols of [["http/1.1"], undefined]) {
    const socket = connectTls({
      ...secure.address,
      rejectUnauthorized: false,
      ...(ALPNProtocols === undefined ? {} : { ALPNProtocols }),
    });
    const { promise, resolve } = Promise.withResolvers<string>();
    let received = "";
    socket.on("secureConnect", () =>
      socket.write(
        encodeStartup(PROTOCOL_3_0, [
          ["user", "x"],
          ["database", "db"],
        ]),
      ),
    );
    socket.on("data", (bytes: Buffer) => (received += bytes.toString("latin1")));
    socket.on("error", () => resolve(received));
    socket.on("close", () => resolve(received));
    expect(await promise).toBe("");
  }
});

test("a token is not taken without TLS where there is TLS", async () => {
  const error = await refusedLogin(secure, { tls: "none" });
  expect(error?.get("C")).toBe("28P01");
  expect(error?.get("M")).toContain("only taken over TLS");
});

test("a TLS handshake where there is no TLS is closed", async () => {
  const socket = connectTls({ ...plain.address, rejectUnauthorized: false });
  const { promise, resolve } = Promise.withResolvers<void>();
  socket.on("error", () => resolve());
  socket.on("close", () => resolve());
  await promise;
});

test("plaintext that comes along with an encryption request closes the connection", async () => {
  const startup = encodeStartup(PROTOCOL_3_0, [
    ["user", "x"],
    ["database", "db"],
  ]);
  for (const request of [encodeSslRequest(), encodeGssEncRequest()]) {
    for (const road of [plain, secure]) {
      const seen = await answerTo(road, request, startup);
      expect(types(seen)).toBe("E");
      expect(sqlStates(seen)).toEqual(["08P01"]);
    }
  }
});

test("plaintext instead of a TLS handshake closes the connection", async () => {
  const client = await WireClient.open(secure.address);
  client.send(encodeSslRequest());
  expect(await client.byte()).toBe(YES);
  client.expectMessages();
  client.sendStartup(secure.login);
  client.send(encodePassword(secure.login.password ?? ""));
  const seen = await client.end();
  expect(types(seen)).not.toContain("Z");
  expect(types(seen)).not.toContain("R");
});

test("a second encryption request inside TLS is answered with no", async () => {
  const client = await WireClient.open(secure.address, "ssl");
  client.send(encodeSslRequest());
  expect(await client.byte()).toBe(NO);
  client.sendStartup(secure.login);
  await client.finishLogin(secure.login.password);
  await expectToWork(client);
});

test("packets before the login are bounded in number", async () => {
  const client = await WireClient.open(plain.address);
  for (let n = 0; n < 3; n++) {
    client.send(encodeSslRequest());
    expect(await client.byte()).toBe(NO);
  }
  client.expectMessages();
  expect(sqlStates(await client.end())).toEqual(["08P01"]);
});

test("protocol 3.2 has long cancel keys", async () => {
  const client = await roads.connect(plain, { version: PROTOCOL_3_2 });
  expect(types(client.received)).not.toContain("v");
  expect(client.key?.secret).toHaveLength(32);
  await expectToWork(client);
});

test("protocol 3.0 has cancel keys of four bytes", async () => {
  const client = await roads.connect(plain, { version: PROTOCOL_3_0 });
  expect(client.key?.secret).toHaveLength(4);
  await expectToWork(client);
});

test("an unknown minor version is negotiated down", async () => {
  const client = await roads.connect(plain, { version: PROTOCOL_3_0 + 9999 });
  expect(transcript(client.received)[0]).toBe("v 2 ");
  await expectToWork(client);
});

test("unknown protocol options are named, known parameters are passed on", async () => {
  const client = await roads.connect(plain, {
    version: PROTOCOL_3_2,
    parameters: { "_pq_.future": "1", application_name: "options" },
  });
  expect(transcript(client.received)[0]).toBe("v 2 _pq_.future");
  expect(rows(await client.ask(encodeQuery("SHOW application_name")))).toEqual([["options"]]);
  await client.terminate();
});

test("another major version is refused with its name", async () => {
  for (const version of [2 << 16, 4 << 16]) {
    const seen = await answerTo(plain, encodeStartup(version, [["user", "x"]]));
    expect(types(seen)).toBe("E");
    expect(errorIn(seen)?.get("S")).toBe("FATAL");
  }
});

test("startup packets of impossible length are turned away at once", async () => {
  for (const length of [0, 4, 7, 10_001 + 4, 0x7fffffff, -1]) {
    const head = Buffer.alloc(8);
    head.writeInt32BE(length, 0);
    head.writeInt32BE(PROTOCOL_3_0, 4);
    expect(sqlStates(await answerTo(plain, head))).toEqual(["08P01"]);
  }
});

test("a startup packet that is not made of pairs is turned away", async () => {
  const good = encodeStartup(PROTOCOL_3_0, [["user", "x"]]);
  for (const broken of [
    encodeStartup(PROTOCOL_3_0, [
      ["user", "a"],
      ["user", "b"],
    ]),
    Buffer.concat([good.subarray(0, -2), Buffer.of(1, 1)]),
  ]) {
    expect(sqlStates(await answerTo(plain, broken))).toEqual(["08P01"]);
  }
});

test("a password message that is too long is turned away before it is read", async () => {
  const head = Buffer.alloc(5, "p");
  head.writeInt32BE(70_000, 1);
  const seen = await answerTo(
    plain,
    encodeStartup(PROTOCOL_3_0, [
      ["user", "x"],
      ["database", "db"],
    ]),
    head,
  );
  expect(types(seen)).toBe("RE");
  expect(sqlStates(seen)).toEqual(["08P01"]);
});

test("another message where the password should be is turned away", async () => {
  const seen = await answerTo(
    plain,
    encodeStartup(PROTOCOL_3_0, [
      ["user", "x"],
      ["database", "db"],
    ]),
    encodeQuery("SELECT 'not yet'"),
  );
  expect(types(seen)).toBe("RE");
  expect(sqlStates(seen)).toEqual(["08P01"]);
});

test("replication does not pass", async () => {
  for (const replication of ["true", "database"]) {
    const error = await refusedLogin(plain, { parameters: { replication } });
    expect(error?.get("C")).toBe("42501");
  }
});

test("whoever does not log in in time is told so and closed", async () => {
  const hasty = await startGateway({ postgres: roads.server, limits: { loginTime: "1s" } });
  const silent = await WireClient.open(hasty);
  const slow = await WireClient.open(hasty);
  silent.expectMessages();
  slow.expectMessages();
  slow.sendStartup(plain.login);
  expect(sqlStates(await silent.end())).toEqual(["53400"]);
  expect(sqlStates(await slow.end())).toEqual(["53400"]);
  await hasty.stop();
});

test("a login cut byte by byte", async () => {
  const client = await WireClient.open(plain.address);
  client.expectMessages();
  await client.sendCut(
    encodeStartup(PROTOCOL_3_0, [
      ["user", "x"],
      ["database", "db"],
    ]),
    encodePassword(plain.login.password ?? ""),
    encodeQuery("SELECT 'cut'"),
  );
  await client.until("Z");
  expect(rows(await client.until("Z"))).toEqual([["cut"]]);
  await client.terminate();
});

test("a cancel request with a key of impossible length is harmless", async () => {
  expect(sqlStates(await answerTo(plain, encodeCancelRequest(1, Buffer.alloc(0))))).toEqual(["08P01"]);
  expect(await answerTo(plain, encodeCancelRequest(1, Buffer.alloc(256)))).toEqual([]);
});

test("random bytes are turned away", async () => {
  for (const text of ["GET / HTTP/1.1\r\n\r\n", "SSH-2.0-OpenSSH_9.2\r\n", "\0\0\0\0\0\0\0\0"]) {
    const seen = await answerTo(plain, Buffer.from(text));
    expect(sqlStates(seen)).toEqual(["08P01"]);
  }
});

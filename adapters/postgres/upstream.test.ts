/** Tests of logging in to real PostgreSQL servers: every method under every TLS mode, and everything that must fail. */
import { afterAll, beforeAll, describe, expect, test, setDefaultTimeout } from "bun:test";
import { type Authority, createAuthority, type Issued } from "../../test/servers/certificates.ts";
import { type PostgresServer, startPostgres } from "../../test/servers/postgres.ts";
import { ANY_PERMIT, dialUpstream } from "../../test/servers/upstream.ts";
import type { Endpoint, Upstream } from "../../src/core/ports.ts";
import { HouseConnection } from "./query.ts";
import type { TlsMode } from "./settings.ts";
import { cancelRequest, type LoggedIn, logIn, type LoginFailure, type LoginSettings } from "./upstream.ts";

// Real servers, on machines that may be busy.
setDefaultTimeout(240_000);

const PASSWORD = "päss wörd ª";
const ROLES = `
  create role by_trust login;
  create role by_scram login password '${PASSWORD}';
  create role by_cert login;
  set password_encryption = 'md5';
  create role by_md5 login password '${PASSWORD}';
  create role by_password login password '${PASSWORD}';
`;
const METHODS = ["trust", "password", "md5", "scram"] as const;
const hbaOf = (type: string): string[] => [
  `${type} all by_trust 127.0.0.1/32 trust`,
  `${type} all by_password 127.0.0.1/32 password`,
  `${type} all by_md5 127.0.0.1/32 md5`,
  `${type} all by_scram 127.0.0.1/32 scram-sha-256`,
];

let authority: Authority;
let stranger: Authority;
let plain: PostgresServer;
let tls: PostgresServer;
let serverCertificate: Issued;

beforeAll(async () => {
  authority = createAuthority();
  stranger = createAuthority("stranger");
  serverCertificate = authority.issue("db.example.com", { names: ["DNS:db.example.com"] });
  const socketLines = ["local all all trust"];
  [plain, tls] = await Promise.all([
    startPostgres({ sql: ROLES, hba: [...socketLines, ...hbaOf("host")] }),
    startPostgres({
      sql: ROLES,
      ssl: { ...serverCertificate, ca: authority.cert },
      hba: ["hostssl all by_cert 127.0.0.1/32 cert", ...hbaOf("hostssl")],
    }),
  ]);
});

afterAll(async () => {
  await Promise.all([plain.stop(), tls.stop()]);
});

type Attempt = Partial<LoginSettings> & {
  readonly isLoopback?: boolean;
  readonly parameters?: readonly (readonly [string, string])[];
  readonly protocolMinor?: 0 | 2;
};

function settingsOf(attempt: Attempt): LoginSettings {
  const { isLoopback: _isLoopback, parameters: _parameters, protocolMinor: _minor, ...given } = attempt;
  return {
    host: "db.example.com",
    database: "postgres",
    user: "by_trust",
    password: null,
    tls: "disable",
    ca: null,
    cert: null,
    key: null,
    loginTimeMs: 200_000,
    ...given,
  };
}

async function attemptOn(
  endpoint: Endpoint,
  attempt: Attempt,
): Promise<{ upstream: Upstream; result: LoggedIn | LoginFailure }> {
  const { isLoopback, parameters = [], protocolMinor = 0 } = attempt;
  const upstream = await dialUpstream(endpoint, isLoopback === undefined ? {} : { isLoopback });
  const result = await logIn(upstream, ANY_PERMIT, settingsOf(attempt), parameters, protocolMinor);
  return { upstream, result };
}

/** Logs in, asks who it is, and leaves; or says why not. */
async function whoAmI(endpoint: Endpoint, attempt: Attempt): Promise<string> {
  const { upstream, result } = await attemptOn(endpoint, attempt);
  if (result.kind === "loginFailure") return `${result.code ?? "-"} ${result.message}`;
  const house = new HouseConnection(upstream, result);
  const rows = await house.query(
    ANY_PERMIT,
    "select current_user, coalesce(ssl, false) from pg_stat_ssl where pid = pg_backend_pid()",
  );
  house.close(ANY_PERMIT);
  return rows.map((row) => row.join(" ")).join();
}

const over = (server: PostgresServer): Endpoint => ({ host: "127.0.0.1", port: server.port });
const failureOn = async (endpoint: Endpoint, attempt: Attempt): Promise<LoginFailure> => {
  const { upstream, result } = await attemptOn(endpoint, attempt);
  upstream.close();
  if (result.kind === "loginFailure") return result;
  throw new Error("the login should have failed");
};

const NOT_ACCEPTED = "the target does not accept the gateway's login";

describe("method by TLS mode", () => {
  const MODES: TlsMode[] = ["disable", "require", "verify-ca", "verify-full"];
  const cases = MODES.flatMap((mode) => METHODS.map((method) => [method, mode] as const));

  test.each(cases)("%s under %s", async (method, mode) => {
    const endpoint = over(mode === "disable" ? plain : tls);
    const attempt: Attempt = {
      user: `by_${method}`,
      password: method === "trust" ? null : PASSWORD,
      tls: mode,
      ca: mode === "verify-ca" || mode === "verify-full" ? authority.cert : null,
    };
    const wanted = `by_${method} ${mode === "disable" ? "f" : "t"}`;
    expect(await whoAmI(endpoint, attempt)).toBe(wanted);

    // The same across a network: what reveals the password needs verify-full.
    const across = await whoAmI(endpoint, { ...attempt, isLoopback: false });
    if ((method === "md5" || method === "password") && mode !== "verify-full") {
      expect(across).toContain("which is sent only under tls: verify-full or on the same machine");
    } else {
      expect(across).toBe(wanted);
    }

    if (method === "trust") return;
    expect(await whoAmI(endpoint, { ...attempt, password: "wrong" })).toBe(`28P01 ${NOT_ACCEPTED}`);
    expect(await whoAmI(endpoint, { ...attempt, password: null })).toBe(
      "- the target asks for a password, and its settings have none",
    );
  });

  test("over a socket file", async () => {
    const path = `${plain.socketDir}/.s.PGSQL.${plain.port}`;
    expect(await whoAmI({ path }, { user: "by_trust" })).toBe("by_trust f");
  });
});

describe("TLS", () => {
  const FULL: Attempt = { tls: "verify-full", user: "by_scram", password: PASSWORD };
  const UNSAFE = "no TLS connection with the target could be made that is as safe as its settings demand";

  test("a wrong authority, and a wrong host name", async () => {
    const wrongAuthority = await failureOn(over(tls), { ...FULL, ca: stranger.cert });
    expect(wrongAuthority).toMatchObject({ code: null, message: UNSAFE });
    expect(wrongAuthority.detail).toContain("from an authority that is not trusted");
    const wrongName = await failureOn(over(tls), { ...FULL, ca: authority.cert, host: "other.example.com" });
    expect(wrongName).toMatchObject({ code: null, message: UNSAFE });
    expect(wrongName.detail).toContain("is not for other.example.com, but for DNS:db.example.com");
    const verifyCa: Attempt = { ...FULL, tls: "verify-ca", host: "other.example.com" };
    expect(await whoAmI(over(tls), { ...verifyCa, ca: authority.cert })).toBe("by_scram t");
    expect((await failureOn(over(tls), { ...verifyCa, ca: stranger.cert })).message).toBe(UNSAFE);
  });

  test("require does not look at the certificate, unless it is given authorities", async () => {
    const require: Attempt = { ...FULL, tls: "require", host: "other.example.com" };
    expect(await whoAmI(over(tls), require)).toBe("by_scram t");
    expect(await whoAmI(over(tls), { ...require, ca: authority.cert })).toBe("by_scram t");
    expect((await failureOn(over(tls), { ...require, ca: stranger.cert })).message).toBe(UNSAFE);
  });

  test("a server without TLS is not talked to without it", async () => {
    const failure = await failureOn(over(plain), { ...FULL, ca: authority.cert });
    expect(failure.message).toBe("the target does not offer TLS, which its settings demand");
    expect(failure.detail).toContain(`127.0.0.1:${plain.port}`);
  });

  test("a server that demands TLS says so, without words about the gateway's address", async () => {
    const failure = await failureOn(over(tls), { user: "by_trust" });
    expect(failure).toMatchObject({ code: "28000", message: NOT_ACCEPTED });
    expect(failure.detail).toContain("no pg_hba.conf entry for host");
  });

  test("a client certificate", async () => {
    const attempt: Attempt = { tls: "verify-full", ca: authority.cert, user: "by_cert" };
    expect(await whoAmI(over(tls), { ...attempt, ...authority.issue("by_cert") })).toBe("by_cert t");
    expect(await whoAmI(over(tls), attempt)).toBe(`28000 ${NOT_ACCEPTED}`);
    expect(await whoAmI(over(tls), { ...attempt, ...authority.issue("by_trust") })).toBe(`28000 ${NOT_ACCEPTED}`);
    const ofStranger = await failureOn(over(tls), { ...attempt, ...stranger.issue("by_cert") });
    expect(ofStranger.code).toBeNull();
    expect(ofStranger.detail).toContain("UNKNOWN_CA");
    const unreadable = await failureOn(over(tls), { ...attempt, cert: "x", key: "y" });
    expect(unreadable).toMatchObject({ message: UNSAFE });
  });
});

describe("what a login brings", () => {
  test("parameters pass as they came, but for user and database", async () => {
    const { upstream, result } = await attemptOn(over(plain), {
      user: "by_scram",
      password: PASSWORD,
      parameters: [
        ["user", "somebody"],
        ["database", "elsewhere"],
        ["DateStyle", "SQL, DMY"],
        ["application_name", "a ' \\ app"],
        ["client_encoding", "UTF8"],
        ["options", "-c work_mem=3MB"],
      ],
    });
    if (result.kind === "loginFailure") throw new Error(result.detail);
    expect(result.parameterStatus.get("DateStyle")).toBe("SQL, DMY");
    expect(result.parameterStatus.get("session_authorization")).toBe("by_scram");
    expect(result.parameterStatus.get("server_version")).toStartWith(`${plain.major}.`);
    expect(result.transactionStatus).toBe("I");
    expect(result.notices).toEqual([]);
    const house = new HouseConnection(upstream, result);
    const rows = await house.query(
      ANY_PERMIT,
      "set datestyle to iso; reset datestyle; select current_database(), current_user, current_setting('datestyle'), current_setting('application_name'), current_setting('work_mem'), pg_backend_pid()",
    );
    expect(rows).toEqual([["postgres", "by_scram", "SQL, DMY", "a ' \\ app", "3MB", `${result.key?.processId}`]]);
    house.close(ANY_PERMIT);
  });

  test("3.2 is asked for, and what the server speaks is answered", async () => {
    const { upstream, result } = await attemptOn(over(plain), { protocolMinor: 2 });
    upstream.close();
    if (result.kind === "loginFailure") throw new Error(result.detail);
    expect(result.protocolMinor).toBe(plain.major >= 18 ? 2 : 0);
    expect(result.key?.secret.length).toBe(plain.major >= 18 ? 32 : 4);
  });

  test("what the client asked for and the server refuses is said to the client", async () => {
    const parameter = await failureOn(over(plain), { parameters: [["no_such_setting", "1"]] });
    expect(parameter.code).toBe("42704");
    expect(parameter.message).toContain("no_such_setting");
    const database = await failureOn(over(plain), { database: "none" });
    expect(database).toMatchObject({ code: "3D000" });
    expect(database.message).toContain('database "none" does not exist');
  });

  test("a NUL in a parameter ends in a failure, not in another parameter", async () => {
    const failure = await failureOn(over(plain), { parameters: [["application_name", "x\0user\0postgres"]] });
    expect(failure.code).toBeNull();
  });
});

describe("cancelling", () => {
  test.each(["disable", "verify-full"] as const)("ends the statement that runs, under %s", async (mode) => {
    const endpoint = over(mode === "disable" ? plain : tls);
    const attempt: Attempt = { tls: mode, ca: mode === "disable" ? null : authority.cert };
    const { upstream, result } = await attemptOn(endpoint, attempt);
    if (result.kind === "loginFailure" || result.key === null) throw new Error("no login");
    const house = new HouseConnection(upstream, result);
    const { processId, secret } = result.key;
    const running = house.query(ANY_PERMIT, "select pg_sleep(60)").catch((error: unknown) => error);
    const server = mode === "disable" ? plain : tls;
    while (server.psql(`select wait_event from pg_stat_activity where pid = ${processId}`) !== "PgSleep") {
      await new Promise((resolve) => setImmediate(resolve));
    }
    await cancelRequest(await dialUpstream(endpoint), ANY_PERMIT, settingsOf(attempt), processId, secret);
    expect(await running).toMatchObject({ sqlState: "57014" });
    expect(await house.query(ANY_PERMIT, "select 1")).toEqual([["1"]]);
    house.close(ANY_PERMIT);
  });

  test("a server that cannot be verified gets no key", async () => {
    const settings = settingsOf({ tls: "verify-full", ca: stranger.cert });
    const upstream = await dialUpstream(over(tls));
    await expect(cancelRequest(upstream, ANY_PERMIT, settings, 1, new Uint8Array(4))).rejects.toThrow(
      "no TLS connection",
    );
  });
});

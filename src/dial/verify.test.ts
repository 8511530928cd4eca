/** Tests of TLS in mid-connection: which peers are taken for whom, and what may not come before. */
import { afterAll, beforeAll, describe, expect, test, setDefaultTimeout } from "bun:test";
import { X509Certificate } from "node:crypto";
import { createServer, type Server, type Socket } from "node:net";
import { createSecureContext, TLSSocket } from "node:tls";
import { type Authority, createAuthority, type IssueOptions, type Issued } from "../../test/servers/certificates.ts";
import type { Connection, TlsOptions } from "../core/ports.ts";
import { DialError, TlsError } from "./dial-error.ts";
import { DirectDialer } from "./direct.ts";

// Real servers, on machines that may be busy.
setDefaultTimeout(240_000);

const dialer = new DirectDialer();
let trusted: Authority;
let other: Authority;
const closers: Server[] = [];

beforeAll(() => {
  trusted = createAuthority();
  other = createAuthority("other CA");
});
afterAll(() => {
  for (const server of closers) server.close();
});

type TlsServer = {
  readonly port: number;
  /** Of the last handshake. */
  readonly seen: { serverName: string | null; client: string | null; alpn: string | null };
};

/** Answers the first bytes with `S`, then speaks TLS and echoes. */
async function serveTls(issued: Issued): Promise<TlsServer> {
  const seen: TlsServer["seen"] = { serverName: null, client: null, alpn: null };
  const secureContext = createSecureContext({ ...issued, ca: trusted.cert });
  const port = await serve((socket) => {
    socket.once("data", () => {
      const options = { isServer: true, secureContext, requestCert: true, ALPNProtocols: ["postgresql"] };
      const tls = new TLSSocket(socket, {
        ...options,
        SNICallback: (name, done) => {
          seen.serverName = name;
          done(null, secureContext);
        },
      });
      tls.on("error", () => {});
      tls.on("data", (chunk) => {
        const name: unknown = tls.getPeerCertificate().subject?.CN;
        seen.client = typeof name === "string" ? name : null;
        seen.alpn = tls.alpnProtocol || null;
        tls.write(chunk);
      });
      socket.write("S");
    });
  });
  return { port, seen };
}

async function serve(onConnection: (socket: Socket) => void): Promise<number> {
  const server = createServer((socket) => {
    socket.on("error", () => {});
    onConnection(socket);
  });
  closers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return address !== null && typeof address === "object" ? address.port : 0;
}

/** Connects under a limit that is for what comes later: a machine that is busy may pass a short one already here. */
async function reach(port: number, timeoutMs: number): Promise<Connection> {
  for (;;) {
    try {
      return await dialer.dial({ host: "127.0.0.1", port }, timeoutMs);
    } catch (error) {
      if (!(error instanceof DialError) || !error.message.includes("no answer within")) throw error;
    }
  }
}

/** Connects, waits for the `S`, and upgrades. */
async function upgrade(port: number, options: TlsOptions, timeoutMs = 10_000): Promise<Connection> {
  const connection = await reach(port, timeoutMs);
  const { promise, resolve } = Promise.withResolvers<null>();
  connection.onData(() => resolve(null));
  connection.write(Buffer.from("?"));
  await promise;
  await connection.startTls(options);
  return connection;
}

async function echo(connection: Connection, text: string): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  connection.onData((bytes) => resolve(Buffer.from(bytes).toString()));
  connection.write(Buffer.from(text));
  return promise;
}

/** `echoed`, or why not. */
async function outcome(port: number, options: TlsOptions): Promise<string> {
  try {
    const connection = await upgrade(port, options);
    const answer = await echo(connection, "echoed");
    connection.close();
    return answer;
  } catch (error) {
    return error instanceof TlsError ? error.message.replace(`127.0.0.1:${port}: `, "") : `other: ${String(error)}`;
  }
}

describe("who is taken for whom", () => {
  const SIGNED_BY_OTHER = "its certificate comes from an authority that is not trusted (set `ca`)";
  const EXPIRED = "its certificate has expired";
  const LOCAL: IssueOptions = { names: ["DNS:localhost", "IP:127.0.0.1"] };
  const mismatch = (name: string, names: string): string => `its certificate is not for ${name}, but for ${names}`;
  const cases: [verify: TlsOptions["verify"], serverName: string, certificate: IssueOptions, wanted: string][] = [
    ["full", "localhost", LOCAL, "echoed"],
    ["full", "LOCALHOST", LOCAL, "echoed"],
    ["full", "127.0.0.1", LOCAL, "echoed"],
    ["full", "127.0.0.2", LOCAL, mismatch("127.0.0.2", "DNS:localhost, IP Address:127.0.0.1")],
    ["full", "elsewhere", LOCAL, mismatch("elsewhere", "DNS:localhost, IP Address:127.0.0.1")],
    ["full", "localhost", { ...LOCAL, expired: true }, EXPIRED],
    ["full", "a.example.com", { names: ["DNS:*.example.com"] }, "echoed"],
    ["full", "a.b.example.com", { names: ["DNS:*.example.com"] }, mismatch("a.b.example.com", "DNS:*.example.com")],
    ["full", "example.com", { names: ["DNS:*.example.com"] }, mismatch("example.com", "DNS:*.example.com")],
    ["full", "foo.example.com", { names: ["DNS:f*.example.com"] }, mismatch("foo.example.com", "DNS:f*.example.com")],
    ["full", "127.0.0.1", { names: ["DNS:127.0.0.1"] }, mismatch("127.0.0.1", "DNS:127.0.0.1")],
    // The common name counts only where no DNS name stands.
    ["full", "common", {}, "echoed"],
    ["full", "common", { names: ["DNS:other"] }, mismatch("common", "DNS:other")],
    ["ca", "elsewhere", LOCAL, "echoed"],
    ["ca", "127.0.0.9", LOCAL, "echoed"],
    ["ca", "localhost", { ...LOCAL, expired: true }, EXPIRED],
    ["ca", "elsewhere", { ...LOCAL, expired: true }, EXPIRED],
    ["encrypt", "elsewhere", { ...LOCAL, expired: true }, "echoed"],
  ];
  test.each(cases)("%s %s %j: %s", async (verify, serverName, certificate, wanted) => {
    const { port } = await serveTls(trusted.issue("common", certificate));
    expect(await outcome(port, { verify, serverName, ca: trusted.cert })).toBe(wanted);
    // The same under an authority that is not trusted: only `encrypt` does not care, whatever else is wrong.
    const ofOther = await serveTls(other.issue("common", certificate));
    const elsewhere = await outcome(ofOther.port, { verify, serverName, ca: trusted.cert });
    if (verify === "encrypt") expect(elsewhere).toBe("echoed");
    else expect([SIGNED_BY_OTHER, EXPIRED]).toContain(elsewhere);
  });

  test("without a ca the system's authorities decide", async () => {
    const { port } = await serveTls(trusted.issue("localhost", { names: ["DNS:localhost"] }));
    expect(await outcome(port, { verify: "full", serverName: "localhost" })).toBe(SIGNED_BY_OTHER);
    expect(await outcome(port, { verify: "ca", serverName: "localhost" })).toBe(SIGNED_BY_OTHER);
    expect(await outcome(port, { verify: "encrypt", serverName: "localhost" })).toBe("echoed");
  });
});

describe("what passes in the handshake", () => {
  test("the server's certificate comes back, byte for byte", async () => {
    const issued = trusted.issue("localhost", { names: ["DNS:localhost"] });
    const { port } = await serveTls(issued);
    const connection = await dialer.dial({ host: "127.0.0.1", port }, 10_000);
    const { promise, resolve } = Promise.withResolvers<null>();
    connection.onData(() => resolve(null));
    connection.write(Buffer.from("?"));
    await promise;
    const peer = await connection.startTls({ verify: "full", serverName: "localhost", ca: trusted.cert });
    connection.close();
    expect(Buffer.from(peer.certificateDer ?? [])).toEqual(Buffer.from(new X509Certificate(issued.cert).raw));
  });

  test("the client's certificate and the server's name arrive; an address is not sent as a name", async () => {
    const server = await serveTls(trusted.issue("localhost", { names: ["DNS:localhost", "IP:127.0.0.1"] }));
    const client = trusted.issue("the client");
    const options = { verify: "full", ca: trusted.cert, ...client } as const;
    expect(await outcome(server.port, { ...options, serverName: "localhost" })).toBe("echoed");
    expect(server.seen).toMatchObject({ serverName: "localhost", client: "the client" });
    server.seen.serverName = null;
    expect(await outcome(server.port, { ...options, serverName: "127.0.0.1" })).toBe("echoed");
    expect(server.seen.serverName).toBeNull();
  });

  test("the names of protocols are offered, each behind its length", async () => {
    const server = await serveTls(trusted.issue("localhost", { names: ["DNS:localhost"] }));
    const options: TlsOptions = { verify: "full", serverName: "localhost", ca: trusted.cert };
    expect(await outcome(server.port, { ...options, alpn: ["first", "postgresql"] })).toBe("echoed");
    expect(server.seen.alpn).toBe("postgresql");
    expect(await outcome(server.port, { ...options, alpn: [""] })).toBe("an ALPN name has 1 to 255 bytes");
  });

  test("a certificate or key that cannot be read is said to be so", async () => {
    const { port } = await serveTls(trusted.issue("localhost", { names: ["DNS:localhost"] }));
    const options: TlsOptions = { verify: "full", serverName: "localhost", ca: trusted.cert, cert: "x", key: "y" };
    expect(await outcome(port, options)).toBe("TLS failed: NO_START_LINE");
  });

  test("much passes both ways, with pauses", async () => {
    const { port } = await serveTls(trusted.issue("localhost", { names: ["DNS:localhost"] }));
    const connection = await upgrade(port, { verify: "full", serverName: "localhost", ca: trusted.cert });
    const wanted = Buffer.alloc(4_000_000);
    for (let at = 0; at < wanted.length; at++) wanted[at] = (at * 7 + (at >> 9)) & 0xff;
    const chunks: Uint8Array[] = [];
    let got = 0;
    const { promise, resolve } = Promise.withResolvers<null>();
    let isPaused = false;
    let cameWhilePaused = 0;
    connection.onData((bytes) => {
      if (isPaused) cameWhilePaused++;
      chunks.push(bytes);
      got += bytes.length;
      if (got === wanted.length) resolve(null);
      else if (chunks.length % 10 === 0) {
        isPaused = true;
        connection.pause();
        setImmediate(() => {
          isPaused = false;
          connection.resume();
        });
      }
    });
    for (let at = 0; at < wanted.length; at += 37_000) connection.write(wanted.subarray(at, at + 37_000));
    await promise;
    connection.close();
    expect(Buffer.concat(chunks).equals(wanted)).toBe(true);
    expect(cameWhilePaused).toBe(0);
  });
});

describe("who does not keep to TLS", () => {
  const OPTIONS: TlsOptions = { verify: "encrypt", serverName: "localhost" };

  test("bytes that wait for a listener are plain text too", async () => {
    const port = await serve((socket) => socket.write("injected"));
    const connection = await dialer.dial({ host: "127.0.0.1", port }, 10_000);
    const { promise, resolve: onClose } = Promise.withResolvers<Error | null>();
    connection.onClose(onClose);
    // Another connection's whole life passes: the bytes are here by then.
    const second = await dialer.dial({ host: "127.0.0.1", port }, 10_000);
    await new Promise((resolve) => second.onData(resolve));
    second.close();
    await expect(connection.startTls(OPTIONS)).rejects.toThrow("bytes in plain text were on their way");
    expect(await promise).toBeNull();
  });

  test.each([
    ["garbage", "HTTP/1.1 400 Bad Request\r\n\r\n", "TLS failed: WRONG_VERSION_NUMBER"],
    ["an alert", "\u0015\u0003\u0001\u0000\u0002\u0002\u0028", "TLS failed: SSLV3_ALERT_HANDSHAKE_FAILURE"],
  ])("%s in place of the handshake is an error", async (_what, answer, message) => {
    const port = await serve((socket) => {
      socket.once("data", () => {
        socket.once("data", () => socket.write(answer, "latin1"));
        socket.write("S");
      });
    });
    expect(await outcome(port, OPTIONS)).toBe(message);
  });

  test("a server that leaves in the handshake, or never answers it", async () => {
    const leaves = await serve((socket) => {
      socket.once("data", () => {
        socket.once("data", () => socket.end());
        socket.write("S");
      });
    });
    await expect(upgrade(leaves, OPTIONS)).rejects.toThrow(TlsError);
    const silent = await serve((socket) => {
      socket.once("data", () => {
        socket.on("data", () => {});
        socket.write("S");
      });
    });
    await expect(upgrade(silent, OPTIONS, 200)).rejects.toThrow("no TLS handshake within 200 ms");
  });

  test("TLS begins once, and not on a closed connection", async () => {
    const { port } = await serveTls(trusted.issue("localhost", { names: ["DNS:localhost"] }));
    const connection = await upgrade(port, OPTIONS);
    await expect(connection.startTls(OPTIONS)).rejects.toThrow("is encrypted already");
    connection.close();
    await expect(connection.startTls(OPTIONS)).rejects.toThrow("the connection is closed");
  });
});

/** A time stamping authority (RFC 3161) for tests: `openssl ts` behind a small HTTP server. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export type TimeStampAuthority = {
  readonly url: string;
  /** Its requests so far. */
  readonly requests: number;
  /** What it does to its answers from now on; null: nothing. */
  spoil: ((answer: Uint8Array, request: Uint8Array) => Uint8Array | Promise<Uint8Array>) | null;
  /** The answer of openssl to a request. */
  reply(request: Uint8Array): Uint8Array;
  /** What `openssl ts -verify` says of a token over data: "Verification: OK", or why not. */
  verify(token: Uint8Array, data: string): string;
  stop(): Promise<void>;
};

const CONFIG = `
[tsa]
default_tsa = tsa1
[tsa1]
dir = .
serial = ./serial
signer_cert = ./tsa.pem
certs = ./ca.pem
signer_key = ./tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
ordering = yes
tsa_name = yes
ess_cert_id_chain = no
`;

export function startTimeStampAuthority(): TimeStampAuthority {
  const folder = mkdtempSync(join(tmpdir(), `weir-test-tsa-${process.pid}-`));
  const openssl = (args: readonly string[]): { status: number; output: string } => {
    const { exitCode, stdout, stderr } = Bun.spawnSync(["openssl", ...args], { cwd: folder });
    return { status: exitCode, output: `${stdout.toString()}${stderr.toString()}` };
  };
  const must = (args: readonly string[]): void => {
    const { status, output } = openssl(args);
    if (status !== 0) throw new Error(`openssl ${args.join(" ")}: ${output}`);
  };
  const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  writeFileSync(join(folder, "tsa.cnf"), CONFIG);
  writeFileSync(join(folder, "serial"), "01\n");
  writeFileSync(join(folder, "usage"), "extendedKeyUsage = critical,timeStamping\n");
  must([
    "req",
    "-x509",
    ...newKey,
    "-keyout",
    "ca.key",
    "-out",
    "ca.pem",
    "-days",
    "30",
    "-subj",
    "/CN=weir test TSA CA",
  ]);
  must(["req", "-new", ...newKey, "-keyout", "tsa.key", "-out", "tsa.csr", "-subj", "/CN=weir test TSA"]);
  must([
    "x509",
    "-req",
    "-in",
    "tsa.csr",
    "-CA",
    "ca.pem",
    "-CAkey",
    "ca.key",
    "-CAcreateserial",
    "-days",
    "30",
    "-extfile",
    "usage",
    "-out",
    "tsa.pem",
  ]);

  let requests = 0;
  const reply = (request: Uint8Array): Uint8Array => {
    writeFileSync(join(folder, "query.tsq"), request);
    must(["ts", "-reply", "-config", "tsa.cnf", "-queryfile", "query.tsq", "-out", "answer.tsr"]);
    return new Uint8Array(readFileSync(join(folder, "answer.tsr")));
  };
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: async (request) => {
      requests++;
      if (request.headers.get("content-type") !== "application/timestamp-query")
        return new Response("", { status: 415 });
      const query = new Uint8Array(await request.arrayBuffer());
      const answer = reply(query);
      const body = authority.spoil === null ? answer : await authority.spoil(answer, query);
      return new Response(Buffer.from(body), { headers: { "Content-Type": "application/timestamp-reply" } });
    },
  });
  const authority: TimeStampAuthority = {
    url: `http://127.0.0.1:${server.port ?? 0}/`,
    get requests() {
      return requests;
    },
    spoil: null,
    reply,
    verify: (token, data) => {
      writeFileSync(join(folder, "token.der"), token);
      writeFileSync(join(folder, "data"), data);
      return openssl(["ts", "-verify", "-in", "token.der", "-token_in", "-data", "data", "-CAfile", "ca.pem"]).output;
    },
    stop: async () => {
      await server.stop(true);
      rmSync(folder, { recursive: true, force: true });
    },
  };
  return authority;
}

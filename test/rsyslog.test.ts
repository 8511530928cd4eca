/** The stream to syslog, read by a real rsyslog (Debian packages rsyslog and rsyslog-openssl); skipped where it is not installed. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { which } from "bun";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AuditLog } from "../src/audit/audit.ts";
import { selectRange, type SelectedEntry } from "../src/audit/export/selection.ts";
import { LogReader } from "../src/audit/query.ts";
import { SyslogSender } from "../src/audit/streams/syslog.ts";
import { PERMIT, POLICY, sampleOperation } from "./fault/audit-sample.ts";
import { createAuthority } from "./servers/certificates.ts";
import { freePort } from "./servers/free-port.ts";
import { runOnce } from "./tampered-log.ts";
import { stopChild } from "./servers/child-end.ts";

const RSYSLOGD = which("rsyslogd") ?? ["/usr/sbin/rsyslogd"].find((path) => existsSync(path)) ?? null;
const HAS_TLS = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"].some((folder) =>
  existsSync(join(folder, "rsyslog/lmnsd_ossl.so")),
);
const MISSING = RSYSLOGD === null ? "rsyslogd is not installed" : HAS_TLS ? null : "rsyslog has no TLS by OpenSSL";
if (MISSING !== null) process.stderr.write(`what rsyslog reads is left out: ${MISSING}\n`);

const SOURCE = { gateway: "gw-1.example.com", version: "0.1.0" };
/** Between the parts of a line; in none of them. */
const BAR = "~|~";
let folder: string;
let stop: () => Promise<void> = async () => {};

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "weir-rsyslog-"));
});
afterEach(async () => {
  await stop();
  rmSync(folder, { recursive: true, force: true });
});

/** Listens with TLS and writes a line per message: its parts as rsyslog has read them. */
async function startRsyslog(): Promise<{ port: number; ca: string; lines(): string[][] }> {
  const authority = createAuthority();
  const { cert, key } = authority.issue("localhost", { names: ["IP:127.0.0.1"] });
  const file = (name: string): string => join(folder, name);
  writeFileSync(file("ca.pem"), authority.cert);
  writeFileSync(file("cert.pem"), cert);
  writeFileSync(file("key.pem"), key);
  const port = await freePort();
  const parts = ["pri", "timereported:::date-rfc3339", "hostname", "app-name", "procid", "msgid"];
  const line = [...parts, "structured-data", "msg"].map((part) => `%${part}%`).join(BAR);
  writeFileSync(
    file("rsyslog.conf"),
    `global(workDirectory="${folder}" maxMessageSize="64k" parser.escapeControlCharactersOnReceive="off"
  defaultNetstreamDriver="ossl" defaultNetstreamDriverCAFile="${file("ca.pem")}"
  defaultNetstreamDriverCertFile="${file("cert.pem")}" defaultNetstreamDriverKeyFile="${file("key.pem")}")
module(load="imtcp" StreamDriver.Name="ossl" StreamDriver.Mode="1" StreamDriver.AuthMode="anon")
template(name="parts" type="string" string="${line}\\n")
input(type="imtcp" address="127.0.0.1" port="${port}")
action(type="omfile" file="${file("out")}" template="parts")
`,
  );
  const child = Bun.spawn([RSYSLOGD ?? "", "-n", "-f", file("rsyslog.conf"), "-i", file("pid")], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  stop = async () => {
    stop = async () => {};
    await stopChild(child, { name: "rsyslogd", signal: "SIGTERM", ended: child.exited, log: () => "" });
  };
  while (!(await answers(port))) {
    if (child.exitCode !== null) throw new Error(`rsyslogd ended: ${await new Response(child.stderr).text()}`);
    await Bun.sleep(20);
  }
  const lines = (): string[][] => {
    if (!existsSync(file("out"))) return [];
    return readFileSync(file("out"), "utf8")
      .split("\n")
      .slice(0, -1)
      .map((each) => each.split(BAR))
      .filter((each) => each[3] === "weir");
  };
  return { port, ca: authority.cert, lines };
}

async function answers(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect(port, "127.0.0.1", () => resolve(true));
  socket.on("error", () => resolve(false));
  const isThere = await promise;
  socket.destroy();
  return isThere;
}

async function entries(): Promise<SelectedEntry[]> {
  const log = LogReader.open(folder);
  try {
    return await Array.fromAsync(selectRange(log, 0, await log.size()));
  } finally {
    log.close();
  }
}

// Debian packages that an ordinary run does not install: rsyslog, rsyslog-openssl.
describe.skipIf(MISSING !== null)("rsyslog", () => {
  test("reads every message whole and in order, whatever names and ids hold", async () => {
    await runOnce(folder, 200);
    const hostile = 'a"b]c\\d\u0007\u{1f600}\ud800';
    const log = await AuditLog.open({ folder, origin: "gw.test.example", clock: { now: Date.now } });
    log.event("login.failed", { source: hostile, reason: hostile });
    log.outcome(log.intent(sampleOperation(hostile), PERMIT, POLICY), { status: "done" });
    // Larger than what every receiver takes: its leaf is left out, and the message says so.
    log.event("policy.rejected", { problems: Array.from({ length: 20 }, (_, i) => `${i} ${"x".repeat(1000)}`) });
    await log.close();
    const all = await entries();

    const { port, ca, lines } = await startRsyslog();
    const sender = new SyslogSender({ host: "127.0.0.1", port, ca }, SOURCE);
    await sender.send(all);
    await sender.close();
    while (lines().length < all.length) await Bun.sleep(20);
    await stop();

    const read = lines();
    expect(read.map(([, , , , , , data]) => indexIn(data))).toEqual(all.map(({ index }) => index));
    let leftOut = 0;
    for (const [at, { leaf, operation, json }] of all.entries()) {
      const [pri, time, host, app, process, id, data = "", message = ""] = read[at] ?? [];
      const isLoud = leaf.event === "login.failed" || operation?.decision.kind === "deny";
      expect([pri, host, app, process, id]).toEqual([
        String(13 * 8 + (isLoud ? 4 : 5)),
        "gw-1.example.com",
        "weir",
        "-",
        leaf.event,
      ]);
      expect(Date.parse(time ?? "")).toBe(Math.floor(leaf.timeMs));
      if (data.includes('leaf="left out"')) leftOut++;
      else expect(message.replace("\ufeff", "").trimStart()).toBe(json);
    }
    expect(leftOut).toBe(1);
  });
});

function indexIn(data: string | undefined): number {
  const at = data?.indexOf('index="') ?? -1;
  return at < 0 ? -1 : Number.parseInt(data?.slice(at + 'index="'.length) ?? "", 10);
}

/** Tests of what joins the two ends of a command, between ends that note what they are told. */
import { expect, test } from "bun:test";
import { permitted, policyOf, settle } from "../../test/gate-world.ts";
import { scriptedDoor } from "../../test/scripted-door.ts";
import { isRefusal } from "../../src/core/decision.ts";
import type { Obligations } from "../../src/core/obligation.ts";
import type { Permit } from "../../src/core/ports.ts";
import type { ClientChannel, TargetChannel, TerminalSize } from "./channels.ts";
import { Relay } from "./replies.ts";
import { ChannelFull } from "./ssh-channel.ts";

/** Either end; the target's window is closed as long as `takesMore` is false. */
class End implements ClientChannel, TargetChannel {
  readonly heard: string[] = [];
  takesMore = true;
  drains = (): void => {};
  data = (_bytes: Uint8Array, _isStderr: boolean): void => {};

  write(first: Permit | Uint8Array, second: Uint8Array | boolean): boolean {
    const bytes = first instanceof Uint8Array ? first : second;
    if (bytes instanceof Uint8Array) this.heard.push(Buffer.from(bytes).toString());
    return this.takesMore;
  }
  resize(_permit: Permit, { columns }: TerminalSize): void {
    this.heard.push(`<${columns} columns>`);
  }
  signal(_permit: Permit, name: string): void {
    if (!this.takesMore) throw new ChannelFull("too many");
    this.heard.push(`<${name}>`);
  }
  onDrain(callback: () => void): void {
    this.drains = callback;
  }
  onData(callback: (bytes: Uint8Array, isStderr: boolean) => void): void {
    this.data = callback;
  }
  drain(): void {
    this.takesMore = true;
    this.drains();
  }
  onEof(): void {}
  onClose(): void {}
  onExit(): void {}
  eof(): void {}
  exit(): void {}
  unwanted(): void {}
  pause(): void {}
  resume(): void {}
  close(): void {
    this.heard.push("<closed>");
  }
}

type Joined = { readonly relay: Relay; readonly client: End; readonly target: End; readonly reports: string[] };

async function joined(obligations: Obligations = {}): Promise<Joined> {
  const reports: string[] = [];
  const door = scriptedDoor({
    policy: { ...policyOf(new Map()), mayConnect: () => permitted(), decide: () => permitted(obligations) },
    targets: new Map([["box", { name: "box", adapter: "ssh", labels: {}, settings: null }]]),
    say: (line) => void reports.push(line),
  });
  const proof = { method: "key", credential: "SHA256:x", expiresAtMs: null } as const;
  const opened = await door.open({
    adapter: "ssh",
    identity: { kind: "human", issuer: "test", subject: "ann", groups: [], proof },
    targetName: "box",
    source: "10.0.0.9",
    text: "",
    facts: () => ({ logins: ["mcp"] }),
  });
  if (isRefusal(opened)) throw new Error(opened.message);
  const { session } = opened;
  const started = Promise.withResolvers<Permit>();
  const operation = {
    id: door.operationId(),
    session,
    kind: "shell",
    accesses: [{ verb: "run", class: "execute", facts: {} }],
    understood: true,
    text: "a shell",
    textSha256: null,
    catalogDigest: null,
    lane: 1,
    lasts: true,
  } as const;
  door.submit(session, operation, {
    start: (permit) => started.resolve(permit),
    release() {},
    pending() {},
    refuse: (no) => started.reject(new Error(no.message)),
    cancel() {},
  });
  const [client, target] = [new End(), new End()];
  const permit = await started.promise;
  const stages = { mask: null, record: null };
  const relay = new Relay({ door, permit, client, target, stages, hasPty: true, onEnd() {} });
  relay.begin();
  relay.release();
  await settle();
  return { relay, client, target, reports };
}

const sizeOf = (columns: number): TerminalSize => ({ columns, rows: 24, widthPx: 0, heightPx: 0 });

test("changes of a terminal's size count against the limit of bytes", async () => {
  const { relay, client, target } = await joined({ limit: { bytes: 160 } });
  for (let n = 0; n < 10; n++) relay.resize(sizeOf(n));
  expect(target.heard.length).toBe(10);
  relay.resize(sizeOf(10));
  expect(target.heard.slice(10)).toEqual(["<TERM>", "<closed>"]);
  expect(client.heard.join("")).toContain("160 bytes");
});

test("a target that takes nothing is told the last size alone, when it does", async () => {
  const { relay, client, target } = await joined();
  target.takesMore = false;
  client.data(Buffer.from("input"), false);
  for (let n = 0; n < 5_000; n++) relay.resize(sizeOf(n));
  expect(target.heard).toEqual(["input"]);
  target.drain();
  expect(target.heard).toEqual(["input", "<4999 columns>"]);
  relay.resize(sizeOf(80));
  expect(target.heard.slice(2)).toEqual(["<80 columns>"]);
});

test("more than a target takes is a limit that the client has reached, and no fault of the gateway's own", async () => {
  const { relay, client, target, reports } = await joined();
  target.takesMore = false;
  relay.signal("INT");
  expect(client.heard.join("")).toContain("the target does not take what it is sent");
  expect(client.heard).toContain("<closed>");
  expect(reports).toEqual([]);
});

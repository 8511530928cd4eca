/** The client's agent and X server: what one permit covers, how many connections, and how they end. */
import { beforeEach, expect, test } from "bun:test";
import { isRefusal, type Decision, type Refusal } from "../../../src/core/decision.ts";
import type { Permit } from "../../../src/core/ports.ts";
import { permitted, policyOf, ScriptedAudit, settle } from "../../../test/gate-world.ts";
import { scriptedDoor } from "../../../test/scripted-door.ts";
import type { ClientChannel, TargetChannel } from "../channels.ts";
import { FieldReader, FieldWriter } from "../protocol/fields.ts";
import { ClientService, readX11 } from "./client-service.ts";

/** One end of a channel that notes what it is told; the test plays the peer behind it. */
class End {
  readonly heard: string[] = [];
  isClosed = false;
  data: (bytes: Uint8Array, isStderr: boolean) => void = () => {};
  onData(callback: (bytes: Uint8Array, isStderr: boolean) => void): void {
    this.data = callback;
  }
  onEof(): void {}
  onDrain(): void {}
  onClose(): void {}
  pause(): void {}
  resume(): void {}
  eof(): void {}
  exit(): void {}
  signal(): void {}
  resize(): void {}
  unwanted(): void {}
  onExit(): void {}
  close(): void {
    this.isClosed = true;
  }
  sends(text: string): void {
    this.data(Buffer.from(text), false);
  }
}

class ClientEnd extends End implements ClientChannel {
  write(bytes: Uint8Array): boolean {
    this.heard.push(Buffer.from(bytes).toString());
    return true;
  }
}

class TargetEnd extends End implements TargetChannel {
  write(_permit: Permit, bytes: Uint8Array): boolean {
    this.heard.push(Buffer.from(bytes).toString());
    return true;
  }
}

const MASKED = permitted({
  mask: { columns: {}, fields: {}, classifiers: { email: { with: "redact" } }, patterns: {}, predicates: "masked" },
});

let verdict: Decision;
let audit: ScriptedAudit;
let service: ClientService;
let clients: ClientEnd[];
let unavailable: Refusal[];

beforeEach(async () => {
  verdict = permitted();
  audit = new ScriptedAudit();
  clients = [];
  unavailable = [];
  const door = scriptedDoor({
    policy: { ...policyOf(new Map()), mayConnect: () => permitted(), decide: () => verdict },
    audit,
    targets: new Map([["plant7", { name: "plant7", adapter: "ssh", labels: {}, settings: null }]]),
  });
  const proof = { method: "key", credential: "SHA256:x", expiresAtMs: null } as const;
  const opened = await door.open({
    adapter: "ssh",
    identity: { kind: "human", issuer: "test", subject: "ann", groups: [], proof },
    targetName: "plant7",
    source: "10.0.0.9",
    text: "",
    facts: () => ({ logins: ["mcp"] }),
  });
  if (isRefusal(opened)) throw new Error(opened.message);
  const open = async (): Promise<ClientEnd> => {
    const end = new ClientEnd();
    clients.push(end);
    return end;
  };
  const never = (): never => {
    throw new Error("nothing is run");
  };
  service = new ClientService({
    door,
    opened,
    clock: { now: () => 1_000 },
    settings: {
      host: "",
      port: 22,
      user: "mcp",
      logins: [],
      key: null,
      password: null,
      hostKeys: [],
      keyExchange: null,
      shell: null,
    },
    login: "mcp",
    target: {
      exec: never,
      shell: never,
      subsystem: never,
      directTcpip: never,
      directStreamlocal: never,
      listenTcp: never,
      unlistenTcp: never,
      listenStreamlocal: never,
      unlistenStreamlocal: never,
      home: never,
      onClose() {},
      close() {},
    },
    limits: { sessionsMax: 10, loginTimeMs: 1_000, statementBytesMax: 1_000, drainTimeMs: 1_000 },
    nextLane: () => 1,
    endSession: () => {},
    kind: "agent-forward",
    x11: null,
    client: { agent: open, x11: never },
    onUnavailable: (no) => unavailable.push(no),
  });
});

async function ask(): Promise<Refusal | null> {
  const answer = service.ask(() => {});
  await settle();
  return answer;
}

/** A program on the target connects: its end, or why not. */
async function connect(): Promise<TargetEnd | string> {
  let became: TargetEnd | string = "nothing";
  const accept = (): TargetEnd => (became = new TargetEnd());
  service.connected({ accept, reject: (_, text) => (became = text) }, { address: "", port: 0 });
  await settle();
  return became;
}

async function connected(): Promise<TargetEnd> {
  const end = await connect();
  if (typeof end === "string") throw new Error(end);
  return end;
}

function outcomes(): readonly unknown[] {
  return [...audit.outcomes.values()].flat();
}

test("connections share a permit, and end with it", async () => {
  expect(await ask()).toBeNull();
  service.made();
  const [one, two] = [await connected(), await connected()];
  one.sends("12345");
  clients[1]?.sends("678");
  expect([clients.map(({ heard }) => heard), one.heard, two.heard]).toEqual([[["12345"], []], [], ["678"]]);
  service.stop(null);
  expect([one, two, ...clients].every(({ isClosed }) => isClosed)).toBe(true);
  expect(outcomes()).toEqual([{ status: "done", bytes: 5 }]);
  expect(service.takesConnections).toBe(false);
  expect(await connect()).toBe("this is over");
});

test("a limit counts the bytes of all of them, both ways", async () => {
  verdict = permitted({ limit: { bytes: 8 } });
  await ask();
  service.made();
  const [one, two] = [await connected(), await connected()];
  one.sends("12345");
  clients[1]?.sends("678");
  expect(service.permit).not.toBeNull();
  one.sends("9");
  expect([one, two, ...clients].every(({ isClosed }) => isClosed)).toBe(true);
  expect(outcomes()).toEqual([{ status: "cancelled", code: "limit", bytes: 5 }]);
});

test("there are 64 at once", async () => {
  await ask();
  service.made();
  for (let at = 0; at < 64; at++) expect(await connect()).toBeInstanceOf(TargetEnd);
  expect(await connect()).toBe("there are 64 of these already");
});

test("a mask refuses it", async () => {
  verdict = MASKED;
  expect((await ask())?.message).toBe("policy obliges to mask this, and what a forward carries cannot be masked");
  expect(outcomes()).toEqual([{ status: "refused", code: "denied" }]);
});

test("the target does not do it", async () => {
  await ask();
  service.unavailable();
  expect(unavailable.map(({ message }) => message)).toEqual(["the target does not forward the agent"]);
  expect(outcomes()).toEqual([{ status: "failed", code: "target_unavailable" }]);
});

test("it is skipped when its channel ends before its record is durable", async () => {
  audit.lagMs = 60_000;
  const answer = service.ask(() => {});
  service.stop(null);
  expect((await answer)?.code).toBe("cancelled");
  audit.sync();
  expect(outcomes()).toEqual([{ status: "skipped" }]);
});

test("an X11 request is read within bounds", () => {
  const read = (protocol: string, cookie: string, screen: number): ReturnType<typeof readX11> =>
    readX11(new FieldReader(new FieldWriter().bool(true).string(protocol).string(cookie).u32(screen).take()));
  const good = { isSingle: true, protocol: "MIT-MAGIC-COOKIE-1", cookie: "00fF", screen: 255 };
  expect(read(good.protocol, good.cookie, good.screen)).toEqual(good);
  for (const bad of [
    read("", "00", 0),
    read("a\nb", "00", 0),
    read("a", "", 0),
    read("a", "0g", 0),
    read("a", "00", 256),
  ]) {
    expect(bad).toMatchObject({ code: "not_understood" });
  }
});

/** The forwards of a connection: what is asked of policy, what reaches the target, and how each comes to its end. */
import { beforeEach, describe, expect, jest, test } from "bun:test";
import { askedFor, permitted, policyOf, ScriptedAudit, ScriptedRecorder, settle } from "../../../test/gate-world.ts";
import { scriptedDoor } from "../../../test/scripted-door.ts";
import { isRefusal, NO_RULES, refusal, type Decision, type Refusal } from "../../../src/core/decision.ts";
import type { Requirement } from "../../../src/core/obligation.ts";
import type { Operation } from "../../../src/core/operation.ts";
import type { Arrival, ByteStream, Destination, Door, Permit } from "../../../src/core/ports.ts";
import {
  TargetRefused,
  type ClientChannel,
  type Originator,
  type TargetChannel,
  type TargetConnection,
} from "../channels.ts";
import { refusalLine } from "../refuse.ts";
import { Forwards } from "./forwards.ts";

/** One end of a channel that notes what it is told; the test plays the peer behind it. */
class ScriptedEnd {
  readonly heard: string[] = [];
  takesMore = true;
  isClosed = false;
  isPaused = false;
  data: (bytes: Uint8Array, isStderr: boolean) => void = () => {};
  eofs = (): void => {};
  drains = (): void => {};
  closes = (): void => {};

  onData(callback: (bytes: Uint8Array, isStderr: boolean) => void): void {
    this.data = callback;
  }
  onEof(callback: () => void): void {
    this.eofs = callback;
  }
  onDrain(callback: () => void): void {
    this.drains = callback;
  }
  onClose(callback: () => void): void {
    this.closes = callback;
  }
  pause(): void {
    this.isPaused = true;
  }
  resume(): void {
    this.isPaused = false;
  }
  close(): void {
    this.isClosed = true;
  }
  sends(text: string): void {
    this.data(Buffer.from(text), false);
  }
  drain(): void {
    this.takesMore = true;
    this.drains();
  }
  protected took(bytes: Uint8Array): boolean {
    this.heard.push(Buffer.from(bytes).toString());
    return this.takesMore;
  }
}

class ClientEnd extends ScriptedEnd implements ClientChannel {
  write(bytes: Uint8Array): boolean {
    return this.took(bytes);
  }
  eof(): void {
    this.heard.push("<eof>");
  }
  exit(): void {
    throw new Error("a forward has no exit status");
  }
}

class TargetEnd extends ScriptedEnd implements TargetChannel {
  write(_permit: Permit, bytes: Uint8Array): boolean {
    return this.took(bytes);
  }
  eof(): void {
    this.heard.push("<eof>");
  }
  signal(): void {}
  resize(): void {}
  unwanted(): void {}
  onExit(): void {}
}

const HERE: Originator = { address: "10.0.0.9", port: 4000 };

/** What policy says, by the fact; a fact that is not here is denied. */
let verdicts = new Map<string, Decision>();
let destinations = new Map<string, Destination>();
let asked: string[] = [];
let audit = new ScriptedAudit();
let recorder = new ScriptedRecorder();
let told: string[] = [];
let made: TargetEnd[] = [];
let incoming: ((channel: TargetChannel, originator: Originator) => void)[] = [];
let targetSays: Error | null = null;
let toClient: { what: string; end: ClientEnd }[] = [];
let clientSays: Error | null = null;
let accepted: { stream: ByteStream; arrival: Omit<Arrival, "limits"> }[] = [];
let ended: Refusal[] = [];
let changed = (): void => {};
let epoch = 1;
/** People who are asked, by the operation; `signal` aborts when nobody waits for them any more. */
let people: { answer: (answer: "approved" | Refusal) => void; signal: AbortSignal; operation: Operation }[] = [];
let forwards: Forwards;
let door: Door;

function scriptedTarget(): TargetConnection {
  const make = async (line: string): Promise<TargetEnd> => {
    told.push(line);
    if (targetSays !== null) throw targetSays;
    const end = new TargetEnd();
    made.push(end);
    return end;
  };
  const never = (): never => {
    throw new Error("not of a forward");
  };
  return {
    exec: never,
    shell: never,
    subsystem: never,
    home: never,
    onClose() {},
    close() {},
    directTcpip: async (_permit, host, port) => make(`connect ${host} ${port}`),
    directStreamlocal: async (_permit, path) => make(`connect ${path}`),
    listenTcp: async (_permit, host, port, onConnection) => {
      told.push(`listen ${host} ${port}`);
      if (targetSays !== null) throw targetSays;
      incoming.push(onConnection);
      return port === 0 ? 40_000 : port;
    },
    unlistenTcp: async (_permit, host, port) => void told.push(`unlisten ${host} ${port}`),
    listenStreamlocal: async (_permit, path, onConnection) => {
      told.push(`listen ${path}`);
      incoming.push((channel) => onConnection(channel));
    },
    unlistenStreamlocal: async (_permit, path) => void told.push(`unlisten ${path}`),
  };
}

beforeEach(async () => {
  verdicts = new Map<string, Decision>();
  destinations = new Map<string, Destination>();
  asked = [];
  audit = new ScriptedAudit();
  recorder = new ScriptedRecorder();
  told = [];
  made = [];
  incoming = [];
  targetSays = null;
  toClient = [];
  clientSays = null;
  accepted = [];
  ended = [];
  epoch = 1;
  people = [];
  const decide = (fact: string): Decision => {
    const no = refusal("denied", `not to ${fact}`, { rules: ["d"] });
    return verdicts.get(fact) ?? { kind: "deny", rules: ["d"], observed: NO_RULES, refusal: no };
  };
  const target = { name: "plant7", adapter: "ssh", labels: {}, settings: null };
  door = scriptedDoor({
    policy: {
      ...policyOf(new Map()),
      get epoch() {
        return epoch;
      },
      mayConnect: () => permitted(),
      decide: (_, operation) => {
        const { facts } = operation.accesses[0];
        return decide(Array.isArray(facts["forwards"]) ? String(facts["forwards"][0]) : "nothing");
      },
      onChange: (callback) => {
        changed = callback;
      },
    },
    audit,
    recorder,
    approvals: {
      ask: (operation, _decision, _pending, signal) =>
        new Promise((resolve) => people.push({ answer: resolve, signal, operation })),
    },
    forwarding: {
      destinationOf: async (host, port) => {
        asked.push(`${host} ${port}`);
        return destinations.get(host) ?? { kind: "elsewhere" };
      },
      accept: (to, stream, arrival) => {
        if (to.name !== "plant7") return false;
        accepted.push({ stream, arrival });
        return true;
      },
    },
    targets: new Map([["plant7", target]]),
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
  let lane = 0;
  const openClient = async (what: string): Promise<ClientEnd> => {
    if (clientSays !== null) throw clientSays;
    const end = new ClientEnd();
    toClient.push({ what, end });
    return end;
  };
  forwards = new Forwards({
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
    target: scriptedTarget(),
    limits: { sessionsMax: 10, loginTimeMs: 1_000, statementBytesMax: 1_000, drainTimeMs: 1_000 },
    nextLane: () => ++lane,
    onIdle: () => {},
    endSession: (reason) => ended.push(reason),
    client: {
      forwardedTcpip: async (host, port, from) => openClient(`${host} ${port} from ${from.address} ${from.port}`),
      forwardedStreamlocal: async (path) => openClient(path),
    },
  });
});

type Asking = { end: ClientEnd | null; refused: Refusal[] };

async function connect(host: string, port = 80): Promise<Asking> {
  const asking: Asking = { end: null, refused: [] };
  forwards.directTcpip({ host, port }, HERE, openingOf(asking));
  await settle();
  return asking;
}

function openingOf(asking: Asking): { accept: () => ClientEnd; reject: (no: Refusal) => void } {
  return {
    accept: () => (asking.end = new ClientEnd()),
    reject: (no) => void asking.refused.push(no),
  };
}

/** What became of each forward, in the order of the log: its text, the decision and the outcome. */
function logged(): string[] {
  return [...audit.intents].flatMap(([sequence, { operation, decision }]) => {
    if (operation.kind === "connect") return [];
    const outcomes = (audit.outcomes.get(sequence) ?? []).map(({ status, code, bytes }) =>
      [status, code, bytes].filter((each) => each !== undefined).join(" "),
    );
    const kind = decision === "house" ? decision : decision.kind;
    return [`${operation.kind} ${operation.text}: ${kind}, ${outcomes.join(" + ") || "open"}`];
  });
}

describe("a connection that is permitted", () => {
  let client: ClientEnd;
  let target: TargetEnd;

  beforeEach(async () => {
    verdicts.set("web.example.com:80", permitted());
    const asking = await connect("Web.Example.com.");
    if (asking.end === null) throw new Error("it was not accepted");
    client = asking.end;
    target = made[0] ?? new TargetEnd();
  });

  test("goes to the place that was judged", () => {
    expect(told).toEqual(["connect web.example.com 80"]);
    expect(asked).toEqual(["Web.Example.com 80"]);
    expect(forwards.isIdle).toBe(false);
  });

  test("carries bytes both ways, and the end of each way apart", () => {
    client.sends("GET /");
    target.sends("200");
    expect(target.heard).toEqual(["GET /"]);
    expect(client.heard).toEqual(["200"]);
    client.eofs();
    expect(target.heard).toEqual(["GET /", "<eof>"]);
    target.sends(" OK");
    expect(client.isClosed || target.isClosed).toBe(false);
    target.eofs();
    expect(client.heard).toEqual(["200", " OK", "<eof>"]);
    expect(client.isClosed && target.isClosed).toBe(true);
    expect(logged()).toEqual(["direct-tcpip web.example.com:80 from 10.0.0.9:4000: permit, done 6"]);
    expect(forwards.isIdle).toBe(true);
  });

  test("waits for whoever is slow", () => {
    target.takesMore = false;
    client.sends("a");
    expect([client.isPaused, target.isPaused]).toEqual([true, false]);
    target.drain();
    expect(client.isPaused).toBe(false);
    client.takesMore = false;
    target.sends("b");
    expect([client.isPaused, target.isPaused]).toEqual([false, true]);
    client.drain();
    expect(target.isPaused).toBe(false);
  });

  test("gives a slow side what the other sent before it was closed", () => {
    client.takesMore = false;
    target.sends("last words");
    target.closes();
    expect(client.isClosed).toBe(false);
    client.drain();
    expect(client.isClosed).toBe(true);
    expect(logged()).toEqual(["direct-tcpip web.example.com:80 from 10.0.0.9:4000: permit, done 10"]);
  });

  test("ends with its client, and is told of once", () => {
    client.closes();
    client.closes();
    target.closes();
    expect(target.isClosed).toBe(true);
    expect(logged()).toEqual(["direct-tcpip web.example.com:80 from 10.0.0.9:4000: permit, done 0"]);
  });

  test("ends when policy would not let it begin any more", () => {
    verdicts.clear();
    epoch = 2;
    changed();
    expect(client.isClosed && target.isClosed).toBe(true);
    expect(logged()).toEqual(["direct-tcpip web.example.com:80 from 10.0.0.9:4000: permit, cancelled denied 0"]);
    target.sends("late");
    expect(client.heard).toEqual([]);
  });

  test("ends with the connection", () => {
    forwards.end(null);
    expect(client.isClosed && target.isClosed).toBe(true);
    expect(forwards.isIdle).toBe(true);
  });

  test("ends when its end cannot be sent", () => {
    target.eof = () => {
      throw new Error("gone");
    };
    client.eofs();
    expect(client.isClosed && target.isClosed).toBe(true);
    expect(logged()).toEqual(["direct-tcpip web.example.com:80 from 10.0.0.9:4000: permit, failed internal 0"]);
  });
});

describe("a connection that policy obliges to record", () => {
  beforeEach(() => verdicts.set("web:80", permitted({ record: ["input", "output"] })));

  test("begins when its recording has begun, and is written down", async () => {
    const asking = await connect("web");
    expect([told, asking.end]).toEqual([[], null]);
    await recorder.begin();
    await settle();
    made[0]?.sends("hello");
    asking.end?.sends("a request");
    made[0]?.closes();
    const lines = recorder.made[0]?.lines.map(([, line]) => line) ?? [];
    expect(lines).toMatchObject([
      { kind: "input", text: "direct-tcpip web:80 from 10.0.0.9:4000" },
      { kind: "output", text: "hello" },
      { kind: "data", of: "stdin", bytes: 9 },
      { kind: "end", status: "done" },
    ]);
  });

  test("is refused without one, and ends with it: nothing passes unrecorded", async () => {
    const refused = await connect("web");
    await recorder.refuse();
    await settle();
    expect(refused.refused).toMatchObject([{ code: "recording_unavailable" }]);
    expect(told).toEqual([]);
    const { end } = await (async () => {
      const asking = await connect("web");
      await recorder.begin();
      await settle();
      return asking;
    })();
    recorder.made[0]?.fail();
    made[0]?.sends("unseen\n");
    expect(end?.heard).toEqual([]);
    expect(end?.isClosed).toBe(true);
  });
});

describe("a connection that is refused", () => {
  test("by policy, without a lookup", async () => {
    const { refused } = await connect("web.example.com");
    expect(refused).toMatchObject([{ code: "denied", message: "not to web.example.com:80", rules: ["d"] }]);
    expect([asked, told]).toEqual([[], []]);
    expect(logged()).toEqual(["direct-tcpip web.example.com:80 from 10.0.0.9:4000: deny, refused denied"]);
  });

  test.each(["127.0.0.1", "0x7f.1", "localhost", "fe80::1", "a b", "1.2.3.4.5"])(
    "whatever policy says: %s",
    async (host) => {
      for (const fact of [`${host}:80`, "127.0.0.1:80", "[fe80::1]:80"]) verdicts.set(fact, permitted());
      const { refused, end } = await connect(host);
      expect(refused).toHaveLength(1);
      expect(refused[0]?.event).not.toBe("");
      expect(end).toBeNull();
      expect([asked, told]).toEqual([[], []]);
      expect(logged()[0]).toContain(": deny, refused");
    },
  );

  test("because of where it turns out to lead", async () => {
    verdicts.set("db1:5432", permitted());
    destinations.set("db1", { kind: "closed", why: "the host of a governed target" });
    const { refused } = await connect("db1", 5432);
    expect(refused).toMatchObject([
      { code: "denied", message: "db1:5432 leads to the host of a governed target, where no forward may go" },
    ]);
    expect(told).toEqual([]);
    expect(logged()).toEqual(["direct-tcpip db1:5432 from 10.0.0.9:4000: permit, refused denied"]);
  });

  test("by the target, in its words for people", async () => {
    verdicts.set("db2:80", permitted());
    targetSays = new TargetRefused("the target cannot connect to db2", "Connection refused by 10.1.1.1");
    const { refused } = await connect("db2");
    expect(refused).toMatchObject([{ code: "target_unavailable", message: "the target cannot connect to db2" }]);
    expect(logged()).toEqual(["direct-tcpip db2:80 from 10.0.0.9:4000: permit, failed target_unavailable"]);
  });

  test("because nothing of it could be masked", async () => {
    const mask = {
      columns: {},
      fields: {},
      classifiers: { email: { with: "redact" } },
      patterns: {},
      predicates: "masked",
    } as const;
    verdicts.set("web:80", permitted({ mask }));
    const { refused } = await connect("web");
    expect(refused).toMatchObject([{ code: "denied", rules: ["p"] }]);
    expect(told).toEqual([]);
  });

  test("while too many are open, and no longer", async () => {
    verdicts.set("web:80", permitted());
    const first = await connect("web");
    for (let at = 1; at < 256; at++)
      forwards.directTcpip({ host: "web", port: 80 }, HERE, openingOf({ end: null, refused: [] }));
    await settle();
    expect((await connect("web")).refused).toMatchObject([{ code: "limit" }]);
    first.end?.closes();
    expect((await connect("web")).refused).toEqual([]);
  });

  test("over a limit of its bytes", async () => {
    verdicts.set("web:80", permitted({ limit: { bytes: 5 } }));
    const { end } = await connect("web");
    end?.sends("12345");
    made[0]?.sends("6");
    expect(made[0]?.heard).toEqual(["12345"]);
    expect(end?.heard).toEqual([]);
    expect(end?.isClosed).toBe(true);
    expect(logged()).toEqual(["direct-tcpip web:80 from 10.0.0.9:4000: permit, cancelled limit 0"]);
  });

  test("when the connection ends while the target is asked", async () => {
    verdicts.set("web:80", permitted());
    const asking: Asking = { end: null, refused: [] };
    forwards.directTcpip({ host: "web", port: 80 }, HERE, openingOf(asking));
    forwards.end(null);
    await settle();
    expect(asking).toMatchObject({ end: null, refused: [{ code: "cancelled" }] });
    expect(made.every(({ isClosed }) => isClosed)).toBe(true);
  });
});

describe("a connection to a target by its name", () => {
  beforeEach(() => {
    verdicts.set("plant7.part:22", permitted());
    verdicts.set("other:22", permitted());
    destinations.set("Plant7.Part", { kind: "target", targetName: "plant7", part: "Part" });
    destinations.set("other", { kind: "target", targetName: "other", part: null });
  });

  test("is handed over, and neither dialled nor asked of this target", async () => {
    const { end, refused } = await connect("Plant7.Part", 22);
    expect([refused, told]).toEqual([[], []]);
    const { stream, arrival } = accepted[0] ?? { stream: null, arrival: null };
    expect(arrival).toMatchObject({
      targetName: "plant7",
      part: "Part",
      source: "10.0.0.9",
      identity: { subject: "ann" },
    });
    // It is accepted when somebody reads it.
    expect(end).toBeNull();
    expect(stream).not.toBeNull();
  });

  test("carries bytes for whoever serves it, and ends with either", async () => {
    const asking = await connect("Plant7.Part", 22);
    const stream = accepted[0]?.stream;
    const read: string[] = [];
    let closes = 0;
    stream?.onData((bytes) => read.push(Buffer.from(bytes).toString()));
    stream?.onClose(() => closes++);
    const { end } = asking;
    end?.sends("hello");
    expect(read).toEqual(["hello"]);
    stream?.write(Buffer.from("welcome"));
    stream?.end();
    expect(end?.heard).toEqual(["welcome", "<eof>"]);
    expect([end?.isClosed, closes]).toEqual([true, 1]);
    expect(logged()).toEqual(["direct-tcpip plant7.part:22 from 10.0.0.9:4000: permit, done 7"]);
  });

  test("counts its bytes", async () => {
    verdicts.set("plant7.part:22", permitted({ limit: { bytes: 5 } }));
    const { end } = await (async () => {
      const asking = await connect("Plant7.Part", 22);
      accepted[0]?.stream.onData(() => {});
      return asking;
    })();
    accepted[0]?.stream.write(Buffer.from("123456"));
    expect(end?.heard).toEqual([]);
    expect(end?.isClosed).toBe(true);
    expect(logged()[0]).toEndWith("permit, cancelled limit 0");
  });

  test("is refused in words when that target takes nobody", async () => {
    const { refused } = await connect("other", 22);
    expect(refused).toMatchObject([{ code: "denied", message: 'no forward can lead to the target "other"' }]);
    expect(logged()).toEqual(["direct-tcpip other:22 from 10.0.0.9:4000: permit, refused denied"]);
  });
});

describe("a Unix socket of the target", () => {
  test("is reached by the path that was judged", async () => {
    verdicts.set("/run/app.sock", permitted());
    const asking: Asking = { end: null, refused: [] };
    forwards.directStreamlocal("//run/./app.sock", openingOf(asking));
    await settle();
    expect(told).toEqual(["connect /run/app.sock"]);
    asking.end?.sends("x");
    expect(made[0]?.heard).toEqual(["x"]);
  });

  test("is refused by policy, and by what it is called", async () => {
    for (const path of ["/run/other.sock", "/run/../app.sock"]) {
      const asking: Asking = { end: null, refused: [] };
      forwards.directStreamlocal(path, openingOf(asking));
      await settle();
      expect(asking.refused).toHaveLength(1);
    }
    expect(told).toEqual([]);
  });
});

describe("a port of the target that listens for the client", () => {
  let answers: (number | null)[] = [];

  beforeEach(async () => {
    answers = [];
    verdicts.set("localhost:8080", permitted());
    verdicts.set("localhost:0", permitted());
    verdicts.set("*:8080", permitted());
    forwards.tcpipForward({ host: "localhost", port: 8080 }, (port) => answers.push(port));
    await settle();
  });

  test("listens until it is cancelled", async () => {
    const done: boolean[] = [];
    expect([answers, told]).toEqual([[8080], ["listen localhost 8080"]]);
    forwards.cancelTcpipForward({ host: "localhost", port: 8080 }, (isDone) => done.push(isDone));
    await settle();
    forwards.cancelTcpipForward({ host: "localhost", port: 8080 }, (isDone) => done.push(isDone));
    await settle();
    expect(done).toEqual([true, false]);
    expect(told).toEqual(["listen localhost 8080", "unlisten localhost 8080"]);
    expect(logged()).toEqual(["tcpip-forward localhost:8080: permit, done"]);
  });

  test("of any number is known by the one that was chosen", async () => {
    forwards.tcpipForward({ host: "localhost", port: 0 }, (port) => answers.push(port));
    forwards.tcpipForward({ host: "localhost", port: 0 }, (port) => answers.push(port));
    await settle();
    expect(answers).toEqual([8080, 40_000, 40_000]);
    incoming[1]?.(new TargetEnd(), HERE);
    await settle();
    expect(toClient.map(({ what }) => what)).toEqual(["localhost 40000 from 10.0.0.9 4000"]);
    const done: boolean[] = [];
    forwards.cancelTcpipForward({ host: "localhost", port: 40_000 }, (isDone) => done.push(isDone));
    await settle();
    expect(done).toEqual([true]);
  });

  test("on every address is told so", async () => {
    forwards.tcpipForward({ host: "", port: 8080 }, (port) => answers.push(port));
    await settle();
    expect(told.at(-1)).toBe("listen  8080");
  });

  test("is not asked for again and again where it is refused", async () => {
    for (let n = 0; n < 3_000; n++) {
      forwards.tcpipForward({ host: "0.0.0.0", port: 8080 }, (port) => answers.push(port));
      if (ended.length > 0) break;
    }
    expect(ended.map(({ code }) => code)).toEqual(["limit"]);
    expect(logged().length).toBeLessThan(100);
    expect(logged().at(-1)).toBe("tcpip-forward 0.0.0.0:8080: deny, refused denied");
  });

  test("is refused by policy, by the target, and when it is there already", async () => {
    forwards.tcpipForward({ host: "0.0.0.0", port: 8080 }, (port) => answers.push(port));
    forwards.tcpipForward({ host: "localhost", port: 8080 }, (port) => answers.push(port));
    targetSays = new TargetRefused("the target cannot listen there");
    forwards.tcpipForward({ host: "localhost", port: 0 }, (port) => answers.push(port));
    await settle();
    expect(answers).toEqual([8080, null, null, null]);
  });

  test("is one of so many", async () => {
    for (let at = 0; at < 32; at++) forwards.tcpipForward({ host: "localhost", port: 0 }, (port) => answers.push(port));
    await settle();
    expect(answers.filter((port) => port === null)).toHaveLength(1);
    expect(answers).toHaveLength(33);
  });

  test("passes each connection on as an operation of its own", async () => {
    const target = new TargetEnd();
    incoming[0]?.(target, HERE);
    await settle();
    const [first] = toClient;
    expect(first?.what).toBe("localhost 8080 from 10.0.0.9 4000");
    target.sends("hello");
    first?.end.sends("welcome");
    expect([first?.end.heard, target.heard]).toEqual([["hello"], ["welcome"]]);
    target.closes();
    expect(first?.end.isClosed).toBe(true);
    expect(logged()).toEqual([
      "tcpip-forward localhost:8080: permit, open",
      "tcpip-forward localhost:8080 reached from 10.0.0.9:4000: permit, done 5",
    ]);
  });

  test("closes a connection that the client does not take", async () => {
    clientSays = new Error("no");
    const target = new TargetEnd();
    incoming[0]?.(target, HERE);
    await settle();
    expect(target.isClosed).toBe(true);
    expect(forwards.isIdle).toBe(true);
    // It is the client's own doing, and no fault of the gateway's.
    expect(logged().at(-1)).toBe(
      "tcpip-forward localhost:8080 reached from 10.0.0.9:4000: permit, cancelled cancelled",
    );
  });

  test("ends when policy would not let it listen any more, and lets nothing in then", async () => {
    verdicts.clear();
    epoch = 2;
    changed();
    const target = new TargetEnd();
    incoming[0]?.(target, HERE);
    await settle();
    expect(target.isClosed).toBe(true);
    expect(told).toEqual(["listen localhost 8080", "unlisten localhost 8080"]);
    expect(logged()).toEqual(["tcpip-forward localhost:8080: permit, cancelled denied"]);
  });

  test("ends with the connection", () => {
    forwards.end(null);
    expect(logged()).toEqual(["tcpip-forward localhost:8080: permit, done"]);
  });
});

test("a Unix socket of the target listens for the client", async () => {
  verdicts.set("/run/app.sock", permitted());
  const answers: boolean[] = [];
  forwards.streamlocalForward("//run/app.sock", (isDone) => answers.push(isDone));
  forwards.streamlocalForward("/run/other.sock", (isDone) => answers.push(isDone));
  forwards.streamlocalForward("run/app.sock", (isDone) => answers.push(isDone));
  await settle();
  expect(answers.filter((isDone) => isDone)).toEqual([true]);
  expect(answers).toHaveLength(3);
  incoming[0]?.(new TargetEnd(), HERE);
  await settle();
  expect(toClient.map(({ what }) => what)).toEqual(["//run/app.sock"]);
  forwards.cancelStreamlocalForward("//run/app.sock", (isDone) => answers.push(isDone));
  await settle();
  expect(answers.at(-1)).toBe(true);
  expect(told).toEqual(["listen /run/app.sock", "unlisten /run/app.sock"]);
});

test("a log that has failed ends the session", async () => {
  verdicts.set("web:80", permitted());
  const { end } = await connect("web");
  audit.fail();
  end?.closes();
  expect(ended).toMatchObject([{ code: "audit_unavailable" }]);
});

describe("a connection that people are asked about", () => {
  const APPROVAL: Requirement = {
    kind: "approval",
    rules: ["g"],
    from: { groups: ["ops"], subjects: [] },
    count: 1,
    withinMs: 60_000,
    validForMs: 60_000,
    uses: 1,
    distinctFrom: [],
  };

  async function asking(): Promise<{ client: Asking; question: (typeof people)[number] }> {
    verdicts.set("web.example.com:80", askedFor({}, [APPROVAL]));
    const client = await connect("web.example.com");
    const [question] = people;
    if (question === undefined) throw new Error("nobody was asked");
    expect([client.end, client.refused, told]).toEqual([null, [], []]);
    return { client, question };
  }

  test("is opened when they agree", async () => {
    const { client, question } = await asking();
    question.answer("approved");
    await settle();
    expect(told).toEqual(["connect web.example.com 80"]);
    expect(client.end).not.toBeNull();
    expect(question.signal.aborted).toBe(true);
  });

  test("fails with their reason, the rule and the id when they do not", async () => {
    const { client, question } = await asking();
    question.answer(refusal("approval_denied", "ops said no: not on a Friday", { rules: ["g"] }));
    await settle();
    const [no] = client.refused;
    expect(no).toMatchObject({ code: "approval_denied", event: question.operation.id });
    // What CHANNEL_OPEN_FAILURE says.
    expect(refusalLine(no ?? refusal("internal", ""))).toBe(
      `weir: ops said no: not on a Friday (rules g; id ${question.operation.id})`,
    );
    expect(told).toEqual([]);
  });

  test("is not waited for any longer than policy says, and the client is told so", async () => {
    jest.useFakeTimers();
    try {
      const { client, question } = await asking();
      jest.advanceTimersByTime(59_999);
      await settle();
      expect([client.refused, question.signal.aborted]).toEqual([[], false]);
      jest.advanceTimersByTime(1);
      await settle();
      expect(question.signal.aborted).toBe(true);
      expect(client.refused).toMatchObject([
        { code: "approval_expired", message: "nobody has approved this within 60 s", event: question.operation.id },
      ]);
      // An answer that comes too late changes nothing.
      question.answer("approved");
      await settle();
      expect(told).toEqual([]);
      expect(logged()).toEqual(["direct-tcpip web.example.com:80 from 10.0.0.9:4000: deny, refused approval_expired"]);
    } finally {
      jest.useRealTimers();
    }
  });

  test("is not waited for when its client has left", async () => {
    const { question } = await asking();
    forwards.end(null);
    await settle();
    expect(question.signal.aborted).toBe(true);
    question.answer("approved");
    await settle();
    expect(told).toEqual([]);
    expect(logged()).toEqual(["direct-tcpip web.example.com:80 from 10.0.0.9:4000: deny, refused cancelled"]);
  });
});

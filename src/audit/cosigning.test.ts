/** A log and its witnesses over HTTP: what is kept, what is tried again, what is not believed, and how far the log is ahead. */
import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createAuthority } from "../../test/servers/certificates.ts";
import { ToyLog } from "../../test/toy-log.ts";
import { Cosigning } from "./cosigning.ts";
import type { CosigningParts } from "./cosigning.ts";
import { newSigner, openNote, readVerifier, signatureLine, unverifiedText } from "./note.ts";
import type { NoteSigner } from "./note.ts";
import { askElsewhere, seenByWitness } from "./seen-elsewhere.ts";
import { WitnessClient } from "./witness-client.ts";
import { WitnessStore } from "./witness-store.ts";
import { Witness } from "./witness.ts";

setDefaultTimeout(240_000);

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

type Served = {
  readonly client: WitnessClient;
  readonly signer: NoteSigner;
  readonly requests: string[];
  /** Answers in the witness's place, which has judged the request already; null: its own answer goes out. */
  answer: ((body: string, own: Response) => Response | Promise<Response>) | null;
};

/** A witness whose answers can be spoiled on the way. */
function serve(log: ToyLog, name = "witness.example/w1"): Served {
  const { signer } = newSigner(name, "cosignature");
  const folder = mkdtempSync(join(tmpdir(), "weir-cosigning-"));
  const store = new WitnessStore(folder);
  const witness = new Witness({ signer, logs: [log.vkey], store, clock: { now: () => Date.now() }, say: () => {} });
  const requests: string[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: async (request) => {
      const body = await request.text();
      requests.push(body);
      const { status, type, body: text } = witness.addCheckpoint(Buffer.from(body));
      const own = new Response(text, { status, headers: { "Content-Type": type } });
      return served.answer === null ? own : served.answer(body, own);
    },
  });
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
  cleanups.push(() => store.close());
  cleanups.push(async () => server.stop(true));
  const client = new WitnessClient({ url: `http://127.0.0.1:${server.port ?? 0}/`, key: signer.verifier.vkey });
  const served: Served = { client, signer, requests, answer: null };
  return served;
}

type Event = readonly [kind: string, facts: Readonly<Record<string, unknown>>];

type World = {
  readonly cosigning: Cosigning;
  readonly kept: Map<number, string>;
  readonly events: Event[];
  readonly said: string[];
  /** The log has signed its newest state. */
  sign(): void;
};

function watch(log: ToyLog, witnesses: readonly Served[], more: Partial<CosigningParts> = {}): World {
  const kept = new Map<number, string>();
  const events: Event[] = [];
  const said: string[] = [];
  let listener: (checkpoint: { size: number; note: string }) => void = () => {};
  const cosigning = new Cosigning({
    witnesses: witnesses.map(({ client }) => client),
    lagMsMax: null,
    log: {
      onCheckpoint: (callback) => {
        listener = callback;
        return () => (listener = () => {});
      },
      keepCosigned: (size, note) => void kept.set(size, note),
      event: (kind, facts) => void events.push([kind, facts]),
    },
    tree: { consistencyProof: (from, to) => log.proof(from, to), checkpoints: () => [], latestCosigned: () => null },
    clock: { now: () => Date.now() },
    say: (line) => said.push(line),
    ...more,
  });
  cleanups.push(async () => cosigning.stop());
  return { cosigning, kept, events, said, sign: () => listener({ size: log.size, note: log.note() }) };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await Bun.sleep(1);
}

function keysOf(note: string | undefined, witnesses: readonly Served[]): string[] {
  const verifiers = witnesses.map(({ signer }) => readVerifier(signer.verifier.vkey));
  return openNote(note ?? "", verifiers).verified.map(({ verifier }) => verifier.name);
}

describe("a checkpoint", () => {
  test("is kept with the cosignatures of all witnesses, and the next one follows it", async () => {
    const log = new ToyLog("log", 3);
    const witnesses = [serve(log, "w/1"), serve(log, "w/2")];
    const world = watch(log, witnesses);
    world.sign();
    await until(() => world.cosigning.status.witnesses.every(({ cosigned }) => cosigned?.size === 3));
    expect(keysOf(world.kept.get(3), witnesses).toSorted()).toEqual(["w/1", "w/2"]);
    for (let i = 0; i < 10; i++) log.append(`more ${i}`);
    world.sign();
    await until(() => world.cosigning.status.witnesses.every(({ cosigned }) => cosigned?.size === 13));
    expect(world.cosigning.status).toMatchObject({ cosigned: { size: 13 }, lagMs: 0 });
    expect(witnesses.map(({ requests }) => requests.map((body) => body.split("\n")[0]))).toEqual([
      ["old 0", "old 3"],
      ["old 0", "old 3"],
    ]);
    expect(world.events).toEqual([]);
  });

  test("is cosigned also when the witness knows the log already, from an earlier run or a lost answer", async () => {
    const log = new ToyLog("log", 3);
    const witness = serve(log);
    const earlier = watch(log, [witness]);
    // It has kept the checkpoint, and its answer never comes.
    witness.answer = () => new Response("", { status: 502 });
    earlier.sign();
    await until(() => earlier.cosigning.status.witnesses[0]?.problem !== null);
    await earlier.cosigning.stop();
    witness.answer = null;
    witness.requests.length = 0;
    for (let i = 0; i < 5; i++) log.append(`more ${i}`);
    const world = watch(log, [witness]);
    world.sign();
    await until(() => world.kept.has(8));
    expect(witness.requests.map((body) => body.split("\n")[0])).toEqual(["old 0", "old 3"]);
    expect(world.events).toEqual([]);
  });

  test("gets the signatures of an earlier run together with those of now", async () => {
    const log = new ToyLog("log", 3);
    const [first, second] = [serve(log, "w/1"), serve(log, "w/2")];
    const earlier = watch(log, [first]);
    earlier.sign();
    await until(() => earlier.kept.has(3));
    const note = earlier.kept.get(3) ?? "";
    const world = watch(log, [second], {
      tree: {
        consistencyProof: (from, to) => log.proof(from, to),
        checkpoints: () => [],
        latestCosigned: () => ({ size: 3, timeMs: 1, note }),
      },
    });
    world.sign();
    await until(() => world.kept.has(3));
    expect(keysOf(world.kept.get(3), [first, second]).toSorted()).toEqual(["w/1", "w/2"]);
  });

  test("that comes last is still cosigned while the gateway ends", async () => {
    const log = new ToyLog("log", 3);
    const witness = serve(log);
    const held = Promise.withResolvers<void>();
    witness.answer = async (_, own) => {
      await held.promise;
      return own;
    };
    const world = watch(log, [witness]);
    world.sign();
    await until(() => witness.requests.length > 0);
    log.append("the last");
    world.sign();
    const stopped = world.cosigning.stop();
    held.resolve();
    await stopped;
    expect([...world.kept.keys()]).toEqual([3, 4]);
  });
});

describe("an answer is not believed", () => {
  const lies: readonly (readonly [what: string, lie: (log: ToyLog, witness: Served) => Response, reason: string])[] = [
    [
      "with another witness's cosignature",
      (log) => line(log, newSigner("witness.example/w1", "cosignature").signer),
      "no known key",
    ],
    ["with a cosignature of something else", (_, { signer }) => line(new ToyLog("log", 9), signer), "is wrong"],
    ["with the log's own signature", (log) => new Response(signatureLine(textOf(log), log.signer)), "no known key"],
    ["with nothing", () => new Response(""), "does not end with a newline"],
    ["with what is no line", () => new Response("hello\n"), "a signature line is"],
    ["without end", () => new Response("x".repeat(20_000)), "more than 16384 bytes"],
    ["with an error", () => new Response("no disk", { status: 500 }), "status 500 (no disk)"],
    ["with another address", () => Response.redirect("http://127.0.0.1:1/", 302), "redirect"],
  ];
  for (const [what, lie, reason] of lies) {
    test(what, async () => {
      const log = new ToyLog("log", 3);
      const witness = serve(log);
      witness.answer = () => lie(log, witness);
      const world = watch(log, [witness]);
      world.sign();
      await until(() => world.cosigning.status.witnesses[0]?.problem !== null);
      expect((world.cosigning.status.witnesses[0]?.problem ?? "").toLowerCase()).toContain(reason.toLowerCase());
      expect(world.kept.size).toBe(0);
      expect(world.cosigning.lagMs).toBeGreaterThan(0);
      expect(world.events.map(([kind]) => kind)).toEqual(["witness.failed"]);
    });
  }

  test("but what stands beside the right line is only left out", async () => {
    const log = new ToyLog("log", 3);
    const witness = serve(log);
    const stranger = newSigner("stranger", "cosignature").signer;
    witness.answer = async (_, own) => new Response(signatureLine(textOf(log), stranger, 1) + (await own.text()));
    const world = watch(log, [witness]);
    world.sign();
    await until(() => world.kept.has(3));
    expect(world.kept.get(3)).not.toContain("stranger");
  });

  function textOf(log: ToyLog): string {
    return openNote(log.note(), [readVerifier(log.vkey)]).text;
  }

  function line(log: ToyLog, signer: NoteSigner): Response {
    return new Response(signatureLine(textOf(log), signer, 1));
  }
});

describe("a witness that fails", () => {
  test("is recorded once, and once when it is back", async () => {
    const log = new ToyLog("log", 3);
    const witness = serve(log);
    let failures = 0;
    witness.answer = (_, own) => (failures++ < 2 ? new Response("", { status: 503 }) : own);
    const world = watch(log, [witness]);
    world.sign();
    await until(() => world.kept.has(3));
    const { name, url } = witness.client;
    expect(world.events).toEqual([
      ["witness.failed", { witness: name, url, reason: expect.stringContaining("status 503") }],
      ["witness.recovered", { witness: name, url }],
    ]);
    expect(world.said).toHaveLength(2);
  });

  test("holds nothing up when the log itself cannot record it", async () => {
    const log = new ToyLog("log", 3);
    const witness = serve(log);
    witness.answer = (_, own) => (witness.requests.length < 2 ? new Response("", { status: 503 }) : own);
    const kept: number[] = [];
    let listener: (checkpoint: { size: number; note: string }) => void = () => {};
    const failing = {
      onCheckpoint: (callback: typeof listener) => {
        listener = callback;
        return () => {};
      },
      keepCosigned: (size: number) => {
        kept.push(size);
        throw new Error("the log has failed");
      },
      event: () => {
        throw new Error("the log has failed");
      },
    };
    const world = watch(log, [witness], { log: failing });
    listener({ size: 3, note: log.note() });
    await until(() => kept.length > 0);
    await until(() => world.cosigning.status.witnesses[0]?.problem === null);
    expect(world.cosigning.lagMs).toBe(0);
  });

  test("says when it has seen more than the log has, or another log", async () => {
    const log = new ToyLog("log", 9);
    const witness = serve(log);
    const whole = watch(log, [witness]);
    whole.sign();
    await until(() => whole.kept.has(9));
    const cut = new ToyLog("log", 5, log.signer);
    const world = watch(cut, [witness]);
    world.sign();
    await until(() => world.cosigning.status.witnesses[0]?.problem !== null);
    expect(world.cosigning.status.witnesses[0]?.problem).toContain(
      "it has cosigned 9 entries of this log, which has 5",
    );
    const other = new ToyLog("log", 8, log.signer);
    for (const text of ["rewritten", "and more"]) other.append(text);
    const rewritten = watch(other, [witness]);
    rewritten.sign();
    await until(() => rewritten.cosigning.status.witnesses[0]?.problem !== null);
    expect(rewritten.cosigning.status.witnesses[0]?.problem).toContain("it has seen another log");
    expect(rewritten.kept.size).toBe(0);
  });
});

describe("a witness that has seen what the log does not have", () => {
  /** A witness that has cosigned nine entries of a log. */
  async function remembering(): Promise<{ readonly log: ToyLog; readonly witness: Served }> {
    const log = new ToyLog("log", 9);
    const witness = serve(log);
    const whole = watch(log, [witness]);
    whole.sign();
    await until(() => whole.kept.has(9));
    await whole.cosigning.stop();
    return { log, witness };
  }

  test("holds up new work at once and says what to do, also when it could not be reached before, and when it cannot later", async () => {
    const { log, witness } = await remembering();
    let isDown = true;
    witness.answer = (_, own) => (isDown ? new Response("", { status: 503 }) : own);
    const world = watch(new ToyLog("log", 5, log.signer), [witness]);
    world.sign();
    await until(() => world.events.length === 1);
    expect(world.cosigning.hold).toBeNull();
    isDown = false;
    await until(() => world.cosigning.hold !== null);
    expect(world.cosigning.hold).toContain("it has cosigned 9 entries of this log, which has 5");
    expect(world.cosigning.hold).toContain("or started it with --accept-loss");
    expect(world.said.at(-1)).toContain("or started it with --accept-loss");
    const { name, url } = witness.client;
    expect(world.events).toEqual([
      ["witness.failed", { witness: name, url, reason: expect.stringContaining("status 503") }],
      ["witness.failed", { witness: name, url, reason: expect.stringContaining("which has 5") }],
    ]);
    isDown = true;
    const { length } = witness.requests;
    await until(() => witness.requests.length > length);
    await until(() => world.cosigning.status.witnesses[0]?.problem?.includes("503") === true);
    expect(world.cosigning.hold).toContain("which has 5");
  });

  test("holds it up when the entries of a longer log, or of one as long, are others", async () => {
    const { log, witness } = await remembering();
    for (const [entries, reason] of [
      [10, "it has seen another log"],
      [9, "it has seen another log of 9 entries"],
    ] as const) {
      const other = new ToyLog("log", 8, log.signer);
      while (other.size < entries) other.append("rewritten");
      const world = watch(other, [witness]);
      world.sign();
      await until(() => world.cosigning.status.witnesses[0]?.problem !== null);
      expect(world.cosigning.hold).toContain(reason);
      await world.cosigning.stop();
    }
  });

  test("holds nothing up when the log has signed that since", async () => {
    const { log, witness } = await remembering();
    const tree = {
      consistencyProof: (from: number, to: number) => log.proof(from, to),
      checkpoints: (from: number) => (from <= 9 ? [{ size: 9, timeMs: 0 }] : []),
      latestCosigned: () => null,
    };
    let listener: (checkpoint: { size: number; note: string }) => void = () => {};
    const log5 = {
      onCheckpoint: (callback: typeof listener) => {
        listener = callback;
        return () => {};
      },
      keepCosigned: () => {},
      event: () => {},
    };
    const world = watch(log, [witness], { tree, log: log5 });
    listener({ size: 5, note: log.note(5) });
    await until(() => world.cosigning.status.witnesses[0]?.problem !== null);
    expect(world.cosigning.hold).toBeNull();
    listener({ size: 9, note: log.note() });
    await until(() => world.cosigning.status.witnesses[0]?.cosigned?.size === 9);
  });

  test("holds it up until it cosigns the log again", async () => {
    const { log, witness } = await remembering();
    const world = watch(new ToyLog("log", 5, log.signer), [witness]);
    let isMistaken = true;
    witness.answer = (_, own) => (isMistaken ? own : new Response(line(witness)));
    world.sign();
    await until(() => world.cosigning.hold !== null);
    isMistaken = false;
    await until(() => world.cosigning.hold === null);
    expect(world.events.map(([kind]) => kind)).toEqual(["witness.failed", "witness.recovered"]);
  });

  /** As a witness answers that was told to forget the log. */
  function line({ signer, requests }: Served): string {
    const note = requests.at(-1)?.split("\n\n").slice(1).join("\n\n") ?? "";
    return signatureLine(unverifiedText(note), signer, 1);
  }
});

describe("the lag", () => {
  const never = { lagMsMax: 20 };

  test("holds up new work while no witness signs, and no longer", async () => {
    const log = new ToyLog("log", 3);
    const witness = serve(log);
    let isDown = true;
    witness.answer = (_, own) => (isDown ? new Response("", { status: 503 }) : own);
    const world = watch(log, [witness], never);
    expect(world.cosigning.hold).toBeNull();
    world.sign();
    await until(() => world.cosigning.hold !== null);
    expect(world.cosigning.hold).toMatch(
      /^no witness has confirmed the log for \d+ s, and at most 0\.02 s are allowed$/u,
    );
    isDown = false;
    await until(() => world.cosigning.hold === null);
    expect(world.kept.has(3)).toBeTrue();
  });

  test("is nothing while one of several witnesses signs", async () => {
    const log = new ToyLog("log", 3);
    const [good, bad] = [serve(log, "w/1"), serve(log, "w/2")];
    bad.answer = () => new Response("", { status: 503 });
    const world = watch(log, [good, bad], never);
    world.sign();
    await until(() => world.kept.has(3) && world.events.length > 0);
    expect(world.cosigning.lagMs).toBe(0);
  });

  test("counts from what an earlier run has signed", () => {
    const log = new ToyLog("log", 3);
    const now = Date.now();
    const world = watch(log, [], {
      lagMsMax: 50_000,
      tree: {
        consistencyProof: () => [],
        checkpoints: (from) => [{ size: from, timeMs: now - 60_000 }],
        latestCosigned: () => ({ size: 2, timeMs: now - 90_000, note: log.note(2) }),
      },
      clock: { now: () => now },
    });
    expect(world.cosigning.lagMs).toBeGreaterThanOrEqual(60_000);
    expect(world.cosigning.hold).toContain("no witness has confirmed the log for 6");
  });

  test("that is not bounded holds nothing up", () => {
    const log = new ToyLog("log", 3);
    const world = watch(log, [], {
      tree: { consistencyProof: () => [], checkpoints: () => [{ size: 1, timeMs: 0 }], latestCosigned: () => null },
    });
    expect([world.cosigning.hold, world.cosigning.lagMs > 1_000_000]).toEqual([null, true]);
  });
});

describe("before the log is opened", () => {
  function before(log: ToyLog): Parameters<typeof seenByWitness>[1] {
    const root = Buffer.from(log.root()).toString("hex");
    const newest = { size: log.size, note: log.note() };
    return { origin: "log", size: log.size, root, newest, proof: (from, to) => log.proof(from, to), close: () => {} };
  }

  test("a witness has seen nothing, the same, less, more, or another log", async () => {
    const log = new ToyLog("log", 9);
    const witness = serve(log);
    const ask = async (own: ToyLog): Promise<number | null> =>
      (await seenByWitness(witness.client, before(own))())?.size ?? null;
    expect(await ask(new ToyLog("log", 0, log.signer))).toBeNull();
    expect(await ask(new ToyLog("log", 6, log.signer))).toBeNull();
    expect(await ask(log)).toBeNull();
    expect(await ask(log)).toBeNull();
    expect(await ask(new ToyLog("log", 8, log.signer))).toBe(9);
    expect(await ask(new ToyLog("log", 0, log.signer))).toBe(9);
    const rewritten = new ToyLog("log", 8, log.signer);
    rewritten.append("rewritten");
    expect(await ask(rewritten)).toBe(9);
    rewritten.append("and more");
    expect(await ask(rewritten)).toBe(9);
  });

  test("a place that does not answer is named, and does not hide another that has seen more", async () => {
    const log = new ToyLog("log", 9);
    const witness = serve(log);
    const full = watch(log, [witness]);
    full.sign();
    await until(() => full.kept.has(9));
    const nobody = new WitnessClient({ url: "http://127.0.0.1:1", key: witness.signer.verifier.vkey });
    const own = before(new ToyLog("log", 2, log.signer));
    const asked = await askElsewhere([
      { where: "nobody", ask: seenByWitness(nobody, own) },
      { where: "witness", ask: seenByWitness(witness.client, own) },
      { where: "copy", ask: async () => null },
    ]);
    expect(asked).toEqual({
      seen: [{ where: expect.stringContaining("the witness witness.example/w1 (http://127.0.0.1:"), size: 9 }],
      unsaid: [expect.stringMatching(/^nobody: /u)],
    });
  });
});

test("over https a witness is believed with the authority that is named, and with no other", async () => {
  const log = new ToyLog("log", 3);
  const { client, signer } = serve(log);
  const [authority, other] = [createAuthority(), createAuthority()];
  const own = authority.issue("witness", { names: ["IP:127.0.0.1"] });
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    tls: { cert: own.cert, key: own.key },
    fetch: async (request) => fetch(`${client.url}/add-checkpoint`, { method: "POST", body: await request.text() }),
  });
  cleanups.push(async () => server.stop(true));
  const address = { url: `https://127.0.0.1:${server.port ?? 0}`, key: signer.verifier.vkey };
  const ask = async (ca: string | null): ReturnType<WitnessClient["ask"]> =>
    new WitnessClient({ ...address, ca }).ask({ oldSize: 0, proof: [], note: log.note() }, AbortSignal.timeout(10_000));
  await expect(ask(null)).rejects.toThrow("certificate");
  await expect(ask(other.cert)).rejects.toThrow("certificate");
  expect(await ask(authority.cert)).toMatchObject({ kind: "cosigned" });
});

test("a witness's key is one for cosignatures", () => {
  expect(() => new WitnessClient({ url: "http://w", key: new ToyLog("log").vkey })).toThrow("a log's key");
});

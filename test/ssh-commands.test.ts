/** Attacks on command policies come to nothing, and ordinary commands do what they did: both held against the real engine. */
import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describeCommand, describeSubsystem, type Described } from "../adapters/ssh/describe.ts";
import { sshPolicyTools } from "../adapters/ssh/policy-tools.ts";
import { SSH_VOCABULARY } from "../adapters/ssh/vocabulary.ts";
import { isRefusal } from "../src/core/decision.ts";
import type { Session } from "../src/core/session.ts";
import { PolicyStore } from "../src/policy/store.ts";
import { POSIX_SHELLS, RecordedShells, sortedCalls } from "./shells.ts";

const CORPUS = join(import.meta.dir, "corpus/ssh");
const NOW = Date.UTC(2027, 0, 1);

/** What somebody sends, to an account whose permit it tries to get around. */
type Attack = {
  readonly class: string;
  readonly login: string;
  readonly exec?: string;
  /** Appended to the command so many times. */
  readonly repeat?: readonly [string, number];
  readonly sftp?: string;
  readonly subsystem?: string;
  readonly pty?: true;
  /** Null: the target does not declare its shell. */
  readonly shell?: null;
  /** opaque: it is not read. refused: it is, and no rule permits it. */
  readonly expect: "opaque" | "refused";
};

const attacks: readonly Attack[] = JSON.parse(readFileSync(join(CORPUS, "attacks.json"), "utf8"));
/** As people and programs write them day by day; each is tried in one shell, in turn. */
const readable: readonly string[] = JSON.parse(readFileSync(join(CORPUS, "readable.json"), "utf8"));
const ordinary: readonly string[] = JSON.parse(readFileSync(join(CORPUS, "ordinary.json"), "utf8"));

const target = { name: "box", adapter: "ssh", labels: {}, settings: null };
const store = await PolicyStore.open(join(CORPUS, "policies"), [SSH_VOCABULARY], [target], () => {});
const session: Session = {
  id: "s",
  identity: {
    kind: "human",
    issuer: "weir",
    subject: "ann",
    groups: [],
    proof: { method: "key", credential: "SHA256:x", expiresAtMs: null },
  },
  target,
  openedAtMs: NOW,
  source: "127.0.0.1",
};

function decide({ accesses, understood }: Pick<Described, "accesses" | "understood">): "permit" | "ask" | "deny" {
  const operation = {
    id: "op",
    session,
    kind: "exec",
    accesses,
    understood,
    text: "",
    textSha256: null,
    catalogDigest: null,
  };
  return store.decide(session, operation, NOW).kind;
}

async function describeAttack(attack: Attack): Promise<Pick<Described, "accesses" | "understood">> {
  const { login, sftp, subsystem, repeat, exec = "", pty = false } = attack;
  if (subsystem !== undefined) return describeSubsystem(login, subsystem);
  if (sftp !== undefined) {
    const read = await sshPolicyTools.describe("sftp", sftp, null, { place: login });
    const [first] = isRefusal(read) ? [] : read;
    if (first === undefined) throw new Error(`${sftp} is no operation`);
    return first;
  }
  const text = repeat === undefined ? exec : exec + repeat[0].repeat(repeat[1]);
  const shell = attack.shell === null ? null : "posix";
  return describeCommand(text, { login, home: `/accounts/${login}`, shell, hasPty: pty });
}

/** The shells open what a command redirects to: not in a folder that others use too. */
function inFolder(command: string, folder: string): string {
  return command.replaceAll(" /tmp/", ` ${folder}/`);
}

describe("attacks", () => {
  test("are at least 150", () => expect(attacks.length).toBeGreaterThan(150));

  for (const [index, attack] of attacks.entries()) {
    const sent = attack.exec ?? attack.sftp ?? attack.subsystem ?? "";
    test(`${index} ${attack.class}: ${JSON.stringify(sent)} as ${attack.login}`, async () => {
      const described = await describeAttack(attack);
      expect(described.understood ? "refused" : "opaque").toBe(attack.expect);
      expect(decide(described)).toBe("deny");
    });
  }

  test("would be permitted where they ask for what the permits name", () => {
    for (const [login, text] of [
      ["viewer", "systemctl status line-4"],
      ["viewer", "'cat' \"/var/log/syslog\""],
      ["helper", "find . -name x"],
      ["writer", "echo x > /srv/out/y"],
      ["backup", "rsync --server --sender -logDtpre.iLsfxCIvu . /srv/data/"],
    ] as const) {
      const read = describeCommand(text, { login, home: null, shell: "posix", hasPty: false });
      expect([text, decide(read)]).toEqual([text, "permit"]);
    }
  });
});

describe("ordinary commands", () => {
  const shells = new RecordedShells();
  afterAll(() => shells[Symbol.dispose]());
  /** The shell runs them itself. */
  const own = new Set("cd echo exit false kill printf pwd test true [ type command exec which".split(" "));

  test("are at least 80", () => expect(ordinary.length).toBeGreaterThan(80));

  for (const asWritten of ordinary) {
    test(asWritten, () => {
      const text = inFolder(asWritten, shells.home);
      const read = describeCommand(text, { login: "ops", home: shells.home, shell: "posix", hasPty: false });
      expect(read.notUnderstood).toBe(null);
      expect(decide(read)).toBe("permit");
      const judged = read.accesses.flatMap(({ facts: { argv, programs } }) => {
        if (!Array.isArray(argv) || !Array.isArray(programs)) return [];
        const words: readonly string[] = argv;
        const start = words.findIndex((word) => word !== "exec" && word !== "command");
        return [words.slice(start === -1 ? words.length : start)];
      });
      for (const [name = ""] of judged) if (!own.has(name)) shells.add(name);
      for (const [name, shell] of Object.entries(POSIX_SHELLS)) {
        const [sent, written] = [shells.run(shell, read.command), shells.run(shell, text)];
        expect({ name, ...sent, stderr: "" }).toEqual({ name, ...written, stderr: "" });
        for (const call of sent.calls)
          expect({ name, judged }).toEqual({ name, judged: expect.arrayContaining([call]) });
      }
      // What is not run when everything ends well is run when everything ends badly.
      const dash = POSIX_SHELLS["dash"] ?? [];
      const calls = [0, 1].flatMap((status) => shells.run(dash, read.command, status).calls);
      const expected = judged.filter(([program = ""]) => !own.has(program) && !program.includes("/"));
      const reached = new Set(calls.map((call) => JSON.stringify(call)));
      if (!text.includes("<") && !text.includes("cd ") && !text.includes("> /") && !text.includes("command -v")) {
        expect(sortedCalls(expected).filter((call) => !reached.has(JSON.stringify(call)))).toEqual([]);
      }
    });
  }
});

describe("what operators, deployments, backups and monitoring write", () => {
  const shells = new RecordedShells();
  afterAll(() => shells[Symbol.dispose]());
  const tried = Object.entries(POSIX_SHELLS).filter(([, [path = ""]]) => existsSync(path));

  test("is of more than 500 kinds", () => expect(readable.length).toBeGreaterThan(500));

  for (const [index, asWritten] of readable.entries()) {
    test(asWritten, () => {
      const text = inFolder(asWritten, shells.home);
      const read = describeCommand(text, { login: "ops", home: shells.home, shell: "posix", hasPty: false });
      expect(read.notUnderstood).toBe(null);
      expect(decide(read)).toBe("permit");
      for (const { facts } of read.accesses) {
        const [name] = Array.isArray(facts["argv"]) ? facts["argv"] : [];
        if (name !== undefined) shells.add(name);
      }
      const [name, shell] = tried[index % tried.length] ?? ["", []];
      const [sent, written] = [shells.run(shell, read.command), shells.run(shell, text)];
      expect({ name, ...sent, stderr: "" }).toEqual({ name, ...written, stderr: "" });
    });
  }
});

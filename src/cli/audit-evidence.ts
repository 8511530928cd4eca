/** `weir audit evidence`: a folder for auditors, with what proves a period of the log and the commands that check it. */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type Framework, FRAMEWORKS } from "../audit/evidence/controls.ts";
import { type ActivePolicy, writeEvidence } from "../audit/evidence/folder.ts";
import { readmeOf } from "../audit/evidence/readme.ts";
import { SAMPLES_MAX } from "../audit/evidence/sample.ts";
import { openNote, readSize, readVerifier } from "../audit/note.ts";
import { openSource } from "../audit/verify/open-source.ts";
import { type Verdict, verifyLog } from "../audit/verify/verify.ts";
import type { Config } from "../config/config.ts";
import { type Folder, readFolder } from "../policy/set/folder.ts";
import { readRevision } from "../policy/set/revision.ts";
import { makeEmptyFolder, readInstant } from "./audit-export.ts";
import { verdictView } from "./audit-verify.ts";
import { CONFIG_OPTION, UsageError } from "./command.ts";
import type { Arguments, Command } from "./command.ts";
import { requireConfiguration } from "./configuration.ts";
import { VERSION } from "./version.ts";

const SAMPLES_DEFAULT = 25;
const POLICY_NAME_DIGITS = 16;

export const auditEvidenceCommand: Command = {
  words: ["audit", "evidence"],
  summary: "Write a folder for auditors: a period of the log, what proves it, and how to check that",
  positionals: [],
  options: [
    { name: "framework", value: "F", description: `one of ${FRAMEWORKS.join(", ")}: which controls its table names` },
    { name: "from", value: "TIME", description: "the beginning of the period: 2026-07-01, or a time back: 90d" },
    { name: "to", value: "TIME", description: "its end, not included; now when left out" },
    { name: "out", value: "DIR", description: "the folder to make" },
    {
      name: "samples",
      value: "N",
      description: `how many entries get a proof of their own; ${SAMPLES_DEFAULT} when left out`,
    },
    { name: "seed", value: "TEXT", description: "what the sample is drawn with; the root of the tree when left out" },
    CONFIG_OPTION,
  ],
  notes: [
    "Reads beside a running gateway or without one. The folder's README.md has the exact commands that verify it, with weir and without;",
    "it was verified once before the command ends, and the status is 1 when anything was found.",
    "",
    "  weir audit evidence --framework soc2 --from 2026-07-01 --to 2026-10-01 --out evidence-q3",
    "",
    'JSON: {"ok", "out", "origin", "from", "to", "entries", "checkpoint", "root", "seed", "samples": [index], "found": how many findings}',
  ],
  run: async (args, terminal) => {
    const framework = readFramework(args);
    const [fromMs, toMs] = readPeriod(args);
    const out = args.required("out");
    const samples = readSamples(args);
    const config = requireConfiguration(args, terminal);
    makeEmptyFolder(out);
    const source = openSource({ kind: "data", folder: config.data });
    try {
      const onProgress = (entries: number): void => terminal.progress(`${entries.toLocaleString("en")} entries`);
      const seed = args.text("seed") ?? null;
      const written = await writeEvidence(source, { data: config.data, out, fromMs, toMs, samples, seed, onProgress });
      const witnesses = config.audit.witnesses.map(({ key }) => key);
      const cosignedBy = signersOf(written.checkpoint.note, witnesses);
      const recipients = config.audit.seal?.recipients ?? [];
      writeFileSync(join(out, "recipients.txt"), recipients.map((each) => `${each}\n`).join(""));
      const policies = await writePolicies(config, out, written.policies);
      const verdict = await verifyFolder(out, written.keys, cosignedBy);
      writeFileSync(join(out, "verification.json"), `${JSON.stringify(verdictView(verdict, 0), null, 2)}\n`);
      const isVerified = verdict.count === 0;
      const parts = {
        framework,
        fromMs,
        toMs,
        written,
        witnesses,
        cosignedBy,
        recipients,
        policies,
        isVerified,
        version: VERSION,
      };
      writeFileSync(join(out, "README.md"), readmeOf(parts));
      terminal.progress("");
      const { origin, from, to, checkpoint, root } = written;
      if (args.isJson) {
        const sampled = written.samples.map(({ index }) => index);
        terminal.out(
          JSON.stringify({
            ok: isVerified,
            out,
            origin,
            from,
            to,
            entries: to - from,
            checkpoint: checkpoint.size,
            root,
            seed: written.seed,
            samples: sampled,
            found: verdict.count,
          }),
        );
      } else {
        terminal.out(
          `${out}: entries ${from} to ${to - 1} of ${origin}, ${written.samples.length} sampled with the seed ${written.seed}`,
        );
        for (const remark of verdict.remarks) terminal.out(`note: ${remark}`);
        terminal.out(
          isVerified
            ? `it verifies; ${join(out, "README.md")} says how to see that`
            : `IT DOES NOT VERIFY: ${verdict.count} findings, see verification.json`,
        );
      }
      return isVerified ? 0 : 1;
    } finally {
      terminal.progress("");
      source.close();
    }
  },
};

async function verifyFolder(folder: string, keys: readonly string[], witnesses: readonly string[]): Promise<Verdict> {
  const source = openSource({ kind: "tiles", folder });
  try {
    return await verifyLog(source, {
      keys: keys.map(readVerifier),
      witnesses: witnesses.map(readVerifier),
      kept: [],
      since: 0,
      onProgress: () => {},
    });
  } finally {
    source.close();
  }
}

/** Which of these witnesses have signed a checkpoint. */
function signersOf(note: string, witnesses: readonly string[]): string[] {
  return witnesses.filter((vkey) => {
    try {
      return openNote(note, [readVerifier(vkey)]).verified.length > 0;
    } catch {
      return false;
    }
  });
}

/** Writes the sets that can still be had: out of git by their commit, or the folder as it is now. */
async function writePolicies(
  config: Config,
  out: string,
  policies: readonly ActivePolicy[],
): Promise<{ readonly digest: string; readonly commit: string | null; readonly state: string }[]> {
  const now = await readFolder(config.policies).catch(() => null);
  const states: { digest: string; commit: string | null; state: string }[] = [];
  for (const { digest, commit } of policies) {
    const folder = now?.digest === digest ? now : await committed(config.policies, digest, commit);
    const path = join("policies", digest.slice(0, POLICY_NAME_DIGITS));
    if (folder !== null) writeSet(join(out, path), folder);
    const where = commit === null || commit === "dirty" ? "it was not committed" : `take it from git at ${commit}`;
    states.push({ digest, commit, state: folder === null ? `not here: ${where}` : path });
  }
  return states;
}

async function committed(dir: string, digest: string, commit: string | null): Promise<Folder | null> {
  if (commit === null || commit === "dirty") return null;
  try {
    const { folder } = await readRevision({ kind: "commit", text: commit, commit }, dir);
    return folder.digest === digest ? folder : null;
  } catch {
    return null;
  }
}

function writeSet(folder: string, { files }: Folder): void {
  for (const { path, bytes } of files) {
    const whole = join(folder, path);
    mkdirSync(dirname(whole), { recursive: true });
    writeFileSync(whole, bytes);
  }
}

function readFramework(args: Arguments): Framework {
  const word = args.required("framework");
  const framework = FRAMEWORKS.find((each) => each === word);
  if (framework === undefined) throw new UsageError(`--framework is one of ${FRAMEWORKS.join(", ")}, not ${word}`);
  return framework;
}

function readPeriod(args: Arguments): [number, number] {
  const fromMs = readInstant("from", args.required("from"));
  const to = args.text("to");
  const toMs = to === undefined ? Date.now() : readInstant("to", to);
  if (toMs <= fromMs) throw new UsageError("--to is not after --from");
  return [fromMs, toMs];
}

function readSamples(args: Arguments): number {
  const text = args.text("samples");
  const samples = text === undefined ? SAMPLES_DEFAULT : readSize(text);
  if (samples === null || samples > SAMPLES_MAX)
    throw new UsageError(`--samples is a number up to ${SAMPLES_MAX}, not ${text}`);
  return samples;
}

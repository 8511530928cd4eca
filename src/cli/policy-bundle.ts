/** `weir policy bundle` and `weir policy verify-bundle`: a policy set in one signed file, and its verification. */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { BUNDLE_BYTES_MAX, BundleRefused, readBundle, writeBundle } from "../policy/set/bundle.ts";
import type { BundledFile } from "../policy/set/bundle.ts";
import { commitOf } from "../policy/set/commit.ts";
import { loadPolicies } from "../policy/load.ts";
import { hasErrors } from "../policy/problems.ts";
import { NoteRefused, readSigningKey, readVerifyingKey, verifierLine } from "../policy/set/signed-note.ts";
import type { SigningKey, VerifyingKey } from "../policy/set/signed-note.ts";
import { printable } from "./audit-lines.ts";
import { CommandError, UsageError } from "./command.ts";
import type { Arguments, Command } from "./command.ts";
import { POLICY_OPTIONS, policyPlace } from "./policy-place.ts";
import { policyProblemLines } from "./policy-problems.ts";

const SIGNER = "weir-policy";
const COUNTER_DIGITS_MAX = 14;
const KEY_BYTES_MAX = 65_536;
const MAKE_KEY = "Make a key with openssl genpkey -algorithm ed25519 -out policy.key";

export const policyBundleCommand: Command = {
  words: ["policy", "bundle"],
  summary: "Put the policies into one signed file",
  positionals: [],
  options: [
    { name: "sign", value: "KEY", description: "the Ed25519 private key, a PEM file" },
    { name: "output", letter: "o", value: "FILE", description: "the file to write" },
    {
      name: "counter",
      value: "N",
      description: "the bundle's number; left out: one more than that of the bundle which FILE holds, or 1",
    },
    { name: "signer", value: "NAME", description: `the key's name in the signature; ${SIGNER} when left out` },
    ...POLICY_OPTIONS,
  ],
  notes: [
    "Only a set without errors is signed. The file is a tar: bundle.note, a C2SP signed note that lists digest, git commit and",
    "every file, and then the files. The counter of a FILE that is replaced must grow; keep FILE, or give --counter.",
    "A gateway does not read bundles: unpack one with weir policy verify-bundle --unpack where its policies lie.",
    "",
    "  openssl genpkey -algorithm ed25519 -out policy.key && openssl pkey -in policy.key -pubout -out policy.pub",
    "  weir policy bundle --sign policy.key -o shop.bundle",
    "",
    'JSON: {"file", "set", "counter", "digest", "commit", "files", "key"}; "key" is the public key as verifiers of notes write it',
  ],
  run: async (args, terminal) => {
    const file = args.required("output");
    const key = signingKey(args);
    const { folder, targets, vocabularies } = policyPlace(args, terminal);
    const loaded = await loadPolicies(folder, vocabularies, targets);
    if (hasErrors(loaded.problems)) {
      for (const line of policyProblemLines(loaded.problems, folder)) terminal.err(line);
      throw new CommandError("the policies have errors, so nothing was signed", "See weir policy check --help");
    }
    const before = existsSync(file) ? ownBundle(file, key) : null;
    const bundle = {
      set: loaded.name,
      counter: counterOption(args, "counter") ?? (before === null ? 1 : before.counter + 1),
      digest: loaded.folder.digest,
      commit: await commitOf(loaded.folder),
      files: loaded.folder.files,
    };
    const bytes = trying(() => writeBundle(bundle, key));
    if (before !== null && bundle.counter <= before.counter && !readFileSync(file).equals(bytes)) {
      throw new CommandError(
        `${file} holds bundle ${before.counter}, and ${bundle.counter} is not more`,
        "Counters only grow, so that nobody can bring back an older set: leave --counter out.",
      );
    }
    writeWhole(file, bytes);
    if (bundle.commit === "dirty" || bundle.commit === null) {
      const what = bundle.commit === null ? "are not in a git repository" : "differ from the git commit";
      terminal.err(`the policies ${what}: the bundle names no commit that they could be looked up in`);
    }
    const { set, counter, digest, commit, files } = bundle;
    if (args.isJson) {
      terminal.out(JSON.stringify({ file, set, counter, digest, commit, files: files.length, key: verifierLine(key) }));
    } else {
      terminal.out(printable(`${file}: ${describe(bundle)}, key ${verifierLine(key)}`));
    }
    return 0;
  },
};

export const policyVerifyBundleCommand: Command = {
  words: ["policy", "verify-bundle"],
  summary: "Verify a signed file of policies, and unpack it",
  positionals: [{ name: "FILE", description: "the bundle", kind: "required" }],
  options: [
    {
      name: "key",
      value: "PUB",
      description: "the public key: a PEM file, or a file with the line that bundle prints",
    },
    { name: "at-least", value: "N", description: "refuse a bundle whose counter is below N" },
    { name: "set", value: "NAME", description: "refuse the bundle of another set" },
    { name: "unpack", value: "DIR", description: "then write its files to a new folder" },
  ],
  notes: [
    "Ends with 1 when one bit of the file is not as it was signed, when it is signed by another key, and when it is too old.",
    "",
    "  weir policy verify-bundle shop.bundle --key policy.pub --at-least 7 --unpack policies.new",
    "",
    'JSON: {"ok", "set", "counter", "digest", "commit", "files", "signer", "keyId"}',
  ],
  run: async (args, terminal) => {
    const file = args.required("FILE");
    const key = verifyingKey(args.required("key"));
    const least = counterOption(args, "at-least");
    const set = args.text("set");
    const bundle = trying(() => readBundle(readBounded(file, BUNDLE_BYTES_MAX), [key]), `${file} is not good: `);
    if (least !== undefined && bundle.counter < least) {
      throw new CommandError(
        `${file} is not good: its counter is ${bundle.counter}, below ${least}`,
        "It is signed, but older than what is wanted: somebody may be bringing back an old set.",
      );
    }
    if (set !== undefined && bundle.set !== set) {
      throw new CommandError(printable(`${file} is not good: it is the set ${bundle.set}, not ${set}`));
    }
    const folder = args.text("unpack");
    if (folder !== undefined) unpack(bundle.files, resolve(folder));
    const { counter, digest, commit, files, signer } = bundle;
    if (args.isJson) {
      const view = { ok: true, set: bundle.set, counter, digest, commit, files: files.length };
      terminal.out(JSON.stringify({ ...view, signer: signer.name, keyId: signer.keyId }));
    } else {
      terminal.out(printable(`ok: ${describe(bundle)}, signed by ${signer.name} (${signer.keyId})`));
    }
    return 0;
  },
};

function describe(bundle: {
  set: string;
  counter: number;
  digest: string;
  commit: string | null;
  files: readonly object[];
}): string {
  const { set, counter, digest, commit, files } = bundle;
  const from =
    commit === null ? "no commit" : commit === "dirty" ? "not as committed" : `commit ${commit.slice(0, 12)}`;
  return `${set} ${counter}, ${files.length} ${files.length === 1 ? "file" : "files"}, digest ${digest.slice(0, 12)}, ${from}`;
}

function counterOption(args: Arguments, name: string): number | undefined {
  const text = args.text(name);
  if (text === undefined) return undefined;
  const counter = text.length <= COUNTER_DIGITS_MAX ? Number(text) : Number.NaN;
  if (!(counter >= 1) || String(counter) !== text) {
    throw new UsageError(`--${name} is a whole number from 1 on, not ${text}`);
  }
  return counter;
}

function signingKey(args: Arguments): SigningKey {
  const file = args.required("sign");
  const pem = readBounded(file, KEY_BYTES_MAX).toString("utf8");
  return trying(() => readSigningKey(pem, args.text("signer") ?? SIGNER), `${file}: `, MAKE_KEY);
}

function verifyingKey(file: string): VerifyingKey {
  return trying(() => readVerifyingKey(readBounded(file, KEY_BYTES_MAX).toString("utf8")), `${file}: `);
}

/** The bundle that is to be replaced; a file that is none of this key's is not touched. */
function ownBundle(file: string, key: SigningKey): { readonly counter: number } {
  const refuse = `${file} is there and is not replaced: `;
  return trying(
    () => readBundle(readBounded(file, BUNDLE_BYTES_MAX), [key.verifier]),
    refuse,
    "Name another file, or move it away and give --counter.",
  );
}

function trying<T>(work: () => T, prefix = "", next = ""): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof BundleRefused) && !(error instanceof NoteRefused)) throw error;
    throw new CommandError(printable(`${prefix}${error.message}`), next);
  }
}

function readBounded(file: string, bytesMax: number): Buffer {
  try {
    const { size } = statSync(file);
    if (size > bytesMax) throw new CommandError(`${file} is larger than ${bytesMax} bytes`);
    return readFileSync(file);
  } catch (error) {
    if (error instanceof CommandError) throw error;
    const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
    throw new CommandError(code === "ENOENT" ? `there is no file ${file}` : `${file} cannot be read: ${code}`);
  }
}

/** Whole or not at all. */
function writeWhole(file: string, bytes: Uint8Array): void {
  const aside = `${file}.${process.pid}.new`;
  try {
    writeFileSync(aside, bytes);
    renameSync(aside, file);
  } catch (error) {
    rmSync(aside, { force: true });
    throw error;
  }
}

function unpack(files: readonly BundledFile[], folder: string): void {
  if (existsSync(folder)) throw new CommandError(`${folder} is there already`, "Name a folder that is not there yet.");
  const aside = `${folder}.${process.pid}.new`;
  try {
    for (const { path, bytes } of files) {
      const file = join(aside, path);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, bytes);
    }
    renameSync(aside, folder);
  } catch (error) {
    rmSync(aside, { recursive: true, force: true });
    throw error;
  }
}

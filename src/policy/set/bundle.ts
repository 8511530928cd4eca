/** A signed policy set in one file: a tar whose first member is a signed note that lists the others, with a counter against going back. */
import { createHash } from "node:crypto";
import { pathProblem, readArchive, readFirst, writeArchive } from "./archive.ts";
import { folderDigest } from "./folder.ts";
import { holdsControl, openNote, NoteRefused, signNote } from "./signed-note.ts";
import type { Signer, SigningKey, VerifyingKey } from "./signed-note.ts";

/** The first line of the note. */
const FORM = "weir.dev/policy-bundle/v1";
const NOTE_PATH = "bundle.note";
/** A set has at most 8 MiB of rules and 64 MiB of catalog; headers and the note come on top. */
export const BUNDLE_BYTES_MAX = 83_886_080;
const NOTE_BYTES_MAX = 1_048_576;
const COUNTER_MAX = 2 ** 48;

export type BundledFile = { readonly path: string; readonly bytes: Uint8Array };

export type Bundle = {
  /** The set's own name, from its policy.yaml. */
  readonly set: string;
  /** Grows with every bundle of a set, so that an older one is recognised. */
  readonly counter: number;
  /** The digest that the gateway records with each decision under this set. */
  readonly digest: string;
  /** The set's git commit, `dirty`, or null outside git. */
  readonly commit: string | null;
  readonly files: readonly BundledFile[];
};

/** Why a bundle cannot be made or is not believed, in one sentence for people. */
export class BundleRefused extends Error {
  readonly code = "BUNDLE_REFUSED";
}

/** Makes the file; the same set, counter and key always give the same bytes. Throws BundleRefused. */
export function writeBundle(bundle: Bundle, key: SigningKey): Uint8Array {
  if (!isCounter(bundle.counter)) throw new BundleRefused("a counter is a whole number from 1 on");
  if (bundle.set === "" || holdsControl(bundle.set)) throw new BundleRefused("the set has no name in its policy.yaml");
  for (const { path } of bundle.files) {
    const problem = path === NOTE_PATH || holdsControl(path) ? "no file may be called that" : pathProblem(path);
    if (problem !== null) throw new BundleRefused(`${path}: ${problem}`);
  }
  const note = Buffer.from(signNote(manifestOf(bundle), key));
  const archive = writeArchive([{ path: NOTE_PATH, bytes: note }, ...bundle.files]);
  if (archive.length > BUNDLE_BYTES_MAX) throw new BundleRefused(`it is larger than ${BUNDLE_BYTES_MAX} bytes`);
  return archive;
}

/**
 * Verifies a file from the signature on: everything in it is what one of the keys signed, and nothing else is in it.
 * Throws BundleRefused.
 */
export function readBundle(archive: Uint8Array, keys: readonly VerifyingKey[]): Bundle & { readonly signer: Signer } {
  if (archive.length > BUNDLE_BYTES_MAX) throw new BundleRefused(`it is larger than ${BUNDLE_BYTES_MAX} bytes`);
  const note = readFirst(archive, NOTE_PATH);
  if (note === null || note.length > NOTE_BYTES_MAX) throw new BundleRefused("this is not a policy bundle");
  const { text, signer } = open(note, keys);
  const manifest = parseManifest(text);
  if (manifest === null) throw new BundleRefused("it is signed, but not in a form that this version knows");
  const { entries, ...head } = manifest;
  const contents = readArchive(archive, [{ path: NOTE_PATH, sizeBytes: note.length }, ...entries])?.slice(1);
  if (contents === undefined) throw new BundleRefused("what is in it is not what was signed");
  const files: BundledFile[] = [];
  for (const [index, { path, sha256 }] of entries.entries()) {
    const bytes = contents[index];
    if (bytes === undefined || sha256Of(bytes) !== sha256) throw new BundleRefused(`${path} is not what was signed`);
    files.push({ path, bytes });
  }
  const bundle = { ...head, files };
  if (manifestOf(bundle) !== text || folderDigest(entries) !== head.digest) {
    throw new BundleRefused("it is signed, but its parts contradict each other");
  }
  return { ...bundle, signer };
}

function open(note: Uint8Array, keys: readonly VerifyingKey[]): ReturnType<typeof openNote> {
  try {
    return openNote(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(note), keys);
  } catch (error) {
    throw new BundleRefused(error instanceof NoteRefused ? error.message : "this is not a policy bundle");
  }
}

function manifestOf({ set, counter, digest, commit, files }: Bundle): string {
  return [
    FORM,
    `set ${set}`,
    `counter ${counter}`,
    `digest ${digest}`,
    `commit ${commit ?? "none"}`,
    ...files.map(({ path, bytes }) => `${sha256Of(bytes)} ${bytes.length} ${path}`),
    "",
  ].join("\n");
}

type Manifest = Omit<Bundle, "files"> & {
  readonly entries: readonly { readonly path: string; readonly sizeBytes: number; readonly sha256: string }[];
};

/** Only the spelling that manifestOf writes is accepted: the caller writes it again and compares. */
function parseManifest(text: string): Manifest | null {
  const [form, set = "", counter = "", digest = "", commit = "", ...lines] = text.split("\n");
  if (form !== FORM || valueOf(set) === "" || !isCounter(Number(valueOf(counter)))) return null;
  const entries = lines.slice(0, -1).map((line) => {
    const [sha256 = "", size = "", ...path] = line.split(" ");
    return { sha256, sizeBytes: Number(size), path: path.join(" ") };
  });
  for (const { path, sizeBytes } of entries) {
    if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0 || pathProblem(path) !== null || !isInside(path)) return null;
  }
  if (new Set(entries.map(({ path }) => path)).size !== entries.length) return null;
  return {
    set: valueOf(set),
    counter: Number(valueOf(counter)),
    digest: valueOf(digest),
    commit: valueOf(commit) === "none" ? null : valueOf(commit),
    entries,
  };
}

function valueOf(line: string): string {
  return line.slice(line.indexOf(" ") + 1);
}

function isCounter(counter: number): boolean {
  return Number.isSafeInteger(counter) && counter >= 1 && counter <= COUNTER_MAX;
}

/** A path that stays in the folder it is unpacked to. */
function isInside(path: string): boolean {
  return !path.includes("\\") && path.split("/").every((part) => part !== "" && part !== "." && part !== "..");
}

function sha256Of(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

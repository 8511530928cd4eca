/** Verifies a log: every entry by itself, all of them together, and everything that anybody has signed about them. */
import { availableParallelism } from "node:os";
import { LeafParts } from "../leaf-parts.ts";
import { CompactRange } from "../merkle.ts";
import { NoteError, type NoteVerifier, openNote, readCheckpoint, readVerifier, unverifiedText } from "../note.ts";
import { sha256 } from "../sha256.ts";
import { TILE_WIDTH } from "../tiles.ts";
import { Crew } from "./crew.ts";
import { type FindingList, Findings } from "./finding.ts";
import { KEY_EVENTS, keyChain, type KeySpan, LOSS_ACCEPTED, noteReason, readSpans } from "./key-chain.ts";
import type { KeptCheckpoint } from "./kept-checkpoint.ts";
import { readForm } from "./leaf-form.ts";
import { RANGE_ENTRIES, type RangeOrder, type RangeReport, rootOf, WRONG_ROOT } from "./range.ts";
import type { Mark } from "./relations.ts";
import { RecordedSegments } from "./recordings.ts";
import { Runs } from "./runs.ts";
import type { Witnessed } from "./signatures.ts";
import type { LogSource } from "./source.ts";
import type { WorkOrder } from "./work.ts";

/** DER of what precedes the 32 bytes of the hash in a time stamp's imprint. */
const IMPRINT_START = Buffer.of(0x04, 0x20);
/** Below so many ranges a second thread takes longer to start than it saves. */
const THREADED_RANGES_MIN = 3;
/** A log signs what it has every five seconds: what nobody has signed for so long was not written by it. */
const UNSIGNED_MS_MAX = 60_000;
/** A witness that is asked for has seen the log up to so long before its end. */
const UNWITNESSED_MS_MAX = 3_600_000;
/** The event that says up to where entries were pruned. */
const PRUNED = "audit.pruned";
/** Sizes of checkpoints that one thread takes at once. */
const SIGNATURE_SLICES = 64;

export type VerifyOptions = {
  /** The log's keys as they are known from elsewhere; empty: the one that lies beside the log. */
  readonly keys: readonly NoteVerifier[];
  readonly witnesses: readonly NoteVerifier[];
  readonly kept: readonly KeptCheckpoint[];
  /** Entries below were verified before: they are known by their tiles only. */
  readonly since: number;
  /** The folder is a copy without recordings.db: that it is missing is no finding. */
  readonly withoutRecordings?: boolean;
  /** How many threads; absent: as many as there are processors. */
  readonly threads?: number;
  onProgress(entries: number, of: number): void;
};

export type Verdict = {
  readonly origin: string | null;
  readonly size: number;
  /** Entries from here on were read. */
  readonly from: number;
  readonly entries: number;
  /** Of the whole log, as recomputed; lower-case hex. */
  readonly root: string;
  readonly keys: readonly { readonly vkey: string; readonly isTrusted: boolean }[];
  readonly checkpoints: number;
  /** The largest own checkpoint that covers entries; null: there is none. */
  readonly checkpointSize: number | null;
  readonly witnessed: readonly Witnessed[];
  readonly open: number;
  readonly findings: FindingList;
  readonly count: number;
  /** What proves less than it could, or is worth knowing. */
  readonly remarks: readonly string[];
};

export async function verifyLog(source: LogSource, options: VerifyOptions): Promise<Verdict> {
  return new Verification(source, options).run();
}

class Verification {
  readonly #source: LogSource;
  readonly #options: VerifyOptions;
  readonly #findings = new Findings();
  readonly #remarks: string[] = [];
  readonly #from: number;
  readonly #runs: Runs;
  /** Roots of the ranges that are complete. */
  readonly #upper = CompactRange.empty();
  readonly #rangeRoots: Buffer[] = [];
  #tree: Uint8Array = new Uint8Array();
  readonly #segments: RecordedSegments;
  /** Where the log's key changed. */
  readonly #rotations: Mark[] = [];
  /** Up to where the log says that it was pruned. */
  #prunedTo = 0;
  #entries = 0;
  #origin: string | null = null;
  /** The largest size under a signature of the log's. */
  #signedSize = 0;
  #checkpointSize: number | null = null;
  /** Checkpoints whose root is another, after the last one whose root was right. */
  #wrongRoots: { first: number; last: number; count: number; after: number } | null = null;
  #rightSize = 0;

  constructor(source: LogSource, options: VerifyOptions) {
    this.#source = source;
    this.#options = options;
    this.#from = Math.max(source.first, Math.min(options.since, source.size));
    this.#runs = new Runs(this.#findings, this.#from);
    const { kind, folder } = source.place;
    this.#segments = new RecordedSegments(kind === "data" ? folder : null, this.#findings);
  }

  async run(): Promise<Verdict> {
    const { size } = this.#source;
    const ranges = Math.ceil(size / RANGE_ENTRIES);
    const threads = this.#options.threads ?? availableParallelism();
    const crew = new Crew(this.#source, ranges < THREADED_RANGES_MIN ? 1 : threads);
    let witnessed: readonly Witnessed[];
    let checkpoints: number;
    let keys: KeySpan[];
    try {
      for await (const result of crew.all(this.#rangeOrders())) {
        if (result.kind === "range") this.#take(result.report);
      }
      this.#finishTree();
      this.#checkSince();
      const trusted = this.#trusted();
      keys = keyChain(trusted, this.#rotations, this.#source, this.#findings);
      [checkpoints, witnessed] = await this.#signatures(crew, keys);
      if (keys.length > 0) this.#checkUnsigned();
    } finally {
      this.#segments.close();
      await crew.close();
    }
    this.#checkKept(keys);
    this.#checkWitnesses(witnessed);
    return {
      origin: this.#origin,
      size,
      from: this.#from,
      entries: this.#entries,
      root: Buffer.from(CompactRange.decode(size, this.#tree).root()).toString("hex"),
      keys: keys.map(({ vkey }) => ({ vkey, isTrusted: this.#options.keys.some((key) => key.vkey === vkey) })),
      checkpoints,
      checkpointSize: this.#checkpointSize,
      witnessed,
      open: this.#runs.openCount,
      findings: this.#findings.list(),
      count: this.#findings.count,
      remarks: this.#remarks,
    };
  }

  /* ---- entries and their tree ---- */

  *#rangeOrders(): Generator<WorkOrder> {
    const { size, end } = this.#source;
    for (let number = 0; number * RANGE_ENTRIES < size; number++) {
      const from = number * RANGE_ENTRIES;
      const to = Math.min(from + RANGE_ENTRIES, size);
      const order: RangeOrder = { number, to, readFrom: this.#from, readTo: end, sizes: this.#sizes(from, to) };
      yield { kind: "range", order };
    }
  }

  /** The sizes inside a range at which somebody has signed a root, or kept one. */
  #sizes(from: number, to: number): number[] {
    const sizes = new Set<number>();
    for (const { size } of this.#source.checkpoints(from, to)) sizes.add(size);
    for (const { size } of this.#source.cosigned(from, to)) sizes.add(size);
    for (const { checkpoint } of this.#options.kept) {
      if (checkpoint.size > from && checkpoint.size <= to) sizes.add(checkpoint.size);
    }
    // The end of a range is known without asking.
    sizes.delete(from + RANGE_ENTRIES);
    return [...sizes].toSorted((a, b) => a - b);
  }

  #take(report: RangeReport): void {
    const from = report.number * RANGE_ENTRIES;
    const to = Math.min(from + RANGE_ENTRIES, this.#source.size);
    this.#findings.merge(report.findings);
    this.#runs.add(report.relations);
    this.#rotations.push(...report.relations.marks.filter(({ event }) => KEY_EVENTS.includes(event)));
    for (const { event, facts } of report.relations.marks) {
      const before = facts["to"];
      if (event === PRUNED && typeof before === "number") this.#prunedTo = Math.max(this.#prunedTo, before);
    }
    this.#segments.take(report.relations.marks);
    this.#entries += report.entries;
    const before = this.#upper.encode();
    const roots = new Map<number, Uint8Array>();
    for (const { size, stack } of report.stacks) {
      roots.set(size, CompactRange.decode(size, Buffer.concat([before, stack])).root());
    }
    if (to === from + RANGE_ENTRIES) {
      this.#upper.append(report.stack);
      this.#rangeRoots.push(Buffer.from(report.stack));
      this.#tree = this.#upper.encode();
      roots.set(to, CompactRange.decode(to, this.#tree).root());
    } else this.#tree = Buffer.concat([before, report.stack]);
    this.#compareRoots(from, to, roots);
    const of = Math.max(0, Math.min(this.#source.size, this.#source.end) - this.#from);
    this.#options.onProgress(this.#entries, of);
  }

  #compareRoots(from: number, to: number, roots: ReadonlyMap<number, Uint8Array>): void {
    for (const { size, note } of this.#source.checkpoints(from, to)) {
      const root = roots.get(size);
      if (root !== undefined) this.#compareRoot("checkpoint", size, note, root);
      this.#checkpointSize = size;
    }
    for (const { size, note } of this.#source.cosigned(from, to)) {
      const root = roots.get(size);
      if (root !== undefined) this.#compareRoot("cosigned checkpoint", size, note, root);
    }
    for (const { source, checkpoint } of this.#options.kept) {
      const root = roots.get(checkpoint.size);
      if (root !== undefined && !sameBytes(root, checkpoint.root)) {
        const text = `the log had another root at ${checkpoint.size} entries when ${source} was made: it was rewritten below that`;
        this.#findings.add("checkpoint", source, text);
      }
    }
  }

  #compareRoot(kind: string, size: number, note: string, root: Uint8Array): void {
    const place = `${kind} ${size}`;
    try {
      const checkpoint = readCheckpoint(unverifiedText(note));
      const loss = this.#lossBetween(checkpoint.origin, size);
      if (loss !== null) {
        this.#remarks.push(
          `${place} is of entries that were lost; entry ${loss} says that the log's owner accepted that`,
        );
        return;
      }
      this.#origin = checkpoint.origin;
      if (checkpoint.size !== size) throw new NoteError(`it is of ${checkpoint.size} entries`);
      if (sameBytes(checkpoint.root, root)) {
        this.#rightSize = size;
        return;
      }
    } catch (error) {
      this.#findings.add("checkpoint", place, noteReason(error));
      return;
    }
    // All later ones are wrong for the same reason; the first one says where to look.
    const wrong = (this.#wrongRoots ??= { first: size, last: size, count: 0, after: this.#rightSize });
    wrong.last = size;
    wrong.count++;
    if (wrong.count > 1) return;
    const where = `something below ${size}${wrong.after === 0 ? "" : ` and from ${wrong.after} on`} was changed`;
    this.#findings.add("checkpoint", place, `its root is not that of the entries: ${where}, or the checkpoint was`);
  }

  /** The entry with which the log left an origin before this size; null: it did not. */
  #lossBetween(origin: string, size: number): number | null {
    const loss = this.#rotations.find(({ event, facts }) => event === LOSS_ACCEPTED && facts["old"] === origin);
    return loss !== undefined && loss.index < size ? loss.index : null;
  }

  /** A stamp is over the note of the own checkpoint of its size. Whether its authority's signature is good, `openssl ts` says. */
  #checkStamps(): void {
    let count = 0;
    for (const { size, token } of this.#source.stamps(0, this.#source.size)) {
      count++;
      const [checkpoint] = this.#source.checkpoints(size - 1, size);
      if (checkpoint === undefined)
        this.#findings.add("stamp", `stamp ${size}`, "is of a checkpoint that is not there");
      else if (!token.includes(Buffer.concat([IMPRINT_START, sha256(checkpoint.note)]))) {
        this.#findings.add("stamp", `stamp ${size}`, "is over something else than the checkpoint of its size");
      }
    }
    if (count > 0)
      this.#remarks.push(`${count} stamps are over their checkpoints; who signed them, openssl ts -verify says`);
  }

  /** The levels above the ranges, the head, and the end of the log. */
  #finishTree(): void {
    const { size, head, first, end } = this.#source;
    if (this.#wrongRoots !== null && this.#wrongRoots.count > 1) {
      const { count, last } = this.#wrongRoots;
      this.#findings.add(
        "checkpoint",
        `checkpoints up to ${last}`,
        `the roots of ${count - 1} later ones are wrong as well`,
      );
    }
    this.#compareUpperTiles();
    for (const { check, place } of this.#source.strays)
      this.#findings.add(check, place, `is not one of the log's, which has ${size} entries`);
    if (this.#source.place.kind === "data" && head !== null) {
      if (head.size !== size)
        this.#findings.add("head", "head", `says that there are ${head.size} entries, and there are ${size}`);
      else if (!sameBytes(head.stack, this.#tree))
        this.#findings.add("head", "head", "its hashes are not those of the entries");
    }
    for (const { size: claimed } of this.#source.checkpoints(size, Number.MAX_SAFE_INTEGER)) {
      this.#findings.add(
        "checkpoint",
        `checkpoint ${claimed}`,
        `was signed for ${claimed} entries, and there are ${size}: the end of the log was cut off`,
      );
    }
    for (const { size: claimed } of this.#source.cosigned(size, Number.MAX_SAFE_INTEGER)) {
      this.#findings.add(
        "cosignature",
        `cosigned checkpoint ${claimed}`,
        `was cosigned for ${claimed} entries, and there are ${size}: the end of the log was cut off`,
      );
    }
    this.#checkPruned();
    this.#runs.finish(end >= size, head);
    const mustBeThere = this.#source.place.kind === "data" && this.#options.withoutRecordings !== true;
    this.#remarks.push(...this.#segments.finish(this.#from === 0 && end >= size, mustBeThere));
    this.#checkStamps();
    if (first > 0 && this.#options.since <= first)
      this.#remarks.push(`entries below ${first} are not here; their tiles stand for them`);
    if (end < size) this.#remarks.push(`entries from ${end} on are not here; their tiles stand for them`);
    const steps = this.#runs.unexplainedSteps;
    if (steps.length > 0) {
      this.#remarks.push(
        `the clock went back by more than a minute ${steps.length} times without an entry that says so`,
      );
    }
  }

  #checkSince(): void {
    const { since } = this.#options;
    if (since <= this.#source.size) return;
    const text = `has ${this.#source.size} entries, fewer than the ${since} that were verified before: its end was cut off`;
    this.#findings.add("checkpoint", "log", text);
  }

  /** Entries that are gone from the beginning must be gone by an entry that says so. */
  #checkPruned(): void {
    const gone = this.#source.head?.first ?? 0;
    // When entries that are there were not read, theirs may be the one that says it.
    if (gone <= this.#prunedTo || this.#from > gone) return;
    this.#findings.add("entry", `entries below ${gone}`, "are missing, and the log does not say that they were pruned");
  }

  #compareUpperTiles(): void {
    let hashes = this.#rangeRoots;
    for (let level = 2; hashes.length >= TILE_WIDTH; level++) {
      const parents: Buffer[] = [];
      for (let n = 0; (n + 1) * TILE_WIDTH <= hashes.length; n++) {
        const own = Buffer.concat(hashes.slice(n * TILE_WIDTH, (n + 1) * TILE_WIDTH));
        const stored = this.#source.tile(level, n);
        const place = `tile/${level}/${n}`;
        if (stored === null && this.#source.keepsTiles)
          this.#findings.add("tile", place, "is missing, or cannot be read");
        if (stored !== null && !stored.hashes.equals(own))
          this.#findings.add("tile", place, "its hashes are not those of the tiles below it");
        if (stored !== null && stored.root !== null && !stored.root.equals(rootOf(stored.hashes)))
          this.#findings.add("tile", place, WRONG_ROOT);
        parents.push(Buffer.from(rootOf(own)));
      }
      hashes = parents;
    }
  }

  /* ---- signatures ---- */

  #trusted(): readonly NoteVerifier[] {
    if (this.#options.keys.length > 0) return this.#options.keys;
    const { ownKey } = this.#source;
    if (ownKey === null) {
      const text = "has no key beside it, and none was given with --key: no signature can be checked";
      if (this.#source.size > 0) this.#findings.add("key", "log", text);
      return [];
    }
    try {
      const key = readVerifier(ownKey);
      this.#remarks.push(
        "the log's key was taken from beside the log: whoever could change the log could have changed the key. Give the key that you know from elsewhere with --key",
      );
      return [key];
    } catch (error) {
      this.#findings.add("key", "log.vkey", noteReason(error));
      return [];
    }
  }

  async #signatures(crew: Crew, keys: readonly KeySpan[]): Promise<[number, Witnessed[]]> {
    const { size } = this.#source;
    const witnesses = this.#options.witnesses.map(({ vkey }) => vkey);
    // A part of the log may lack the entries that say when its key changed.
    const isUnsaid = this.#rotations.length === 0 && this.#options.keys.length > 1;
    const others = isUnsaid ? this.#options.keys.map(({ vkey }) => vkey) : [];
    const slice = Math.max(RANGE_ENTRIES, Math.ceil(size / SIGNATURE_SLICES));
    const orders: WorkOrder[] = [];
    for (let from = 0; from < size; from += slice) {
      const order = { from, to: Math.min(from + slice, size), keys, others, witnesses };
      orders.push({ kind: "signatures", order });
    }
    let checkpoints = 0;
    const witnessed = new Map<string, Witnessed>();
    for await (const result of crew.all(orders)) {
      if (result.kind !== "signatures") continue;
      checkpoints += result.report.checkpoints;
      this.#signedSize = Math.max(this.#signedSize, result.report.signed);
      this.#findings.merge(result.report.findings);
      for (const each of result.report.witnessed) witnessed.set(each.vkey, each);
    }
    return [checkpoints, [...witnessed.values()]];
  }

  /** What lies above the last signature, anybody could have written who can write the file. */
  #checkUnsigned(): void {
    const { size } = this.#source;
    const signed = this.#signedSize;
    const left = size - signed;
    if (left <= 0) return;
    if (signed === 0) {
      this.#findings.add("signature", "log", `has ${size} entries, and no checkpoint that its key has signed`);
      return;
    }
    const [firstMs, lastMs] = [this.#timeOf(signed), this.#timeOf(size - 1)];
    if (firstMs === null || lastMs === null || lastMs - firstMs <= UNSIGNED_MS_MAX) {
      this.#remarks.push(`the last ${left} entries are newer than the last checkpoint: nobody has signed them yet`);
      return;
    }
    const text = `were written in ${Math.round((lastMs - firstMs) / 1000)} s and are in no checkpoint that the log's key has signed, though it signs every five seconds`;
    this.#findings.add("signature", `entries ${signed} to ${size - 1}`, text);
  }

  /** The time in an entry; null: it cannot be read, which is found elsewhere. */
  #timeOf(index: number): number | null {
    const [entry] = this.#source.entries(index, index + 1);
    const form = entry === undefined ? "" : readForm(entry.leaf, index, new LeafParts());
    return typeof form === "string" ? null : form.timeMs;
  }

  /** Checkpoints from elsewhere must be the log's own: anybody can write down a root. */
  #checkKept(keys: readonly KeySpan[]): void {
    const spans = readSpans(keys);
    for (const { source, note, checkpoint } of this.#options.kept) {
      try {
        const own = spans.filter(({ verifier }) => verifier.name === checkpoint.origin).map(({ verifier }) => verifier);
        if (own.length > 0) openNote(note, own);
        else if (spans.length > 0) throw new NoteError(`it is of ${checkpoint.origin}, which is not this log`);
        if (checkpoint.size <= this.#source.size) continue;
        const text = `the log had ${checkpoint.size} entries when it was made, and has ${this.#source.size} now: its end was cut off`;
        this.#findings.add("checkpoint", source, text);
      } catch (error) {
        this.#findings.add("checkpoint", source, noteReason(error));
      }
    }
  }

  #checkWitnesses(witnessed: readonly Witnessed[]): void {
    const endMs = this.#timeOf(this.#source.size - 1);
    for (const { vkey, name } of this.#options.witnesses) {
      const seen = witnessed.find((each) => each.vkey === vkey);
      if (seen === undefined) {
        this.#findings.add("cosignature", "log", `has no checkpoint that the witness ${name} has cosigned`);
        continue;
      }
      // Whoever holds the log's key can take away what was cosigned last, and write another end.
      const { size, timeSeconds } = seen;
      if (endMs === null || timeSeconds === null || endMs - timeSeconds * 1000 <= UNWITNESSED_MS_MAX) continue;
      const since = new Date(timeSeconds * 1000).toISOString();
      const text = `go on to ${new Date(endMs).toISOString()}, and the witness ${name} has cosigned nothing after ${since}`;
      this.#findings.add("cosignature", `entries from ${size} on`, text);
    }
    if (this.#options.witnesses.length === 0 && this.#options.kept.length === 0) {
      this.#remarks.push(
        "nobody outside was asked: a holder of the log's key could have rewritten it or cut its end. A witness's key (--witness) or a checkpoint kept elsewhere (--checkpoint) shows that",
      );
    }
  }
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0;
}

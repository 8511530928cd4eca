/** Parsing long texts in another process, which is killed when it takes too long. */
import { GRAMMAR_MAJORS, makeParserInstance } from "./parser-instance.ts";
import type { GrammarMajor, ParserInstance, RawParse } from "./parser-instance.ts";

/** The hidden argument by which the compiled binary starts as a parser. */
export const PARSER_CHILD_ARGUMENT = "parser-child";

const TIME_MS_MAX = 5_000;
/** For a child to start and to load the grammar, which no text can make longer; a busy machine may take seconds. */
const READY_MS_MAX = 60_000;
const CHILDREN_MAX = 2;
const WAITING_MAX = 64;
/** An idle child gives its memory back. */
const IDLE_MS_MAX = 60_000;
const ANSWER_BYTES_MAX = 64 * 1024 * 1024;

export type ChildAnswer = RawParse | { readonly kind: "refused"; readonly reason: string };

/** Both directions: four bytes of length, one of kind, then text in UTF-8. */
const HEADER_BYTES = 5;
/** Kinds of answers; a request's kind is the grammar's major. */
const ANSWER_TREE = 1;
const ANSWER_ERROR = 2;
const ANSWER_FAILED = 3;
/** Comes before each of the others, when the grammar is there and the text is about to be read. */
const ANSWER_BEGUN = 4;

function frame(kind: number, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES + payload.length);
  new DataView(bytes.buffer).setUint32(0, payload.length);
  bytes[4] = kind;
  bytes.set(payload, HEADER_BYTES);
  return bytes;
}

/** Reads whole frames out of a byte stream; each is at most `bytesMax` long. */
async function* frames(
  stream: ReadableStream<Uint8Array>,
  bytesMax: number,
): AsyncGenerator<{ kind: number; payload: Uint8Array }> {
  let chunks: Uint8Array[] = [];
  let held = 0;
  let needed = HEADER_BYTES;
  for await (const chunk of stream) {
    chunks.push(chunk);
    held += chunk.length;
    while (held >= needed) {
      const bytes = chunks.length === 1 && chunks[0] ? chunks[0] : new Uint8Array(Buffer.concat(chunks));
      chunks = [bytes];
      const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
      if (length > bytesMax) throw new Error("a frame is longer than its limit");
      needed = HEADER_BYTES + length;
      if (held < needed) break;
      yield { kind: bytes[4] ?? 0, payload: bytes.subarray(HEADER_BYTES, needed) };
      chunks = [bytes.subarray(needed)];
      held -= needed;
      needed = HEADER_BYTES;
    }
  }
}

/**
 * The child's whole life: answers requests on standard input until it ends. For the compiled binary's `main`, when its
 * first argument is PARSER_CHILD_ARGUMENT.
 */
export async function runParserChild(): Promise<void> {
  const encoder = new TextEncoder();
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const instances = new Map<GrammarMajor, ParserInstance>();
  for await (const { kind, payload } of frames(Bun.stdin.stream(), ANSWER_BYTES_MAX)) {
    const major = GRAMMAR_MAJORS.find((known) => known === kind);
    if (major === undefined) throw new Error("a request names no grammar");
    let answer: Uint8Array;
    try {
      const instance = instances.get(major) ?? (await makeParserInstance(major));
      instances.set(major, instance);
      await Bun.write(Bun.stdout, frame(ANSWER_BEGUN, new Uint8Array()));
      const raw = instance.parse(decoder.decode(payload));
      answer =
        raw.kind === "tree"
          ? frame(ANSWER_TREE, encoder.encode(raw.json))
          : frame(ANSWER_ERROR, encoder.encode(JSON.stringify({ message: raw.message, position: raw.position })));
    } catch {
      instances.delete(major);
      answer = frame(ANSWER_FAILED, new Uint8Array());
    }
    await Bun.write(Bun.stdout, answer);
  }
}

/** Inside a compiled binary, sources lie in Bun's virtual file system, and the binary itself is the program to start. */
function childCommand(): string[] {
  const isCompiled = import.meta.path.startsWith("/$bunfs/") || import.meta.path.includes("~BUN");
  return isCompiled ? [process.execPath, PARSER_CHILD_ARGUMENT] : [process.execPath, import.meta.path];
}

type Waiting = { readonly request: Uint8Array; readonly answer: (answer: ChildAnswer) => void };

function refused(reason: string): ChildAnswer {
  return { kind: "refused", reason };
}

/** One child process, with at most one request at a time. */
class ParserChild {
  readonly #process: Bun.Subprocess<"pipe", "pipe", "ignore">;
  #current: Waiting | null = null;
  #timer: ReturnType<typeof setTimeout> | null = null;
  readonly #onIdle: (child: ParserChild) => void;
  readonly #onEnd: (child: ParserChild) => void;

  constructor(onIdle: (child: ParserChild) => void, onEnd: (child: ParserChild) => void) {
    this.#onIdle = onIdle;
    this.#onEnd = onEnd;
    // No environment: it may hold credentials, and the child needs none.
    this.#process = Bun.spawn(childCommand(), { stdin: "pipe", stdout: "pipe", stderr: "ignore", env: {} });
    this.#process.unref();
    void this.#read();
  }

  start(waiting: Waiting): void {
    this.#current = waiting;
    this.#setTimer(READY_MS_MAX);
    this.#process.ref();
    void this.#process.stdin.write(waiting.request);
    void this.#process.stdin.flush();
  }

  /** Without a request, waits for one, and ends when none comes. */
  rest(): void {
    this.#process.unref();
    this.#setTimer(IDLE_MS_MAX);
  }

  end(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#process.kill("SIGKILL");
  }

  #setTimer(delayMs: number): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.end(), delayMs);
    if (!this.#current) this.#timer.unref();
  }

  async #read(): Promise<void> {
    try {
      for await (const { kind, payload } of frames(this.#process.stdout, ANSWER_BYTES_MAX)) {
        const answered = this.#current;
        if (!answered) break;
        if (kind === ANSWER_BEGUN) {
          this.#setTimer(TIME_MS_MAX);
          continue;
        }
        const answer = readAnswer(kind, payload);
        this.#current = null;
        this.#onIdle(this);
        answered.answer(answer);
      }
    } catch {
      // An answer that cannot be read is none: the request is refused below, with the child.
    }
    this.end();
    this.#onEnd(this);
    this.#current?.answer(refused("the statement took too long to parse"));
    this.#current = null;
  }
}

function readAnswer(kind: number, payload: Uint8Array): ChildAnswer {
  const text = new TextDecoder("utf-8", { fatal: true }).decode(payload);
  if (kind === ANSWER_TREE) return { kind: "tree", json: text };
  if (kind !== ANSWER_ERROR) return refused("the statement is too complex to be parsed");
  const error: unknown = JSON.parse(text);
  if (typeof error !== "object" || error === null || !("message" in error) || !("position" in error)) {
    throw new Error("an answer cannot be read");
  }
  if (typeof error.message !== "string" || typeof error.position !== "number") {
    throw new Error("an answer cannot be read");
  }
  return { kind: "error", message: error.message, position: error.position };
}

const busy = new Set<ParserChild>();
const idle: ParserChild[] = [];
const waiting: Waiting[] = [];

/** Parses in a child: at once when one is free, else in turn. Never rejects. */
export function parseInChild(bytes: Uint8Array, major: GrammarMajor): Promise<ChildAnswer> {
  if (waiting.length >= WAITING_MAX)
    return Promise.resolve(refused("too many long statements are waiting to be parsed"));
  return new Promise((resolve) => {
    waiting.push({ request: frame(major, bytes), answer: resolve });
    startWaiting();
  });
}

/** Ends idle children at once; for an orderly end of the gateway. */
export function endIdleParserChildren(): void {
  for (const child of idle.splice(0)) child.end();
}

function startWaiting(): void {
  while (waiting.length > 0 && busy.size < CHILDREN_MAX) {
    const child = idle.pop() ?? spawnChild();
    const next = child ? waiting.shift() : undefined;
    if (!child || !next) {
      for (const left of waiting.splice(0)) left.answer(refused("the parser's process cannot be started"));
      return;
    }
    busy.add(child);
    child.start(next);
  }
}

function spawnChild(): ParserChild | null {
  try {
    return new ParserChild(
      (child) => {
        busy.delete(child);
        idle.push(child);
        child.rest();
        startWaiting();
      },
      (child) => {
        busy.delete(child);
        const at = idle.indexOf(child);
        if (at >= 0) idle.splice(at, 1);
        startWaiting();
      },
    );
  } catch {
    return null;
  }
}

if (import.meta.main) await runParserChild();

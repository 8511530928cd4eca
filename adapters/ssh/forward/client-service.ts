/** What programs on a target reach of the client's own: its agent (`auth-agent-req@openssh.com`) or its X server (RFC 4254, section 6.3). */
import { refusal, type Refusal } from "../../../src/core/decision.ts";
import type { Outcome, PendingApproval, Permit } from "../../../src/core/ports.ts";
import { RecordingFailed } from "../../../src/core/recording.ts";
import type { ClientChannel, Originator, TargetService, X11Request } from "../channels.ts";
import type { FieldReader } from "../protocol/fields.ts";
import { OPEN_FAILURE } from "../protocol/messages.ts";
import { recordTranscript } from "../record/transcript.ts";
import { ForwardRun, type ForwardParts } from "./forward-run.ts";
import { Tunnel } from "./tunnel.ts";

/** Connections to one client's agent or X server at a time, for one session channel. */
const CONNECTIONS_MAX = 64;
const PROTOCOL_BYTES_MAX = 64;
/** Of MIT-MAGIC-COOKIE-1 it is 32. */
const COOKIE_BYTES_MAX = 256;
/** The X protocol has one byte for the number of its screens. */
const SCREEN_MAX = 255;
const OF_PROTOCOLS = new Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-");
const OF_HEX = new Set("0123456789abcdefABCDEF");

/** Opens channels towards the client; each rejects when the client does not take one. */
export interface ServiceOpener {
  agent(): Promise<ClientChannel>;
  x11(originator: Originator): Promise<ClientChannel>;
}

export type ClientServiceParts = ForwardParts & {
  readonly kind: TargetService["kind"];
  /** A refusal: it is only recorded. Null for an agent. */
  readonly x11: X11Request | Refusal | null;
  readonly client: ServiceOpener;
  /** The target would not do it. */
  onUnavailable(no: Refusal): void;
};

/** One session channel's, as a lasting operation; all connections to it are under that operation's permit. */
export class ClientService implements TargetService {
  readonly kind: TargetService["kind"];
  readonly #parts: ClientServiceParts;
  readonly #run: ForwardRun;
  readonly #tunnels = new Set<Tunnel>();
  /** Those that the client is being asked to take. */
  #opening = 0;
  #count = 0;
  #bytes = 0;
  #isMade = false;
  #permit: Permit | null = null;
  #decided: ((no: Refusal | null) => void) | null = null;
  #pending: ((approval: PendingApproval) => void) | null = null;

  constructor(parts: ClientServiceParts) {
    this.#parts = parts;
    this.kind = parts.kind;
    this.#run = new ForwardRun(
      parts,
      { channel: parts.kind, where: null, text: textOf(parts) },
      {
        begin: async (run, permit) => {
          this.#permit = permit;
          run.running((reason) => this.#stop(reason === null ? this.#done() : cancelledBy(reason)));
          this.#decided?.(null);
          return null;
        },
        pending: (approval) => this.#pending?.(approval),
        refuse: (no) => this.#decided?.(no),
      },
      () => {},
    );
  }

  /** Null: the target may be asked for it. To be called once; `pending` when people are asked. */
  async ask(pending: (approval: PendingApproval) => void): Promise<Refusal | null> {
    return new Promise((resolve) => {
      this.#decided = resolve;
      this.#pending = pending;
      const { x11 } = this.#parts;
      this.#run.submit(x11 !== null && "code" in x11 ? x11 : null);
    });
  }

  /** Ends it and what is open of it; null: the channel that it came with has ended. */
  stop(reason: Refusal | null): void {
    this.#run.stop(reason);
  }

  get permit(): Permit | null {
    return this.#run.hasEnded ? null : this.#permit;
  }

  get x11(): X11Request | null {
    const { x11 } = this.#parts;
    return x11 === null || "code" in x11 ? null : x11;
  }

  get takesConnections(): boolean {
    const isSpent = this.x11?.isSingle === true && this.#count > 0;
    return this.#isMade && this.permit !== null && !isSpent;
  }

  made(): void {
    this.#isMade = true;
  }

  unavailable(): void {
    if (this.#run.hasEnded) return;
    const what = this.kind === "x11" ? "X11" : "the agent";
    const event = this.#permit?.operation ?? "";
    this.#stop({ status: "failed", code: "target_unavailable" });
    this.#parts.onUnavailable(refusal("target_unavailable", `the target does not forward ${what}`, { event }));
  }

  connected(asked: Parameters<TargetService["connected"]>[0], originator: Originator): void {
    if (this.#tunnels.size + this.#opening >= CONNECTIONS_MAX) {
      return asked.reject(OPEN_FAILURE.shortage, `there are ${CONNECTIONS_MAX} of these already`);
    }
    this.#opening++;
    const number = ++this.#count;
    const { client } = this.#parts;
    const opening = this.kind === "x11" ? client.x11(originator) : client.agent();
    opening.then(
      (channel) => {
        this.#opening--;
        this.#join(asked, channel, number);
      },
      () => {
        this.#opening--;
        asked.reject(OPEN_FAILURE.connectFailed, "the client does not take this");
      },
    );
  }

  #join(asked: Parameters<TargetService["connected"]>[0], client: ClientChannel, number: number): void {
    const { door, clock } = this.#parts;
    const { permit } = this;
    if (permit === null) {
      client.close();
      return asked.reject(OPEN_FAILURE.prohibited, "this is over");
    }
    try {
      const record = recordTranscript(door, permit, clock, `${this.kind} connection ${number}`);
      const tunnel: Tunnel = new Tunnel({
        door,
        permit,
        client,
        target: asked.accept(),
        record,
        onEnd: (outcome) => {
          this.#tunnels.delete(tunnel);
          this.#bytes += outcome.bytes ?? 0;
          try {
            record?.end(outcome);
          } catch {
            // The recording has failed, and the session is being ended over it.
          }
          // A limit that is reached is that of the operation.
          if (outcome.status !== "done") this.#stop({ ...outcome, bytes: this.#bytes });
        },
      });
      this.#tunnels.add(tunnel);
      tunnel.begin();
    } catch (error) {
      client.close();
      asked.reject(OPEN_FAILURE.prohibited, "this cannot be recorded");
      const code = error instanceof RecordingFailed ? "recording_unavailable" : "internal";
      this.#stop({ status: "failed", code });
    }
  }

  #done(): Outcome {
    return { status: this.#isMade ? "done" : "skipped" };
  }

  #stop(outcome: Outcome): void {
    const tunnels = [...this.#tunnels];
    this.#tunnels.clear();
    for (const tunnel of tunnels) tunnel.stop(null);
    this.#run.finish({ ...outcome, ...(this.#isMade ? { bytes: this.#bytes } : {}) });
  }
}

/** An `x11-req`, its cookie as it came: hexadecimal, whatever the protocol makes of it. Throws on what breaks the protocol. */
export function readX11(fields: FieldReader): X11Request | Refusal {
  const isSingle = fields.bool();
  const [protocol, cookie] = [latin1(fields.string()), latin1(fields.string())];
  const screen = fields.u32();
  if (!isMadeOf(protocol, OF_PROTOCOLS, PROTOCOL_BYTES_MAX)) return malformed("names no protocol that there could be");
  if (!isMadeOf(cookie, OF_HEX, COOKIE_BYTES_MAX))
    return malformed("has a cookie that is not hexadecimal, or too long");
  if (screen > SCREEN_MAX) return malformed("names a screen that there cannot be");
  return { isSingle, protocol, cookie, screen };
}

/** The cookie stays out of it. */
function textOf({ kind, x11 }: ClientServiceParts): string {
  if (kind === "agent-forward") return "the client's agent";
  const isSingle = x11 !== null && "isSingle" in x11 && x11.isSingle;
  return isSingle ? "one connection to the client's X server" : "the client's X server";
}

function cancelledBy(reason: Refusal): Outcome {
  return { status: "cancelled", code: reason.code };
}

function malformed(what: string): Refusal {
  return refusal("not_understood", `the request to forward X11 ${what}`);
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("latin1");
}

function isMadeOf(text: string, characters: ReadonlySet<string>, most: number): boolean {
  return text !== "" && text.length <= most && Array.from(text).every((each) => characters.has(each));
}

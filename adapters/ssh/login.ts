/** Logs a client in (RFC 4252): a bound public key, or a token as the password; who it is, and which target it wants. */
import { isRefusal, type Refusal } from "../../src/core/decision.ts";
import type { Identity } from "../../src/core/identity.ts";
import type { Door } from "../../src/core/ports.ts";
import { readPublicKeyBlob } from "../../src/core/ssh-public-key.ts";
import { signaturesOf } from "./algorithms.ts";
import { isSignedBy } from "./signature.ts";
import { type FieldReader, FieldWriter } from "./protocol/fields.ts";
import { DISCONNECT, MESSAGE } from "./protocol/messages.ts";
import { refusalLine } from "./refuse.ts";
import { fieldsOf, ProtocolError, type Transport } from "./transport.ts";

/** As OpenSSH's MaxAuthTries. */
const FAILURES_MAX = 6;
/** Of all kinds, those that cost nothing included. */
const REQUESTS_MAX = 40;
const NAME_BYTES_MAX = 512;
const PASSWORD_BYTES_MAX = 16 * 1024;
const KEY_BYTES_MAX = 16 * 1024;
/** The prompts of `keyboard-interactive` (RFC 4256) are not offered: nobody asks for anything that way yet. */
const METHODS = "publickey,password";
const SERVICE = "ssh-userauth";
const CONNECTION = "ssh-connection";

/** A client that is logged in. */
export type LoggedIn = {
  readonly identity: Identity;
  /** As the client named itself: `TARGET` or `LOGIN+TARGET`. */
  readonly userName: string;
};

export type LoginParts = {
  readonly door: Door;
  readonly transport: Transport;
  readonly source: string;
  /** Who comes through a forward of its own connection needs no further proof, and can be nobody else; null: nobody is known. */
  readonly proven: Identity | null;
  /** Called once. */
  onLoggedIn(login: LoggedIn): void;
  /** Too many failures; the transport has said so. */
  onRefused(): void;
};

export class Login {
  readonly #parts: LoginParts;
  #failures = 0;
  #requests = 0;
  #userName: string | null = null;
  /** An answer is being worked out; what comes meanwhile waits. */
  #isBusy = false;
  #isOver = false;
  #failure: string | null = null;
  readonly #waiting: Uint8Array[] = [];

  constructor(parts: LoginParts) {
    this.#parts = parts;
  }

  /** What the client tried in vain, when no record of a login says so yet; null: nothing, or there is one. */
  get failure(): string | null {
    return this.#failure;
  }

  /** A message before the login is done. Throws ProtocolError. */
  receive(type: number, payload: Uint8Array): void {
    if (this.#isOver) return;
    if (type === MESSAGE.serviceRequest) return this.#service(fieldsOf(payload));
    if (type !== MESSAGE.authRequest || this.#requests === 0) {
      throw new ProtocolError("this message may not come before the login");
    }
    if (++this.#requests > REQUESTS_MAX) return this.#refuse();
    if (this.#isBusy) this.#waiting.push(payload);
    else this.#work(payload);
  }

  #service(fields: FieldReader): void {
    const { transport } = this.#parts;
    const name = fields.utf8(NAME_BYTES_MAX);
    if (name !== SERVICE) throw new ProtocolError("only ssh-userauth is served before the login");
    if (this.#requests === 0) this.#requests = 1;
    transport.send(new FieldWriter().u8(MESSAGE.serviceAccept).string(SERVICE).take());
  }

  #work(payload: Uint8Array): void {
    this.#isBusy = true;
    void this.#request(payload)
      .catch(() => this.#refuse())
      .finally(() => {
        this.#isBusy = false;
        const next = this.#waiting.shift();
        if (next !== undefined && !this.#isOver) this.#work(next);
      });
  }

  async #request(payload: Uint8Array): Promise<void> {
    const fields = fieldsOf(payload);
    const userName = fields.utf8(NAME_BYTES_MAX);
    const service = fields.utf8(NAME_BYTES_MAX);
    const method = fields.utf8(NAME_BYTES_MAX);
    // RFC 4252, section 5: nothing of an earlier attempt counts for another name, so there is only one.
    if (service !== CONNECTION || (this.#userName !== null && this.#userName !== userName)) return this.#refuse();
    this.#userName = userName;
    switch (method) {
      case "publickey":
        return this.#publicKey(payload, fields, userName);
      case "password":
        return this.#password(fields, userName);
      case "none": {
        const { proven } = this.#parts;
        return proven === null ? this.#failed(false) : this.#succeed({ identity: proven, userName });
      }
      default:
        return this.#failed(true);
    }
  }

  async #password(fields: FieldReader, userName: string): Promise<void> {
    const isChange = fields.bool();
    const secret = fields.utf8(PASSWORD_BYTES_MAX);
    if (isChange) return this.#failed(true);
    const { door, source } = this.#parts;
    this.#answer(await door.authenticate({ method: "token", secret, source }), userName);
  }

  async #publicKey(payload: Uint8Array, fields: FieldReader, userName: string): Promise<void> {
    const { door, source, transport } = this.#parts;
    const isSigned = fields.bool();
    const algorithm = fields.utf8(NAME_BYTES_MAX);
    const publicKey = fields.string(KEY_BYTES_MAX);
    const key = readPublicKeyBlob(publicKey);
    // Certificates, too, have types of their own, and are refused here until there is somebody who judges them.
    if (typeof key === "string" || !signaturesOf(key.type).includes(algorithm)) {
      this.#failure = "no key of a kind that is taken";
      return this.#failed(isSigned);
    }
    if (!isSigned) {
      if (!door.knowsKey(publicKey)) {
        this.#failure = "no key that anybody is bound to";
        return this.#failed(true);
      }
      const answer = new FieldWriter().u8(MESSAGE.authPublicKeyOk).string(algorithm).string(publicKey);
      return transport.send(answer.take());
    }
    const signedBytes = 1 + fields.position;
    const signature = fields.string(KEY_BYTES_MAX);
    const signed = new FieldWriter().string(transport.sessionId).raw(payload.subarray(0, signedBytes)).take();
    if (!isSignedBy(key, algorithm, signed, signature)) {
      this.#failure = "a signature that was not made by its key";
      return this.#failed(true);
    }
    this.#answer(await door.authenticate({ method: "key", publicKey, source }), userName);
  }

  #answer(identity: Identity | Refusal, userName: string): void {
    this.#failure = null;
    if (!isRefusal(identity)) return this.#succeed({ identity, userName });
    if (identity.code === "unauthenticated") return this.#failed(true);
    // The gateway cannot let anybody in now: another key would not help.
    this.#end(DISCONNECT.byApplication, refusalLine(identity));
  }

  #succeed(login: LoggedIn): void {
    if (this.#isOver) return;
    const { proven } = this.#parts;
    const { issuer, subject } = login.identity;
    if (proven !== null && (proven.issuer !== issuer || proven.subject !== subject)) return this.#failed(true);
    this.#isOver = true;
    this.#parts.transport.send(new FieldWriter().u8(MESSAGE.authSuccess).take());
    this.#parts.onLoggedIn(login);
  }

  #failed(counts: boolean): void {
    if (counts && ++this.#failures >= FAILURES_MAX) return this.#refuse();
    this.#parts.transport.send(new FieldWriter().u8(MESSAGE.authFailure).string(METHODS).bool(false).take());
  }

  #refuse(): void {
    this.#end(DISCONNECT.noMoreAuthMethods, "Too many authentication failures");
  }

  #end(reason: number, message: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#parts.transport.disconnect(reason, message);
    this.#parts.onRefused();
  }
}

/** `TARGET`, or `LOGIN+TARGET`: names of targets have no plus. */
export function readUserName(userName: string): { readonly login: string | null; readonly targetName: string } {
  const plus = userName.lastIndexOf("+");
  if (plus < 0) return { login: null, targetName: userName };
  return { login: userName.slice(0, plus), targetName: userName.slice(plus + 1) };
}

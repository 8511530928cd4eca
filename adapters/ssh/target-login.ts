/** Logs the gateway in to a target (RFC 4252) with the target's own key or password, which no client ever sees. */
import { signaturesOf } from "./algorithms.ts";
import { TargetRefused } from "./channels.ts";
import { type FieldReader, FieldWriter } from "./protocol/fields.ts";
import { MESSAGE } from "./protocol/messages.ts";
import type { PrivateKey } from "./private-key.ts";
import type { SshSettings } from "./settings.ts";
import { fieldsOf, type Transport } from "./transport.ts";

const CONNECTION = "ssh-connection";
const SERVICE = "ssh-userauth";
/** Prompts that are answered with the password; a server asks once. */
const PROMPTS_MAX = 1;

type Attempt = "publickey" | "password" | "keyboard-interactive";

export class TargetLogin {
  readonly #transport: Transport;
  readonly #settings: SshSettings;
  readonly #user: string;
  #attempt: Attempt | null = null;
  /** Names of signatures that the server has not refused yet. */
  #signatures: string[] = [];
  #prompts = 0;
  readonly #done = Promise.withResolvers<void>();

  constructor(transport: Transport, settings: SshSettings, user: string) {
    this.#transport = transport;
    this.#settings = settings;
    this.#user = user;
    // Nobody may be waiting any more when it fails.
    this.#done.promise.catch(() => {});
  }

  /** Resolves when the target has let the gateway in; rejects with TargetRefused. Call it when the transport is ready. */
  async begin(): Promise<void> {
    this.#transport.send(new FieldWriter().u8(MESSAGE.serviceRequest).string(SERVICE).take());
    return this.#done.promise;
  }

  /** The connection is gone. */
  fail(error: Error): void {
    this.#done.reject(error);
  }

  receive(type: number, payload: Uint8Array): void {
    switch (type) {
      case MESSAGE.serviceAccept:
        return this.#first();
      case MESSAGE.authSuccess:
        return this.#done.resolve();
      case MESSAGE.authFailure:
        return this.#next(fieldsOf(payload));
      case MESSAGE.authInfoRequest:
        return this.#prompted(fieldsOf(payload));
      default:
      // A banner: for people, who are not here.
    }
  }

  #first(): void {
    const { key } = this.#settings;
    if (key === null) return this.#sendPassword();
    this.#signatures = [...signaturesOf(key.publicKey.type)];
    this.#sendKey(key);
  }

  #next(fields: FieldReader): void {
    const { key } = this.#settings;
    const left = fields.utf8().split(",");
    if (fields.bool()) return this.#refused("the target wants more than one proof");
    if (this.#attempt === "publickey" && this.#signatures.length > 0 && key !== null) {
      return this.#sendKey(key);
    }
    if (this.#attempt === "password" && left.includes("keyboard-interactive")) return this.#sendInteractive();
    this.#refused(`the target does not take its ${key === null ? "password" : "key"} for ${this.#user}`);
  }

  #refused(detail: string): void {
    this.#done.reject(new TargetRefused("the target does not let the gateway in", detail));
  }

  #request(method: Attempt): FieldWriter {
    this.#attempt = method;
    return new FieldWriter().u8(MESSAGE.authRequest).string(this.#user).string(CONNECTION).string(method);
  }

  #sendPassword(): void {
    this.#transport.send(
      this.#request("password")
        .bool(false)
        .string(this.#settings.password ?? "")
        .take(),
    );
  }

  /** What PAM calls a password may be asked for this way alone. */
  #sendInteractive(): void {
    this.#transport.send(this.#request("keyboard-interactive").string("").string("").take());
  }

  #prompted(fields: FieldReader): void {
    if (this.#attempt !== "keyboard-interactive") return this.#refused("the target asked for something else");
    fields.string();
    fields.string();
    fields.string();
    const count = fields.u32();
    // Some servers end with a question that has no prompts.
    const isPassword = count === 1 && this.#prompts++ < PROMPTS_MAX;
    if (count !== 0 && !isPassword) return this.#refused("the target asks for more than a password");
    const answer = new FieldWriter().u8(MESSAGE.authInfoResponse).u32(count);
    if (isPassword) answer.string(this.#settings.password ?? "");
    this.#transport.send(answer.take());
  }

  #sendKey({ publicKey, sign }: PrivateKey): void {
    const algorithm = this.#signatures.shift() ?? "";
    const request = this.#request("publickey").bool(true).string(algorithm).string(publicKey.blob).take();
    const signed = new FieldWriter().string(this.#transport.sessionId).raw(request).take();
    this.#transport.send(new FieldWriter().raw(request).string(sign(algorithm, signed)).take());
  }
}

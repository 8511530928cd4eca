/** The exchanges of keys on one connection, from KEXINIT to NEWKEYS (RFC 4253, section 7): ssh2 carries only the packets. */
import type Protocol from "ssh2/lib/protocol/Protocol.js";
import { sendPacket } from "ssh2/lib/protocol/utils.js";
import { readPublicKeyBlob } from "../../../src/core/ssh-public-key.ts";
import { METHODS, STRICT_CLIENT, STRICT_SERVER } from "../algorithms.ts";
import { replaceChaCha } from "../chacha-poly.ts";
import type { HostKey } from "../host-keys.ts";
import { FieldReader, FieldWriter } from "../protocol/fields.ts";
import { DISCONNECT, MESSAGE } from "../protocol/messages.ts";
import { isSignedBy } from "../signature.ts";
import { agree, type Agreement, offerOf, readKexInit } from "./agreement.ts";
import { ExchangeError } from "./exchange-error.ts";
import { exchangeHash, newCiphers } from "./keys.ts";
import type { Answered, Begun, Method } from "./methods.ts";

/** Of a peer that has nothing to say until the gateway answers. */
const HELD_BYTES_MAX = 64 * 1024;
/**
 * Of a target that has sent its NEWKEYS in a later exchange: it goes on at once, as far as windows reach
 * (`window-budget.ts`: 16 MiB, and 32 KiB for each channel).
 */
const HELD_DATA_BYTES_MAX = 32 * 1024 * 1024;
const EXT_INFO_CLIENT = "ext-info-c";

export type ExchangeSide =
  | { readonly kind: "server"; readonly hostKeys: Readonly<Record<string, HostKey>> }
  /** `verify` gets the server's key as SSH encodes it, and says whether it is the right one. */
  | { readonly kind: "client"; verify(hostKey: Uint8Array): boolean };

export type ExchangeOwner = {
  /** Every packet that is opened from now on. */
  onPayload(payload: Buffer): number | false | undefined;
  /** The peer asks for new keys, the gateway has not. Throws when it may not. */
  onAsked(): void;
  /** New keys hold for both directions; `wantsExtInfo`: the client would read RFC 8308's message now. */
  onDone(wantsExtInfo: boolean): void;
  /** What went wrong while nobody was calling. */
  onError(error: unknown): void;
};

type Agreed = {
  readonly agreement: Agreement;
  readonly method: Method;
  readonly theirKexInit: Uint8Array;
};

type State =
  /** The peer has not sent its KEXINIT; the gateway may have. */
  | { readonly at: "rest" }
  /** The peer's guess comes next, for nothing; then `next`. */
  | { readonly at: "guess"; readonly next: State }
  | { readonly at: "init"; readonly agreed: Agreed }
  | { readonly at: "reply"; readonly agreed: Agreed; readonly begun: Begun }
  /** Something is being worked out, and what comes meanwhile is held. */
  | { readonly at: "work" }
  | { readonly at: "newKeys"; readonly decipher: Protocol["_decipher"] };

export class KeyExchange {
  readonly #protocol: Protocol;
  readonly #side: ExchangeSide;
  readonly #owner: ExchangeOwner;
  #state: State = { at: "rest" };
  #sessionId: Uint8Array | null = null;
  #isDone = false;
  #isStrict = false;
  #wantsExtInfo = false;
  #isOver = false;

  constructor(protocol: Protocol, side: ExchangeSide, owner: ExchangeOwner) {
    this.#protocol = protocol;
    this.#side = side;
    this.#owner = owner;
  }

  /** The hash of the first exchange: what signatures are bound to. */
  get sessionId(): Uint8Array {
    if (this.#sessionId === null) throw new Error("there is no session before the first key exchange");
    return this.#sessionId;
  }

  /** Whether messages have to wait for its end. */
  get isUnderWay(): boolean {
    return this.#protocol._kexinit !== undefined;
  }

  /** Asks for new keys. */
  ask(): void {
    if (!this.#isOver && !this.isUnderWay) this.#protocol.rekey();
  }

  /** The connection has ended. */
  end(): void {
    this.#isOver = true;
    this.#state = { at: "rest" };
  }

  /**
   * Whether a message of this type may come now, and is not of the exchange. Until the first keys hold, a strict peer
   * sends nothing that is not needed (Terrapin); later, what the transport itself understands may come in between.
   */
  mayPass(type: number): boolean {
    if (this.#state.at === "rest" && this.#isDone) return true;
    if (type === MESSAGE.disconnect) return true;
    const isTransports = type > MESSAGE.disconnect && type <= MESSAGE.debug;
    return isTransports && (this.#isDone || !this.#isStrict);
  }

  /** A message with a number from 20 to 49. Throws when it should not have come. */
  receive(type: number, payload: Buffer): false | undefined {
    const state = this.#state;
    if (state.at === "rest" && type === MESSAGE.kexInit) return this.#begin(payload);
    if (state.at === "guess" && type !== MESSAGE.kexInit) {
      this.#state = state.next;
      return undefined;
    }
    if (state.at === "init" && type === MESSAGE.kexEcdhInit) return this.#answer(state.agreed, payload);
    if (state.at === "reply" && type === MESSAGE.kexEcdhReply)
      return this.#conclude(state.agreed, state.begun, payload);
    if (state.at === "newKeys" && type === MESSAGE.newKeys) return this.#renew(state.decipher);
    throw new ExchangeError(`a message of the type ${type} came out of turn`);
  }

  #begin(payload: Buffer): false | undefined {
    const protocol = this.#protocol;
    if (!this.isUnderWay) {
      this.#owner.onAsked();
      protocol.rekey();
    }
    const isServer = this.#side.kind === "server";
    const theirs = readKexInit(payload);
    const ours = offerOf(protocol._offer);
    if (!this.#isDone) {
      this.#isStrict = theirs.kex.includes(isServer ? STRICT_CLIENT : STRICT_SERVER);
      if (this.#isStrict && protocol._decipher.inSeqno !== 1)
        throw new ExchangeError("KEXINIT was not the first packet");
      this.#wantsExtInfo = theirs.kex.includes(EXT_INFO_CLIENT);
    }
    const agreement = isServer ? agree(theirs, ours) : agree(ours, theirs);
    const method = METHODS.get(agreement.kex);
    if (method === undefined) throw new ExchangeError(`${agreement.kex} is no key exchange`);
    const agreed = { agreement, method, theirKexInit: Uint8Array.from(payload) };
    const enter = (state: State): void => {
      this.#state = agreement.isGuessWrong ? { at: "guess", next: state } : state;
    };
    if (isServer) {
      enter({ at: "init", agreed });
      return undefined;
    }
    return this.#work(method.begin(), HELD_BYTES_MAX, (begun) => {
      this.#send(new FieldWriter().u8(MESSAGE.kexEcdhInit).string(begun.init));
      enter({ at: "reply", agreed, begun });
    });
  }

  /** As the server. */
  #answer(agreed: Agreed, payload: Buffer): false {
    const fields = new FieldReader(payload, 1);
    const init = Uint8Array.from(fields.string());
    fields.end();
    return this.#work(agreed.method.answer(init), HELD_BYTES_MAX, (answered) => this.#reply(agreed, init, answered));
  }

  #reply(agreed: Agreed, init: Uint8Array, { reply, secret }: Answered): void {
    const { hostKey: algorithm } = agreed.agreement;
    const hostKey = this.#side.kind === "server" ? this.#side.hostKeys[algorithm] : undefined;
    if (hostKey === undefined) throw new ExchangeError(`there is no host key for ${algorithm}`);
    const hash = this.#hash(agreed, hostKey.blob, init, reply, secret);
    const message = new FieldWriter().u8(MESSAGE.kexEcdhReply).string(hostKey.blob).string(reply);
    this.#send(message.string(hostKey.sign(hash)));
    this.#sendNewKeys(agreed, hash, secret);
  }

  /** As the client. */
  #conclude(agreed: Agreed, begun: Begun, payload: Buffer): false {
    const fields = new FieldReader(payload, 1);
    const field = (): Uint8Array => Uint8Array.from(fields.string());
    const [blob, reply, signature] = [field(), field(), field()];
    fields.end();
    if (this.#side.kind !== "client" || !this.#side.verify(blob)) {
      throw new ExchangeError("the server's host key is not the expected one", DISCONNECT.hostKeyNotVerifiable);
    }
    const key = readPublicKeyBlob(blob);
    if (typeof key === "string") throw new ExchangeError(`the server's host key cannot be used: ${key}`);
    const bytesMax = this.#isDone ? HELD_DATA_BYTES_MAX : HELD_BYTES_MAX;
    return this.#work(begun.secretOf(reply), bytesMax, (secret) => {
      const hash = this.#hash(agreed, blob, begun.init, reply, secret);
      if (!isSignedBy(key, agreed.agreement.hostKey, hash, signature)) {
        throw new ExchangeError("the server's signature is wrong");
      }
      this.#sendNewKeys(agreed, hash, secret);
    });
  }

  #hash(agreed: Agreed, hostKey: Uint8Array, init: Uint8Array, reply: Uint8Array, secret: Uint8Array): Uint8Array {
    const { _identRaw: ourIdent, _remoteIdentRaw: theirIdent, _kexinit: ourKexInit = Buffer.alloc(0) } = this.#protocol;
    const { theirKexInit, method } = agreed;
    const said =
      this.#side.kind === "server"
        ? { clientIdent: theirIdent, serverIdent: ourIdent, clientKexInit: theirKexInit, serverKexInit: ourKexInit }
        : { clientIdent: ourIdent, serverIdent: theirIdent, clientKexInit: ourKexInit, serverKexInit: theirKexInit };
    return exchangeHash(method.hash, { ...said, hostKey, init, reply }, secret);
  }

  /** From here on packets are sent under the new keys. */
  #sendNewKeys({ agreement, method }: Agreed, hash: Uint8Array, secret: Uint8Array): void {
    const protocol = this.#protocol;
    this.#sessionId ??= hash;
    const derivation = { hash: method.hash, secret, exchangeHash: hash, sessionId: this.#sessionId };
    const { cipher, decipher } = newCiphers(agreement, derivation, {
      isServer: this.#side.kind === "server",
      onWrite: protocol._onWrite,
      onPayload: (payload) => this.#owner.onPayload(payload),
    });
    secret.fill(0);
    replaceChaCha(cipher, decipher);
    this.#send(new FieldWriter().u8(MESSAGE.newKeys));
    if (!this.#isStrict) cipher.outSeqno = protocol._cipher.outSeqno;
    protocol._cipher.free();
    protocol._cipher = cipher;
    this.#state = { at: "newKeys", decipher };
  }

  /** The peer's packets come under the new keys from the next byte on. */
  #renew(decipher: Protocol["_decipher"]): false {
    const protocol = this.#protocol;
    if (!this.#isStrict) decipher.inSeqno = protocol._decipher.inSeqno;
    protocol._decipher.free();
    protocol._decipher = decipher;
    protocol._kexinit = undefined;
    const { write } = protocol._packetRW;
    write.allocStart = write.allocStartKEX;
    this.#state = { at: "rest" };
    const isFirst = !this.#isDone;
    this.#isDone = true;
    this.#owner.onDone(isFirst && this.#wantsExtInfo);
    return false;
  }

  /** Also while other messages have to wait. */
  #send(message: FieldWriter): void {
    const payload = message.take();
    const { write } = this.#protocol._packetRW;
    const packet = write.alloc(payload.length, true);
    packet.set(payload, write.allocStartKEX);
    sendPacket(this.#protocol, write.finalize(packet, true), true);
  }

  /** Goes on with `next` when it is worked out; what comes until then is read afterwards, in its order. */
  #work<T>(work: Promise<T>, bytesMax: number, next: (value: T) => void): false {
    const protocol = this.#protocol;
    const { _parse: parse } = protocol;
    const held: Buffer[] = [];
    let heldBytes = 0;
    this.#state = { at: "work" };
    protocol._parse = (bytes, start, end) => {
      heldBytes += end - start;
      if (heldBytes > bytesMax) throw new ExchangeError("the peer sends too much while keys are exchanged");
      held.push(Buffer.from(bytes.subarray(start, end)));
      return end;
    };
    const goOn = (value: T): void => {
      if (this.#isOver) return;
      protocol._parse = parse;
      next(value);
      for (const bytes of held) {
        if (this.#isOver) return;
        protocol.parse(bytes, 0, bytes.length);
      }
    };
    const refuse = (error: unknown): never => {
      throw error instanceof ExchangeError ? error : new ExchangeError("the peer's key cannot be used");
    };
    work.then(goOn, refuse).catch((error: unknown) => this.#owner.onError(error));
    return false;
  }
}

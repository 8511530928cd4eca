/** The parts of ssh2 below its own channels, as far as this adapter uses them; the version in package.json is exact. */

declare module "ssh2/lib/protocol/Protocol.js" {
  import type { KexInit } from "ssh2/lib/protocol/kex.js";

  namespace Protocol {
    /** The keys are there when ChaCha20 was agreed upon. */
    type Cipher = {
      outSeqno: number;
      readonly _dead: boolean;
      readonly _encKeyMain?: Buffer;
      readonly _encKeyPktLen?: Buffer;
      readonly _onWrite: (bytes: Uint8Array) => void;
      encrypt: (packet: Buffer) => void;
      free(): void;
    };
    type Decipher = {
      inSeqno: number;
      readonly _decKeyMain?: Buffer;
      readonly _decKeyPktLen?: Buffer;
      /** False: read the next packet as the protocol says then; Infinity: read no more. */
      _onPayload: (payload: Buffer) => number | false | undefined;
      free(): void;
      decrypt: (data: Buffer, start: number, end: number) => number | undefined;
    };
    type Config = {
      server: boolean;
      /** Used by the exchanges of ssh2's own alone. */
      hostKeys?: Record<string, never>;
      ident: Buffer;
      offer: KexInit;
      onWrite: (bytes: Uint8Array) => void;
      onError: (error: Error) => void;
      onHeader: (header: { versions: { protocol: string; software: string } }) => void;
      messageHandlers: {
        DISCONNECT: (protocol: Protocol, reason: number, message: string) => void;
      };
    };
  }

  class Protocol {
    constructor(config: Protocol.Config);
    /** Undefined once it has been called. */
    start?: () => void;
    parse(bytes: Buffer, start: number, length: number): void;
    rekey(): void;
    cleanup(): void;
    /** What the next key exchange offers. */
    _offer: KexInit;
    /** Undefined when no key exchange is under way. */
    _kexinit: Buffer | undefined;
    /** What waits for the end of a key exchange, each a payload. */
    _queue: Buffer[] | undefined;
    /** Both sides' names, without the end of the line. */
    readonly _identRaw: Buffer;
    readonly _remoteIdentRaw: Buffer;
    readonly _onWrite: (bytes: Uint8Array) => void;
    /** Reads what came, and says where to go on. */
    _parse: (bytes: Buffer, start: number, end: number) => number | undefined;
    _onPayload: (payload: Buffer) => number | false | undefined;
    _packetRW: {
      readonly write: {
        /** Where the payload begins in what alloc() gives. */
        allocStart: number;
        /** The same with `force`. */
        readonly allocStartKEX: number;
        alloc(payloadBytes: number, force?: boolean): Buffer;
        finalize(packet: Buffer, force?: boolean): Buffer;
      };
    };
    _cipher: Protocol.Cipher;
    _decipher: Protocol.Decipher;
  }
  export = Protocol;
}

declare module "ssh2/lib/protocol/kex.js" {
  export type Algorithms = {
    readonly cipher: readonly string[];
    readonly mac: readonly string[];
    readonly compress: readonly string[];
    readonly lang: readonly string[];
  };
  type Names = { readonly array: readonly string[] };
  type Lists = { readonly cipher: Names; readonly mac: Names; readonly compress: Names };
  export class KexInit {
    readonly totalSize: number;
    readonly lists: {
      readonly kex: Names;
      readonly serverHostKey: Names;
      readonly cs: Lists;
      readonly sc: Lists;
    };
    constructor(lists: { kex: readonly string[]; serverHostKey: readonly string[]; cs: Algorithms; sc: Algorithms });
  }
}

declare module "ssh2/lib/protocol/crypto.js" {
  import type { Cipher, Decipher } from "ssh2/lib/protocol/Protocol.js";

  export const init: Promise<void>;
  export type CipherInfo = { readonly keyLen: number; readonly ivLen: number; readonly authLen: number };
  export type MacInfo = { readonly len: number };
  export const CIPHER_INFO: Readonly<Record<string, CipherInfo>>;
  export const MAC_INFO: Readonly<Record<string, MacInfo>>;
  export function createCipher(config: {
    outbound: {
      onWrite: (bytes: Uint8Array) => void;
      seqno: number;
      cipherInfo: CipherInfo;
      cipherIV: Buffer;
      cipherKey: Buffer;
      macInfo?: MacInfo;
      macKey?: Buffer;
    };
  }): Cipher;
  export function createDecipher(config: {
    inbound: {
      onPayload: (payload: Buffer) => number | false | undefined;
      seqno: number;
      decipherInfo: CipherInfo;
      decipherIV: Buffer;
      decipherKey: Buffer;
      macInfo?: MacInfo;
      macKey?: Buffer;
    };
  }): Decipher;
}

declare module "ssh2/lib/protocol/crypto/poly1305.js" {
  namespace createPoly1305 {
    /** What emscripten makes of C. */
    type Poly1305 = {
      readonly HEAPU8: Uint8Array;
      _malloc(bytes: number): number;
      cwrap(name: string, result: null, types: readonly string[]): (...values: (number | Uint8Array)[]) => void;
    };
  }
  function createPoly1305(): Promise<createPoly1305.Poly1305>;
  export = createPoly1305;
}

declare module "ssh2/lib/protocol/keyParser.js" {
  import type { ParsedKey } from "ssh2";

  /** The whole of ssh2, which exports it too, brings HTTP along, and every command would load that. */
  export function parseKey(text: string): ParsedKey | Error;
}

declare module "ssh2/lib/protocol/utils.js" {
  import type Protocol from "ssh2/lib/protocol/Protocol.js";

  /** `bypass`: also while keys are exchanged. */
  export function sendPacket(protocol: Protocol, packet: Buffer, bypass?: boolean): boolean;
}

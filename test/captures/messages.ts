/** Cuts captures into messages, and knows the decoder and the encoder of each kind, so that tests can go through all of them. */
import * as backend from "../../adapters/postgres/protocol/backend.ts";
import * as frontend from "../../adapters/postgres/protocol/frontend.ts";
import * as startup from "../../adapters/postgres/protocol/startup.ts";
import { BACKEND, FRONTEND } from "../../adapters/postgres/protocol/types.ts";
import { Framer } from "../../src/wire/framer.ts";
import { Writer } from "../../src/wire/writer.ts";
import type { Capture, Side } from "./postgres.ts";

export type CapturedMessage = {
  readonly from: Side;
  /** A key of CODECS. */
  readonly kind: string;
  /** Null for the first packet. */
  readonly type: number | null;
  readonly body: Uint8Array;
  /** With type and length. */
  readonly whole: Uint8Array;
};

/** A decoder, and the encoder that makes the whole message of its answer again. */
export type Codec = {
  readonly decode: (body: Uint8Array) => unknown;
  readonly recode: (body: Uint8Array) => Uint8Array;
};

function codec<Value>(decode: (body: Uint8Array) => Value, encode: (value: Value) => Uint8Array): Codec {
  return { decode, recode: (body) => encode(decode(body)) };
}

/** A message without fields: its body must be empty, which the limits say. */
function empty(type: number): Codec {
  return codec(
    (body) => body,
    (body) => new Writer().begin(type).raw(body).end().take(),
  );
}

/** By side and name. Every message of the protocol is here. */
export const CODECS: Readonly<Record<string, Codec>> = {
  "client startup": codec(startup.decodeStartup, (first) => {
    if (first.kind === "ssl") return startup.encodeSslRequest();
    if (first.kind === "gssenc") return startup.encodeGssEncRequest();
    if (first.kind === "cancel") return startup.encodeCancelRequest(first.processId, first.secret);
    return startup.encodeStartup(first.major * 65_536 + first.minor, first.parameters);
  }),
  "client query": codec(frontend.decodeQuery, frontend.encodeQuery),
  "client parse": codec(frontend.decodeParse, (parse) =>
    frontend.encodeParse(parse.name, parse.sql, parse.parameterTypes),
  ),
  "client bind": codec(frontend.decodeBind, frontend.encodeBind),
  "client describe": codec(frontend.decodeDescribe, ({ of, name }) => frontend.encodeDescribe(of, name)),
  "client close": codec(frontend.decodeClose, ({ of, name }) => frontend.encodeClose(of, name)),
  "client execute": codec(frontend.decodeExecute, ({ portal, rowsMax }) => frontend.encodeExecute(portal, rowsMax)),
  "client functionCall": codec(frontend.decodeFunctionCall, frontend.encodeFunctionCall),
  "client copyData": codec((body) => body, frontend.encodeCopyData),
  "client copyDone": empty(FRONTEND.copyDone),
  "client copyFail": codec(frontend.decodeCopyFail, frontend.encodeCopyFail),
  "client sync": empty(FRONTEND.sync),
  "client flush": empty(FRONTEND.flush),
  "client terminate": empty(FRONTEND.terminate),
  "client password": codec(frontend.decodePassword, frontend.encodePassword),
  "client saslInitialResponse": codec(frontend.decodeSaslInitialResponse, ({ mechanism, response }) =>
    frontend.encodeSaslInitialResponse(mechanism, response),
  ),
  "client saslResponse": codec(frontend.decodeSaslResponse, frontend.encodeSaslResponse),
  "server authentication": codec(backend.decodeAuthentication, encodeAuthentication),
  "server parameterStatus": codec(backend.decodeParameterStatus, ({ name, value }) =>
    backend.encodeParameterStatus(name, value),
  ),
  "server backendKeyData": codec(backend.decodeBackendKeyData, ({ processId, secret }) =>
    backend.encodeBackendKeyData(processId, secret),
  ),
  "server readyForQuery": codec(backend.decodeReadyForQuery, backend.encodeReadyForQuery),
  "server commandComplete": codec(backend.decodeCommandComplete, ({ tag }) => backend.encodeCommandComplete(tag)),
  "server error": codec(backend.decodeErrorFields, ({ fields }) => backend.encodeError(fields)),
  "server notice": codec(backend.decodeErrorFields, ({ fields }) => backend.encodeNotice(fields)),
  "server notification": codec(backend.decodeNotification, backend.encodeNotification),
  "server rowDescription": codec(backend.decodeRowDescription, backend.encodeRowDescription),
  "server parameterDescription": codec(backend.decodeParameterDescription, backend.encodeParameterDescription),
  "server dataRow": codec(backend.decodeDataRow, backend.encodeDataRow),
  "server copyIn": codec(backend.decodeCopyResponse, (response) => backend.encodeCopyResponse("copyIn", response)),
  "server copyOut": codec(backend.decodeCopyResponse, (response) => backend.encodeCopyResponse("copyOut", response)),
  "server copyBoth": codec(backend.decodeCopyResponse, (response) => backend.encodeCopyResponse("copyBoth", response)),
  "server copyData": codec((body) => body, frontend.encodeCopyData),
  "server copyDone": empty(BACKEND.copyDone),
  "server functionCallResponse": codec(backend.decodeFunctionCallResponse, backend.encodeFunctionCallResponse),
  "server negotiateProtocolVersion": codec(backend.decodeNegotiateProtocolVersion, ({ minor, unknownOptions }) =>
    backend.encodeNegotiateProtocolVersion(minor, unknownOptions),
  ),
  "server parseComplete": empty(BACKEND.parseComplete),
  "server bindComplete": empty(BACKEND.bindComplete),
  "server closeComplete": empty(BACKEND.closeComplete),
  "server noData": empty(BACKEND.noData),
  "server portalSuspended": empty(BACKEND.portalSuspended),
  "server emptyQuery": empty(BACKEND.emptyQuery),
};

function encodeAuthentication(answer: backend.Authentication): Uint8Array {
  if (answer.kind === "ok") return backend.encodeAuthenticationOk();
  if (answer.kind === "cleartext") return backend.encodeAuthenticationCleartext();
  if (answer.kind === "md5") return backend.encodeAuthenticationMd5(answer.salt);
  if (answer.kind === "sasl") return backend.encodeAuthenticationSasl(answer.mechanisms);
  if (answer.kind === "saslContinue") return backend.encodeAuthenticationSaslContinue(answer.data);
  if (answer.kind === "saslFinal") return backend.encodeAuthenticationSaslFinal(answer.data);
  return NO_ENCODER;
}

/** What recoding answers where weir has no encoder on purpose. */
export const NO_ENCODER = new Uint8Array(0);

/** A capture's messages, the client's before the server's. Throws when its bytes are no messages. */
export function messagesOf(capture: Capture): CapturedMessage[] {
  const { first, rest, upgradeRequests } = splitFirstPackets(streamOf(capture, "client"));
  // A server answers each upgrade request by one byte without a header.
  const answers = streamOf(capture, "server").subarray(upgradeRequests);
  const server = typed("server", answers, (type) => nameOf(BACKEND, type));
  const logins = loginKinds(server);
  const client = typed("client", rest, (type) =>
    type === FRONTEND.password ? (logins.shift() ?? "password") : nameOf(FRONTEND, type),
  );
  return [...first, ...client, ...server];
}

function streamOf(capture: Capture, side: Side): Uint8Array {
  return new Uint8Array(Buffer.concat(capture.chunks.filter(({ from }) => from === side).map(({ bytes }) => bytes)));
}

function splitFirstPackets(stream: Uint8Array): {
  first: CapturedMessage[];
  rest: Uint8Array;
  upgradeRequests: number;
} {
  const first: CapturedMessage[] = [];
  for (let at = 0, upgradeRequests = 0; ;) {
    const end = at + new DataView(stream.buffer, stream.byteOffset + at).getInt32(0);
    const body = stream.subarray(at + 4, end);
    first.push({ from: "client", kind: "client startup", type: null, body, whole: stream.subarray(at, end) });
    at = end;
    const { kind } = startup.decodeStartup(body);
    if (kind === "cancel" || kind === "startup") return { first, rest: stream.subarray(at), upgradeRequests };
    upgradeRequests++;
  }
}

function typed(from: Side, stream: Uint8Array, name: (type: number) => string): CapturedMessage[] {
  const framer = new Framer(() => Number.POSITIVE_INFINITY);
  framer.push(stream);
  const messages: CapturedMessage[] = [];
  for (let frame = framer.next(); frame !== null; frame = framer.next()) {
    const { type, body, raw } = frame;
    messages.push({ from, kind: `${from} ${name(type)}`, type, body, whole: raw });
  }
  if (framer.bufferedBytes > 0) throw new Error(`a capture ends in the middle of a message of the ${from}'s`);
  return messages;
}

/** What the client's password messages are, in order: the server's requests say it. */
function loginKinds(server: readonly CapturedMessage[]): string[] {
  return server
    .filter(({ type }) => type === BACKEND.authentication)
    .flatMap(({ body }) => {
      const { kind } = backend.decodeAuthentication(body);
      if (kind === "cleartext" || kind === "md5") return ["password"];
      if (kind === "sasl") return ["saslInitialResponse"];
      return kind === "saslContinue" ? ["saslResponse"] : [];
    });
}

function nameOf(types: Readonly<Record<string, number>>, type: number): string {
  const found = Object.entries(types).find(([, value]) => value === type);
  if (found === undefined) throw new Error(`no message has the type ${type}`);
  return found[0];
}

/** What clients ask about forwards, as its messages have it: RFC 4254, section 7, and OpenSSH's PROTOCOL, section 2.4. */
import type { Refusal } from "../../../src/core/decision.ts";
import type { ChannelTable, GlobalAsked, OpenAsked } from "../channel-table.ts";
import { FieldWriter } from "../protocol/fields.ts";
import { OPEN_FAILURE } from "../protocol/messages.ts";
import { refusalLine } from "../refuse.ts";
import { ServedChannel } from "../served-channel.ts";
import type { ServiceOpener } from "./client-service.ts";
import type { ClientOpener, Forwards } from "./forwards.ts";

const HOST_BYTES_MAX = 1_024;
const PATH_BYTES_MAX = 4_096;
const NOTHING = new Uint8Array(0);

/** Something that a client asks of its forwards; a refusal where there are none, because it has no session. */
type Asking = (forwards: Forwards) => void;

/** Serves a client that wants to open a channel; false: this is no forward. Throws on what breaks the protocol. */
export function openForward(asked: OpenAsked, ready: Promise<Forwards | Refusal>): boolean {
  const reject = (no: Refusal): void => {
    const reason = no.code === "target_unavailable" ? OPEN_FAILURE.connectFailed : OPEN_FAILURE.prohibited;
    asked.reject(reason, refusalLine(no));
  };
  const asking = channelAsked(asked, reject);
  if (asking === null) return false;
  void ready.then((forwards) => ("code" in forwards ? reject(forwards) : asking(forwards)));
  return true;
}

/** Serves a request about the whole connection; false: this is about no forward. Throws on what breaks the protocol. */
export function askForward(asked: GlobalAsked, ready: Promise<Forwards | Refusal>): boolean {
  const asking = requestAsked(asked);
  if (asking === null) return false;
  void ready.then((forwards) => ("code" in forwards ? asked.reply(null) : asking(forwards)));
  return true;
}

function channelAsked(asked: OpenAsked, reject: (no: Refusal) => void): Asking | null {
  const { type, fields } = asked;
  const opening = { accept: () => new ServedChannel(asked.accept(true)), reject };
  switch (type) {
    case "direct-tcpip": {
      const place = { host: fields.utf8(HOST_BYTES_MAX), port: fields.u32() };
      const originator = { address: fields.utf8(HOST_BYTES_MAX), port: fields.u32() };
      return (forwards) => forwards.directTcpip(place, originator, opening);
    }
    case "direct-streamlocal@openssh.com": {
      const path = fields.utf8(PATH_BYTES_MAX);
      return (forwards) => forwards.directStreamlocal(path, opening);
    }
    default:
      return null;
  }
}

function requestAsked(asked: GlobalAsked): Asking | null {
  const { type, fields } = asked;
  const answer = (isDone: boolean): void => asked.reply(isDone ? NOTHING : null);
  switch (type) {
    case "tcpip-forward": {
      const place = { host: fields.utf8(HOST_BYTES_MAX), port: fields.u32() };
      return (forwards) =>
        forwards.tcpipForward(place, (port) => {
          if (port === null || place.port !== 0) answer(port !== null);
          else asked.reply(new FieldWriter().u32(port).take());
        });
    }
    case "cancel-tcpip-forward": {
      const place = { host: fields.utf8(HOST_BYTES_MAX), port: fields.u32() };
      return (forwards) => forwards.cancelTcpipForward(place, answer);
    }
    case "streamlocal-forward@openssh.com": {
      const path = fields.utf8(PATH_BYTES_MAX);
      return (forwards) => forwards.streamlocalForward(path, answer);
    }
    case "cancel-streamlocal-forward@openssh.com": {
      const path = fields.utf8(PATH_BYTES_MAX);
      return (forwards) => forwards.cancelStreamlocalForward(path, answer);
    }
    default:
      return null;
  }
}

/** Opens the channels of connections that have come to where a target listens. */
export function clientOpener(table: ChannelTable): ClientOpener {
  return {
    forwardedTcpip: async (host, port, { address, port: from }) => {
      const fields = new FieldWriter().string(host).u32(port).string(address).u32(from).take();
      return new ServedChannel(await table.open("forwarded-tcpip", fields));
    },
    forwardedStreamlocal: async (path) => {
      const fields = new FieldWriter().string(path).string("").take();
      return new ServedChannel(await table.open("forwarded-streamlocal@openssh.com", fields));
    },
  };
}

/** Opens the channels of what has connected to the client's agent or X server. */
export function serviceOpener(table: ChannelTable): ServiceOpener {
  return {
    agent: async () => new ServedChannel(await table.open("auth-agent@openssh.com", NOTHING)),
    x11: async ({ address, port }) =>
      new ServedChannel(await table.open("x11", new FieldWriter().string(address).u32(port).take())),
  };
}

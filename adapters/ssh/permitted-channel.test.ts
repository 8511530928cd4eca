/** Tests of what a target says about how a command ended. */
import { expect, test } from "bun:test";
import type { Exit } from "./channels.ts";
import { PermittedChannel } from "./permitted-channel.ts";
import { FieldReader, FieldWriter } from "./protocol/fields.ts";
import { SshChannel } from "./ssh-channel.ts";
import { ProtocolError } from "./transport.ts";
import { WindowBudget } from "./window-budget.ts";

/** What is heard of a target that says these things about an end, in its order. */
function exitsOf(...said: readonly (readonly [string, FieldWriter])[]): readonly Exit[] {
  const windows = new WindowBudget();
  const carrier = { isWritable: true, windows, send() {}, sendData() {}, waits() {}, forget() {}, broken() {} };
  const channel = new SshChannel(carrier, 0, { id: 1, window: 0, packetBytesMax: 1_000 }, true, windows.grant(0));
  const permitted = new PermittedChannel(channel, { require() {} });
  const exits: Exit[] = [];
  permitted.onExit((exit) => exits.push(exit));
  permitted.onData(() => {});
  for (const [type, fields] of said) {
    channel.receivedRequest({ type, fields: new FieldReader(fields.take()), reply() {} });
  }
  return exits;
}

const status = (value: number): FieldWriter => new FieldWriter().u32(value);
const signal = (name: string): FieldWriter => new FieldWriter().string(name).bool(false).string("").string("");

test("the first word about an end counts", () => {
  expect(exitsOf(["exit-status", status(3)], ["exit-status", status(0)], ["exit-signal", signal("KILL")])).toEqual([
    { kind: "status", status: 3 },
  ]);
});

test("a signal is named as signals are, so that logs and people can be told of it", () => {
  for (const name of ["KILL", "SEGV", "RTMIN+1", "sig@example.com"]) {
    expect(exitsOf(["exit-signal", signal(name)])).toMatchObject([{ kind: "signal", signal: name }]);
  }
  for (const name of ["KILL\u001b[2J", "KILL\n", "A B", "\u00c4"]) {
    expect(() => exitsOf(["exit-signal", signal(name)])).toThrow(ProtocolError);
  }
});

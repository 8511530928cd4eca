/** Before a log goes on: everybody is asked, and only the operator's word sets it aside. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../../test/servers/free-port.ts";
import { AuditLog } from "./audit.ts";
import { newSigner } from "./note.ts";
import { startOfLog } from "./start-of-log.ts";
import { WitnessClient } from "./witness-client.ts";
import { serveWitness, type ServedWitness } from "./witness-server.ts";
import { WitnessStore } from "./witness-store.ts";
import { openWitnessedLog, type WitnessedLog, type WitnessedLogParts } from "./witnessed-log.ts";
import { Witness } from "./witness.ts";

const ORIGIN = "gw.test.example";
const clock = { now: Date.now };
const { signer } = newSigner("w.test.example", "cosignature");
let top: string;
let older: string;
let store: WitnessStore;
let served: ServedWitness;
let address: { readonly url: string; readonly key: string };

async function open(folder: string, more: Partial<WitnessedLogParts> = {}): Promise<WitnessedLog> {
  return openWitnessedLog({
    folder,
    name: ORIGIN,
    clock,
    witnesses: [address],
    witnessLagMsMax: null,
    stamps: null,
    places: [],
    acceptLoss: false,
    options: {},
    say: () => {},
    ...more,
  });
}

/** A folder that was copied before a witness has seen more of its log. */
beforeEach(async () => {
  top = mkdtempSync(join(tmpdir(), "weir-start-"));
  older = join(top, "older");
  const folder = join(top, "data");
  const log = await AuditLog.open({ folder, origin: ORIGIN, clock, checkpointMs: 5 });
  await log.waitDurable(log.event("token.created", { token: "t" }));
  await log.close();
  cpSync(folder, older, { recursive: true });
  store = new WitnessStore(join(top, "witness"));
  const logs = [readFileSync(join(folder, "log.vkey"), "utf8").trim()];
  const witness = new Witness({ signer, logs, store, clock, say: () => {} });
  // Nobody else's while the witness is away.
  served = serveWitness(witness, { host: "127.0.0.1", port: await freePort(), tls: null });
  address = { url: `http://127.0.0.1:${served.port}`, key: signer.verifier.vkey };
  const { audit, close } = await open(folder);
  await audit.waitDurable(audit.event("token.revoked", { token: "t" }));
  await close();
});
afterEach(async () => {
  await served.stop();
  store.close();
  rmSync(top, { recursive: true, force: true });
});

test.each([true, false])("a mark that says that a loss was accepted sets no log aside (moved: %p)", async (isMoved) => {
  leaveMark(isMoved);
  const before = readdirSync(older);
  const start = startOfLog({
    folder: older,
    name: ORIGIN,
    witnesses: [new WitnessClient(address)],
    places: [],
    acceptLoss: false,
    say: () => {},
  });
  await expect(start).rejects.toThrow("somebody has left its mark");
  expect(readdirSync(older)).toEqual(before);
});

test("where the loss is accepted and a mark says that it was before, everybody is asked all the same", async () => {
  leaveMark(true);
  const said: string[] = [];
  const accepted = await open(older, { acceptLoss: true, say: (line) => said.push(line) });
  await accepted.close();
  expect(said).toContainEqual(
    expect.stringMatching(/^accepted as lost: the witness w.test.example .* has seen 6 entries/u),
  );
});

test("an older copy that nobody could tell at the start does no work from when its witness is back, until the loss is accepted", async () => {
  const { port } = served;
  const witness = new Witness({ signer, logs: [keyOf(older)], store, clock, say: () => {} });
  await served.stop();
  const said: string[] = [];
  const begun = await open(older, { say: (line) => said.push(line) });
  expect(said).toEqual([expect.stringContaining("whether the log is whole cannot be asked")]);
  expect(begun.cosigning?.hold).toBeNull();
  served = serveWitness(witness, { host: "127.0.0.1", port, tls: null });
  while (begun.cosigning?.hold === null) await Bun.sleep(5);
  expect(begun.cosigning?.hold).toContain("or started it with --accept-loss");
  await begun.close();

  await expect(open(older)).rejects.toThrow("the witness w.test.example");
  const accepted = await open(older, { acceptLoss: true });
  while (accepted.cosigning?.status.witnesses[0]?.problem === null) await Bun.sleep(5);
  // The witness does not know the new key; that is no loss.
  expect(accepted.cosigning?.hold).toBeNull();
  await accepted.close();
});

function leaveMark(isMoved: boolean): void {
  const mark = { oldOrigin: ORIGIN, oldSize: 1, oldRoot: "00", seen: [], newOrigin: ORIGIN, aside: "audit.lost-2" };
  writeFileSync(join(older, "audit.new-origin"), JSON.stringify({ ...mark, isMoved }));
}

function keyOf(folder: string): string {
  return readFileSync(join(folder, "log.vkey"), "utf8").trim();
}

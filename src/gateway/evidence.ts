/** The log with all that keeps it: witnesses and time stamps, copies and streams elsewhere, and the index for searching. */
import type { WitnessedLog } from "../audit/witnessed-log.ts";
import { openWitnessedLog } from "../audit/witnessed-log.ts";
import { BackgroundIndexer } from "../audit/search/background.ts";
import { KeptCopies } from "../audit/ship/kept-copies.ts";
import { seenByCopies } from "../audit/ship/seen-by-copies.ts";
import { KeptStreams } from "../audit/streams/kept-streams.ts";
import type { GatewayParts } from "./parts.ts";
import { deferEnd } from "./within-time.ts";

export type KeptEvidence = {
  readonly log: WitnessedLog;
  readonly copies: KeptCopies;
  readonly streams: KeptStreams;
};

/** Opens the log and recovers it; what closes it again is put on `stack`. Rejects with a sentence for people. */
export async function openEvidence(
  { config, clock, version, acceptLoss, say }: GatewayParts,
  isTimeKnown: () => boolean,
  stack: AsyncDisposableStack,
): Promise<KeptEvidence> {
  const { audit: settings, data: folder, name } = config;
  // Copies and streams end after the log, so that they get its last entries too.
  const copies = new KeptCopies({ folder, places: settings.ship, say });
  deferEnd(stack, "the copies of the log", async () => copies.stop());
  const streams = new KeptStreams({ folder, places: settings.streams, source: { gateway: name, version }, say });
  deferEnd(stack, "the streams of the log", async () => streams.stop());

  const log = await openWitnessedLog({
    folder,
    name,
    clock,
    witnesses: settings.witnesses,
    witnessLagMsMax: settings.witnessLagMsMax,
    stamps: settings.stamps,
    places: seenByCopies(folder, name, settings.ship),
    acceptLoss: acceptLoss === true,
    options: {
      intentsAreAwaited: settings.durability !== "relaxed",
      retentionMs: settings.retentionMs,
      isTimeKnown,
    },
    say,
  });
  deferEnd(stack, "the log", async () => log.close());
  copies.start(log.audit);
  await streams.start(log.audit);

  const indexer = new BackgroundIndexer(folder, say);
  deferEnd(stack, "the search index", async () => indexer.stop());
  return { log, copies, streams };
}

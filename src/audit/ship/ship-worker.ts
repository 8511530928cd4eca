/**
 * The shipper, a Worker: reads the log beside its writer and copies it to where the configuration says. It holds no
 * locks, and asks the system to let everything else go first.
 */
import { setPriority } from "node:os";
import { parentPort, workerData } from "node:worker_threads";
import { Courier } from "./courier.ts";
import type { Destination } from "./destination.ts";
import { LibsqlCopy } from "./libsql-copy.ts";
import { readShipSettings, type ShipperMessage } from "./messages.ts";
import { S3Copy } from "./s3-copy.ts";
import { FolderSource } from "./source.ts";

/** Nice enough that the gateway and the log's writer go first wherever there are not enough processors. */
const NICENESS = 10;

function tell(message: ShipperMessage): void {
  parentPort?.postMessage(message);
}

async function run(): Promise<void> {
  // On Linux it is this thread's alone; elsewhere it would be the whole gateway's.
  if (process.platform === "linux") setPriority(0, NICENESS);
  const { folder, places } = readShipSettings(workerData);
  const destinations: Destination[] = [];
  if (places.libsql !== null) destinations.push(new LibsqlCopy(places.libsql));
  if (places.s3 !== null) destinations.push(new S3Copy(places.s3));

  const finishing = Promise.withResolvers<void>();
  const pause = async (durationMs: number): Promise<void> => {
    const over = Promise.withResolvers<void>();
    const timer = setTimeout(() => over.resolve(), durationMs);
    await Promise.race([over.promise, finishing.promise]);
    clearTimeout(timer);
  };
  const source = new FolderSource(folder);
  const couriers = destinations.map(
    (destination) => new Courier({ destination, source, tell, pause, random: Math.random }),
  );
  parentPort?.once("message", () => {
    for (const courier of couriers) courier.finish();
    finishing.resolve();
  });
  await Promise.all(couriers.map(async (courier) => courier.run()));
  source.close();
  tell({ kind: "finished" });
  parentPort?.close();
}

await run();

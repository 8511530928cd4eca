/** How much a gateway holds that is no garbage: measured after collections, so that a leak shows in few sessions. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export type LiveHeap = {
  /** For the gateway that is to be measured. */
  readonly env: Readonly<Record<string, string>>;
  /** Bytes that are alive in its main thread now, with what belongs to objects outside of the heap. */
  bytes(): Promise<number>;
  /** When the gateway has ended. */
  remove(): void;
};

/** One for each gateway. */
export function liveHeap(): LiveHeap {
  const folder = mkdtempSync(join(tmpdir(), `weir-test-heap-${process.pid}-`));
  const socket = join(folder, "probe");
  return {
    env: { BUN_OPTIONS: `--preload ${join(import.meta.dir, "heap-probe.ts")}`, HEAP_PROBE: socket },
    bytes: async () => Number(await (await fetch("http://gateway/", { unix: socket })).text()),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** Preloaded into a gateway: tells whoever asks how much of the main thread's heap is alive. */
import { heapStats } from "bun:jsc";

/** What the first collection finalizes may let go of more. */
const COLLECTIONS = 3;

const socket = process.env["HEAP_PROBE"];
// Only the gateway itself has the socket, not what it starts.
if (socket !== undefined && process.argv.includes("up")) {
  Bun.serve({
    unix: socket,
    fetch: async () => {
      for (let done = 0; done < COLLECTIONS; done++) {
        Bun.gc(true);
        await Bun.sleep(0);
      }
      return new Response(String(heapStats().heapSize));
    },
  }).unref();
}

/** A writer that says that it serves and then does nothing, until it is told that another has taken over. */
import { parentPort, workerData } from "node:worker_threads";
import { readSettings } from "../../src/audit/messages.ts";
import { ORDER_SERVE, SharedRing, STATE_SERVING } from "../../src/audit/ring.ts";

const ring = new SharedRing(readSettings(workerData).buffer);
ring.state = STATE_SERVING;
parentPort?.postMessage({ kind: "serving", origin: "test", vkey: "", checkpoint: { size: 0, note: "" } });
while (ring.order === ORDER_SERVE) ring.sleep(ring.head, 50);

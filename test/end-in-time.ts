/** Ends that somebody else has a part in, a server or a client, are waited for so long at most, and named when they do not come. */
import { withinTime } from "../src/gateway/within-time.ts";

/** Of connections and sockets; below what a hook of a test may take, with others in it. */
const END_TIME_MS_MAX = 30_000;

/** Settles as `end` does; rejects when that takes too long. */
export async function endInTime<T>(what: string, end: Promise<T>, timeMsMax = END_TIME_MS_MAX): Promise<T> {
  return withinTime(end, timeMsMax, `${what} did not end within ${timeMsMax} ms`);
}

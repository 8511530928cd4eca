/** The addresses of a host, as this machine's resolver gives them. */
import { lookup } from "node:dns/promises";

/** Empty: there is no such name. Rejects when that cannot be found out, and when it takes longer than `timeMsMax`. */
export async function resolveHost(host: string, timeMsMax: number): Promise<readonly string[]> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`no answer within ${timeMsMax} ms`)), timeMsMax);
  try {
    const found = await Promise.race([lookup(host, { all: true }), late.promise]);
    return found.map(({ address }) => address);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOTFOUND") return [];
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

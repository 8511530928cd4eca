/** A libSQL server (sqld or Turso) over HTTP: whole batches or nothing, in bounded time and memory, errors in words for people. */
import { type Client, createClient, type InStatement, LibsqlError, type ResultSet } from "@libsql/client/http";
import { boundedFetch, CopyForked, ShipError } from "./bounded-fetch.ts";

export type ServerPlace = { readonly url: string; readonly token: string | null };

/** Of one answer. */
const ANSWER_BYTES_MAX = 16 * 1024 * 1024;

export class LibsqlConnection {
  /** For people: without secrets. */
  readonly where: string;
  readonly #client: Client;

  constructor(place: ServerPlace) {
    const url = new URL(place.url);
    this.where = `${url.protocol}//${url.host}${url.pathname === "/" ? "" : url.pathname}`;
    this.#client = createClient({
      url: place.url,
      ...(place.token === null ? {} : { authToken: place.token }),
      intMode: "number",
      fetch: send,
    });
  }

  /** Runs statements in one transaction. Throws ShipError, CopyForked when one is refused because another entry is there. */
  async write(statements: readonly InStatement[]): Promise<readonly ResultSet[]> {
    return this.#try(async () => this.#client.batch([...statements], "write"));
  }

  async read(sql: string, args: readonly (string | number)[] = []): Promise<ResultSet> {
    return this.#try(async () => this.#client.execute({ sql, args: [...args] }));
  }

  close(): void {
    this.#client.close();
  }

  async #try<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof ShipError) throw error;
      const message = error instanceof Error ? error.message : String(error);
      if (message.includes("weir: another entry is there")) {
        throw new CopyForked("another entry is there at an index of this log", { cause: error });
      }
      if (message.includes("status 401") || message.includes("status 403")) {
        throw new ShipError("the server does not accept the token", { cause: error });
      }
      const what = error instanceof LibsqlError || error instanceof Error ? message : "an error without words";
      throw new ShipError(`the server did not do it: ${what.slice(0, 500)}`, { cause: error });
    }
  }
}

/** What the client sends its requests with. */
async function send(request: Request): Promise<Response> {
  const body = request.method === "POST" ? { body: await request.arrayBuffer() } : {};
  const { method, headers, url } = request;
  const answer = await boundedFetch(url, { method, headers, ...body }, { bytesMax: ANSWER_BYTES_MAX });
  const type = answer.headers.get("content-type");
  return new Response(answer.body, { status: answer.status, headers: type === null ? {} : { "content-type": type } });
}

/** A number of a row; throws ShipError when there is none. */
export function numberAt(row: readonly unknown[] | undefined, column: number): number {
  const value = row?.[column];
  if (typeof value !== "number") throw new ShipError("the server's answer is not what was asked for");
  return value;
}

/** Bytes of a row; throws ShipError when there are none. */
export function bytesAt(row: readonly unknown[] | undefined, column: number): Uint8Array {
  const value = row?.[column];
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  if (value instanceof Uint8Array) return value;
  throw new ShipError("the server's answer is not what was asked for");
}

/** The values of a row in the order of its columns. */
export function valuesOf(result: ResultSet | undefined): readonly (readonly unknown[])[] {
  return (result?.rows ?? []).map((row) => result?.columns.map((_, at) => row[at]) ?? []);
}

/** A connection for the catalog loader's tests: text rows from a real server, through a client library. */
import postgres from "postgres";
import type { PostgresServer } from "./postgres.ts";

export type TestCatalogSource = {
  query(sql: string): Promise<readonly (readonly (string | null)[])[]>;
  close(): void;
  /** What was asked so far. */
  readonly asked: readonly string[];
};

/** Connects with an empty search_path, unless another is given. Rejects when the server cannot be reached. */
export async function connectCatalog(
  server: PostgresServer,
  options: { readonly database?: string; readonly user?: string; readonly searchPath?: string } = {},
): Promise<TestCatalogSource> {
  const { database = "postgres", user = server.superuser, searchPath = "" } = options;
  const client = postgres({
    host: server.host,
    port: server.port,
    database,
    user,
    max: 1,
    fetch_types: false,
    onnotice: () => {},
    connection: { options: `-c search_path=${searchPath}` },
  });
  const asked: string[] = [];
  const query = async (sql: string): Promise<readonly (readonly (string | null)[])[]> => {
    asked.push(sql);
    // With several statements there are several results; one that returns no rows is an empty list.
    const results: readonly (readonly unknown[])[] = await client.unsafe(sql).simple().raw();
    const rows = results.flatMap((row) =>
      row.every(Array.isArray) ? row : [row],
    ) as readonly (readonly (Uint8Array | null)[])[];
    return rows.map((row) => row.map((value) => (value === null ? null : new TextDecoder().decode(value))));
  };
  await query("SELECT 1");
  asked.length = 0;
  return { query, asked, close: () => void client.end({ timeout: 0 }) };
}

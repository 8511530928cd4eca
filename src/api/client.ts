/** Talks to a running gateway through the socket in its data folder. */
import { existsSync } from "node:fs";
import * as v from "valibot";
import { socketPath } from "./data-folder.ts";
import type { ListenerStatus, Status, TokenOrder, TokenView } from "./house.ts";

const ANSWER_TIME_MS_MAX = 30_000;
/** Whether somebody is there at all is answered at once, or by nobody. */
const HEALTH_TIME_MS_MAX = 5_000;

/** The gateway answered that it cannot; the message is its own. */
class ApiError extends Error {
  readonly code = "API_ERROR";
}

const tokenSchema = v.object({
  id: v.string(),
  subject: v.string(),
  kind: v.picklist(["human", "agent", "service"]),
  groups: v.array(v.string()),
  owner: v.nullable(v.string()),
  created: v.string(),
  expires: v.nullable(v.string()),
  revoked: v.nullable(v.string()),
});

const listenersSchema = v.array(
  v.object({ adapter: v.string(), host: v.string(), port: v.number(), tls: v.boolean() }),
);

const statusSchema = v.object({
  name: v.string(),
  version: v.string(),
  pid: v.number(),
  started: v.string(),
  draining: v.boolean(),
  listeners: listenersSchema,
  sessions: v.number(),
  targets: v.array(v.object({ name: v.string(), adapter: v.string(), problem: v.nullable(v.string()) })),
  policy: v.object({ digest: v.string(), commit: v.nullable(v.string()), problems: v.array(v.string()) }),
  log: v.object({
    durability: v.string(),
    entries: v.number(),
    failure: v.nullable(v.string()),
    lastWitness: v.nullable(v.string()),
  }),
});

const errorSchema = v.object({ error: v.object({ message: v.string() }) });

export class ApiClient {
  readonly #path: string;

  private constructor(path: string) {
    this.#path = path;
  }

  /** Null when no gateway answers for this data folder. */
  static async connect(folder: string): Promise<ApiClient | null> {
    const path = socketPath(folder);
    if (!existsSync(path)) return null;
    const client = new ApiClient(path);
    try {
      await client.#ask("GET", "/api/v1/health", undefined, HEALTH_TIME_MS_MAX);
      return client;
    } catch (error) {
      if (error instanceof ApiError) throw error;
      return null;
    }
  }

  async status(): Promise<Status> {
    return v.parse(statusSchema, await this.#ask("GET", "/api/v1/status"));
  }

  /** Where it listens, with the ports it really has. */
  async listeners(): Promise<readonly ListenerStatus[]> {
    return v.parse(v.object({ listeners: listenersSchema }), await this.#ask("GET", "/api/v1/listeners")).listeners;
  }

  async listTokens(): Promise<readonly TokenView[]> {
    return v.parse(v.object({ tokens: v.array(tokenSchema) }), await this.#ask("GET", "/api/v1/tokens")).tokens;
  }

  async createToken(order: TokenOrder): Promise<{ readonly token: string; readonly record: TokenView }> {
    return v.parse(
      v.object({ token: v.string(), record: tokenSchema }),
      await this.#ask("POST", "/api/v1/tokens", order),
    );
  }

  /** Null when there is no token of that id. */
  async revokeToken(id: string): Promise<TokenView | null> {
    const tokens = await this.listTokens();
    if (!tokens.some((token) => token.id === id)) return null;
    return v.parse(
      v.object({ record: tokenSchema }),
      await this.#ask("POST", `/api/v1/tokens/${encodeURIComponent(id)}/revoke`),
    ).record;
  }

  async #ask(method: "GET" | "POST", path: string, body?: unknown, timeMsMax = ANSWER_TIME_MS_MAX): Promise<unknown> {
    const response = await fetch(`http://weir${path}`, {
      unix: this.#path,
      method,
      redirect: "manual",
      signal: AbortSignal.timeout(timeMsMax),
      ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
    });
    const answer: unknown = await response.json();
    if (response.ok) return answer;
    const error = v.safeParse(errorSchema, answer);
    throw new ApiError(error.success ? error.output.error.message : `the gateway answered ${response.status}`);
  }
}

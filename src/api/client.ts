/** Talks to a running gateway through the socket in its data folder. */
import { existsSync } from "node:fs";
import * as v from "valibot";
import { socketPath } from "./data-folder.ts";
import type {
  CustodyOrder,
  KillOrder,
  ListenerStatus,
  PrunedLog,
  RotatedLogKey,
  SessionView,
  Status,
  TokenOrder,
  TokenView,
} from "./house.ts";

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

const sessionSchema = v.object({
  id: v.string(),
  subject: v.string(),
  issuer: v.string(),
  kind: v.picklist(["human", "agent", "service"]),
  target: v.string(),
  adapter: v.string(),
  source: v.string(),
  through: v.nullable(v.object({ session: v.string(), operation: v.string() })),
  opened: v.string(),
});

const listenersSchema = v.array(
  v.object({
    adapter: v.string(),
    host: v.string(),
    port: v.number(),
    tls: v.boolean(),
    hostKey: v.exactOptional(v.string()),
  }),
);

const sizeAndTime = v.nullable(v.object({ size: v.number(), time: v.string() }));

const statusSchema = v.object({
  name: v.string(),
  version: v.string(),
  pid: v.number(),
  started: v.string(),
  draining: v.boolean(),
  listeners: listenersSchema,
  sessions: v.number(),
  clockSteppedByMs: v.nullable(v.number()),
  targets: v.array(v.object({ name: v.string(), adapter: v.string(), problem: v.nullable(v.string()) })),
  policy: v.object({ digest: v.string(), commit: v.nullable(v.string()), problems: v.array(v.string()) }),
  log: v.object({
    durability: v.string(),
    entries: v.number(),
    failure: v.nullable(v.string()),
    witnesses: v.array(
      v.object({ name: v.string(), url: v.string(), cosigned: sizeAndTime, problem: v.nullable(v.string()) }),
    ),
    cosigned: sizeAndTime,
    witnessLagMs: v.number(),
    held: v.nullable(v.string()),
    cosigner: v.nullable(v.string()),
    stamps: v.nullable(v.object({ url: v.string(), last: sizeAndTime, problem: v.nullable(v.string()) })),
  }),
  copies: v.array(
    v.object({
      destination: v.picklist(["libsql", "s3"]),
      where: v.string(),
      lagEntries: v.nullable(v.number()),
      lagSeconds: v.nullable(v.number()),
      failure: v.nullable(v.string()),
      caveat: v.nullable(v.string()),
    }),
  ),
  streams: v.array(
    v.object({
      stream: v.picklist(["syslog", "otlp"]),
      where: v.string(),
      behind: v.nullable(v.number()),
      dropped: v.number(),
      failure: v.nullable(v.string()),
    }),
  ),
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

  /** By how much the clock had been set that is now taken for right; null: it was right. */
  async confirmClock(): Promise<number | null> {
    return v.parse(v.object({ byMs: v.nullable(v.number()) }), await this.#ask("POST", "/api/v1/clock/confirm")).byMs;
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

  async listSessions(): Promise<readonly SessionView[]> {
    const answer = await this.#ask("GET", "/api/v1/sessions");
    return v.parse(v.object({ sessions: v.array(sessionSchema) }), answer).sessions;
  }

  /** Null when no session of that id is open. */
  async killSession(id: string, order: KillOrder): Promise<SessionView | null> {
    const sessions = await this.listSessions();
    if (!sessions.some((session) => session.id === id)) return null;
    const answer = await this.#ask("POST", `/api/v1/sessions/${encodeURIComponent(id)}/kill`, order);
    return v.parse(v.object({ session: sessionSchema }), answer).session;
  }

  /** Has the gateway record that somebody opens a sealed recording. */
  async recordUnsealing({ recording, by, reason }: CustodyOrder, keys: readonly string[]): Promise<void> {
    await this.#ask("POST", `/api/v1/recordings/${encodeURIComponent(recording)}/unsealed`, { by, reason, keys });
  }

  /** Null: there is no such recording; false: it has no key any more. */
  async shredRecording({ recording, by, reason }: CustodyOrder): Promise<boolean | null> {
    const answer = await this.#ask("POST", `/api/v1/recordings/${encodeURIComponent(recording)}/shred`, { by, reason });
    return v.parse(v.object({ shredded: v.nullable(v.boolean()) }), answer).shredded;
  }

  async rotateLogKey(): Promise<RotatedLogKey> {
    return v.parse(
      v.object({ oldKey: v.string(), newKey: v.string() }),
      await this.#ask("POST", "/api/v1/log/rotate-key"),
    );
  }

  async pruneLog(before: number): Promise<PrunedLog> {
    return v.parse(
      v.object({ first: v.number(), to: v.number(), entries: v.number() }),
      await this.#ask("POST", "/api/v1/log/prune", { before }),
    );
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

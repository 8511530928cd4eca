/** `weir token`: make, list and revoke the gateway's own tokens, with and without a running gateway. */
import { ApiClient } from "../api/client.ts";
import type { TokenOrder, TokenView } from "../api/house.ts";
import { AuditLog } from "../audit/audit.ts";
import type { Config } from "../config/config.ts";
import { parseDuration } from "../config/units.ts";
import { issueToken, revokeToken } from "../identity/issue.ts";
import { TokenStore } from "../identity/token-store.ts";
import { tokenView } from "../gateway/views.ts";
import { CommandError, CONFIG_OPTION, UsageError } from "./command.ts";
import type { Arguments, Command } from "./command.ts";
import { requireConfiguration } from "./configuration.ts";
import { lockedFolder } from "./locked-folder.ts";

const DEFAULT_EXPIRY = "90d";
const CLOCK = { now: () => Date.now() };

export const tokenCreateCommand: Command = {
  words: ["token", "create"],
  summary: "Make a token and print it once",
  positionals: [],
  options: [
    { name: "subject", value: "S", description: "who it is for: a-z, 0-9 and -" },
    { name: "kind", value: "KIND", description: "agent, human or service" },
    { name: "groups", value: "A,B", description: "the groups it carries" },
    { name: "owner", value: "O", description: "the person who answers for an agent" },
    { name: "expires", value: "TIME", description: `when it ends: 8h, 30d, or never; ${DEFAULT_EXPIRY} when left out` },
    CONFIG_OPTION,
  ],
  notes: [
    "The token alone goes to standard output; the log gets an entry. Works with and without a running gateway.",
    "",
    "  TOKEN=$(weir token create --subject bot --kind agent --owner ann --groups readers)",
    "",
    'JSON: {"token", "id", "subject", "kind", "groups", "owner", "created", "expires", "revoked"}',
  ],
  run: async (args, terminal) => {
    const order = readOrder(args);
    const config = requireConfiguration(args, terminal);
    const { token, record } = await withTokens(config, async (desk) => desk.create(order));
    if (args.isJson) {
      terminal.out(JSON.stringify({ token, ...record }));
    } else {
      terminal.out(token);
      if (terminal.isTerminal) terminal.err(`${describe(record)}. It is not shown again.`);
    }
    return 0;
  },
};

export const tokenListCommand: Command = {
  words: ["token", "list"],
  summary: "List the tokens; their secrets are not kept",
  positionals: [],
  options: [CONFIG_OPTION],
  notes: ['JSON, one line per token: {"id", "subject", "kind", "groups", "owner", "created", "expires", "revoked"}'],
  run: async (args, terminal) => {
    const config = requireConfiguration(args, terminal);
    const records = await withTokens(config, async (desk) => desk.list());
    for (const record of records) terminal.out(args.isJson ? JSON.stringify(record) : describe(record));
    if (records.length === 0 && !args.isJson) terminal.err("There are no tokens. weir token create makes one.");
    return 0;
  },
};

export const tokenRevokeCommand: Command = {
  words: ["token", "revoke"],
  summary: "End a token at once",
  positionals: [{ name: "ID", description: "the token's id, as weir token list shows it", kind: "required" }],
  options: [CONFIG_OPTION],
  notes: ['JSON: {"id", "subject", "kind", "groups", "owner", "created", "expires", "revoked"}'],
  run: async (args, terminal) => {
    const config = requireConfiguration(args, terminal);
    const id = args.required("ID");
    const record = await withTokens(config, async (desk) => desk.revoke(id));
    if (record === null) throw new CommandError(`there is no token ${id}`, "weir token list shows those there are.");
    terminal.out(args.isJson ? JSON.stringify(record) : describe(record));
    return 0;
  },
};

function readOrder(args: Arguments): TokenOrder {
  const kind = args.required("kind");
  if (kind !== "agent" && kind !== "human" && kind !== "service")
    throw new UsageError(`--kind is agent, human or service, not ${kind}`);
  const groups = (args.text("groups") ?? "").split(",").map((group) => group.trim());
  const expires = args.text("expires") ?? DEFAULT_EXPIRY;
  const duration = parseDuration(expires);
  if (expires !== "never" && !(duration.ok && duration.value > 0))
    throw new UsageError(`--expires is a time such as 8h or 30d, or never, not ${expires}`);
  return {
    subject: args.required("subject"),
    kind,
    groups: groups.filter((group) => group !== ""),
    owner: args.text("owner") ?? null,
    expiresInMs: expires !== "never" && duration.ok ? duration.value : null,
  };
}

function describe(record: TokenView): string {
  const groups = record.groups.length === 0 ? "no groups" : `groups ${record.groups.join(",")}`;
  const owner = record.owner === null ? "" : `, owner ${record.owner}`;
  const end =
    record.revoked === null
      ? record.expires === null
        ? "never expires"
        : `expires ${record.expires}`
      : `revoked ${record.revoked}`;
  return `${record.id}  ${record.kind} ${record.subject}, ${groups}${owner}, ${end}`;
}

type Desk = {
  create(order: TokenOrder): Promise<{ readonly token: string; readonly record: TokenView }>;
  list(): Promise<readonly TokenView[]>;
  revoke(id: string): Promise<TokenView | null>;
};

/** Goes through the running gateway; when there is none, to the store itself, which nobody else may use meanwhile. */
async function withTokens<T>(config: Config, work: (desk: Desk) => Promise<T>): Promise<T> {
  const gateway = await ApiClient.connect(config.data);
  if (gateway !== null) {
    return work({
      create: async (order) => gateway.createToken(order),
      list: async () => gateway.listTokens(),
      revoke: async (id) => gateway.revokeToken(id),
    });
  }
  await using stack = new AsyncDisposableStack();
  const lock = lockedFolder(config.data);
  stack.defer(() => lock.release());
  const store = TokenStore.open(config.data);
  stack.defer(() => store.close());
  const openLog = async (): Promise<AuditLog> => {
    const log = await AuditLog.open({ folder: config.data, origin: config.name, clock: CLOCK });
    stack.defer(async () => log.close());
    return log;
  };
  return await work({
    create: async (order) => {
      // Opened before anything is made: what cannot be recorded does not happen.
      const log = await openLog();
      const now = CLOCK.now();
      const { expiresInMs, ...rest } = order;
      const wanted = { ...rest, expiresAtMs: expiresInMs === null ? null : now + expiresInMs };
      const made = await issueToken(store, log, wanted, "command line", now);
      return { token: made.text, record: tokenView(made.record) };
    },
    list: async () => store.list().map(tokenView),
    revoke: async (id) => {
      const record = await revokeToken(store, openLog, id, "command line", CLOCK.now());
      return record === null ? null : tokenView(record);
    },
  });
}

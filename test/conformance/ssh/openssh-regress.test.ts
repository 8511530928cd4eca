/**
 * OpenSSH's own regression scripts with a gateway between client and server end as they are listed to. An ordinary run
 * takes the quick ones through the gateway; WEIR_TEST_LONG (`./dev test --long`) takes all, and directly too.
 */
import { Database } from "bun:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { scanHostKey } from "../../e2e/ssh/roads.ts";
import { type Gateway, startGateway } from "../../gateway.ts";
import { installedScripts, missingForRegress, OpensshRegress } from "./openssh-regress.ts";
import { HARNESS, LEFT_OUT, type Script, SCRIPTS } from "./openssh-scripts.ts";

const IS_LONG = process.env["WEIR_TEST_LONG"] !== undefined;
const SCRIPT_TIME_MS_MAX = IS_LONG ? 1_200_000 : 300_000;

const ownAddress =
  Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find(({ family, internal }) => family === "IPv4" && !internal)?.address ?? null;

/** No forward may lead to a loopback address: without another one there is nowhere to forward to. */
const NEEDS_ADDRESS = new Set(["forwarding", "forward-control", "dynamic-forward", "multiplex", "cfgmatch"]);

const WANTED = SCRIPTS.filter(({ name, isQuick }) => {
  return (IS_LONG || isQuick === true) && (ownAddress !== null || !NEEDS_ADDRESS.has(name));
});

/** Runs a script and expects of it what is listed. */
async function expectVerdict(regress: OpensshRegress, name: Script["name"], wanted: Script["through"]): Promise<void> {
  const { verdict, output } = await regress.run(name, SCRIPT_TIME_MS_MAX);
  const said = verdict === wanted ? "" : `${output}\n${regress.logs().slice(-20_000)}`;
  expect({ verdict, said }).toEqual({ verdict: wanted, said: "" });
}

// The package openssh-tests is in Debian and its like only.
describe.skipIf(missingForRegress() !== null)("through the gateway", () => {
  let regress: OpensshRegress;
  let gateway: Gateway;
  beforeAll(async () => {
    regress = await OpensshRegress.prepare(ownAddress);
    const { user, privateKey, clientKeys, hostKeys, ports } = regress;
    const target = (port: number): object => ({
      ssh: { host: "127.0.0.1", port, user, key: privateKey, hostKeys, shell: "posix" },
    });
    gateway = await startGateway({
      ssh: { host: "127.0.0.1", port: ports.proxied, user, privateKey, hostKeys },
      targets: { proxied: target(ports.proxied), listening: target(ports.listening) },
      keys: clientKeys.map((publicKey) => ({ subject: "ann", publicKey })),
      limits: { sessionsPerSubjectMax: 1_000 },
    });
    const hostKey = await scanHostKey(gateway.host, gateway.sshPort);
    await regress.goThrough({ port: gateway.sshPort, hostKey });
  }, 240_000);
  afterAll(async () => {
    await gateway?.stop();
    await regress?.stop();
  });

  for (const { name, through } of WANTED) {
    test(
      name,
      async () => {
        const before = sessionsOf(gateway);
        await expectVerdict(regress, name, through);
        // Nobody else can log in to the servers; whoever did was recorded here.
        expect(sessionsOf(gateway)).toBeGreaterThan(before);
      },
      SCRIPT_TIME_MS_MAX + 30_000,
    );
  }

  test(
    "nobody logs in past it",
    async () => {
      regress.goPast();
      expect((await regress.run("transfer", SCRIPT_TIME_MS_MAX)).verdict).toBe("failed");
      expect(regress.logs()).toMatch(/Too many authentication failures|Permission denied/u);
    },
    SCRIPT_TIME_MS_MAX + 30_000,
  );
});

// What a script does directly is known, and takes as long again.
describe.skipIf(!IS_LONG || missingForRegress() !== null)("directly", () => {
  let regress: OpensshRegress;
  beforeAll(async () => {
    regress = await OpensshRegress.prepare(ownAddress);
  }, 240_000);
  afterAll(async () => regress?.stop());

  for (const { name, direct } of WANTED) {
    test(name, async () => expectVerdict(regress, name, direct), SCRIPT_TIME_MS_MAX + 30_000);
  }
});

// Other versions have other scripts.
test.skipIf(missingForRegress() !== null || !isVersion("OpenSSH_9.2"))("every script has its place", () => {
  const places = [...SCRIPTS.map(({ name }) => name), ...Object.keys(LEFT_OUT), ...HARNESS];
  expect(places.toSorted()).toEqual(installedScripts().toSorted());
});

function isVersion(wanted: string): boolean {
  return Bun.spawnSync(["ssh", "-V"]).stderr.toString().startsWith(wanted);
}

/** How many sessions were opened until now, as the log has them. */
function sessionsOf({ folder }: Gateway): number {
  const log = new Database(join(folder, "data", "audit.db"), { readonly: true });
  try {
    const leaves = log.query<{ leaf: string }, []>("SELECT CAST(leaf AS TEXT) AS leaf FROM entry").all();
    return leaves.filter(({ leaf }) => leaf.includes('"event":"operation.intent"') && leaf.includes('"kind":"connect"'))
      .length;
  } finally {
    log.close();
  }
}

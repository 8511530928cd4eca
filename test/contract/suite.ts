/** What the cases share: the target, gateways in front of it, tokens, sessions, and everything that anybody was told. */
import { type GatewayOptions, type Gateway, startGateway } from "../gateway.ts";
import type { AdapterHarness, Cause, ContractClient, ContractTarget, RefusedLogin } from "./harness.ts";
import { CLOSED, OPEN, policy } from "./policies.ts";

/** What the tests share: the target, a gateway in front of it, and everything that anybody was told. */
export class Suite {
  readonly harness: AdapterHarness;
  readonly said: string[] = [];
  readonly tokens: string[] = [];
  #target: ContractTarget | null = null;
  #gateway: Gateway | null = null;
  readonly #ownGateways = new Set<Gateway>();
  #marks = 0;

  constructor(harness: AdapterHarness) {
    this.harness = harness;
  }

  async start(): Promise<void> {
    this.#target = await this.harness.startTarget();
    this.#gateway = await this.startGateway();
  }

  async stop(): Promise<void> {
    for (const gateway of this.#ownGateways) await gateway.stop();
    await this.#target?.stop();
  }

  get target(): ContractTarget {
    if (this.#target === null) throw new Error("the target has not started");
    return this.#target;
  }

  /** The gateway that the tests share which leave it as it was. */
  get gateway(): Gateway {
    if (this.#gateway === null) throw new Error("the gateway has not started");
    return this.#gateway;
  }

  /** A gateway of a test's own; stopped at the latest with the suite. */
  async startGateway(options: GatewayOptions = {}): Promise<Gateway> {
    const { settings } = this.target;
    const gateway = await startGateway({
      targets: { [OPEN]: settings, [CLOSED]: settings },
      config: { listen: { postgres: { port: 0, tls: "off" }, [this.harness.adapter]: this.harness.listen } },
      policyFiles: policy(this.harness.actions),
      ...options,
    });
    this.#ownGateways.add(gateway);
    return gateway;
  }

  /** A word that has not been sent anywhere yet. */
  mark(): string {
    return `contract-mark-${++this.#marks}-${Math.random().toString(36).slice(2)}`;
  }

  async token(gateway: Gateway, subject: string): Promise<string> {
    const token = await gateway.token(subject);
    this.tokens.push(token);
    return token;
  }

  async tryLogin(gateway: Gateway, secret: string, target: string = OPEN): Promise<ContractClient | RefusedLogin> {
    const answer = await this.harness.connect(gateway, target, secret);
    if ("text" in answer) this.said.push(answer.text);
    return answer;
  }

  async connect(gateway: Gateway, secret: string): Promise<ContractClient> {
    const client = await this.tryLogin(gateway, secret);
    if ("text" in client) throw new Error(`the login was refused: ${client.code} ${client.text}`);
    return {
      ask: async (thing, mark) => {
        const answer = await client.ask(thing, mark);
        this.said.push(answer.kind === "answered" ? answer.value : answer.text);
        return answer;
      },
      ended: client.ended.then((told) => {
        if (told !== null) this.said.push(told.text);
        return told;
      }),
      close: () => client.close(),
    };
  }

  /** A session of a new token for this subject. */
  async session(gateway: Gateway, subject = "ann"): Promise<ContractClient> {
    return this.connect(gateway, await this.token(gateway, subject));
  }

  code(cause: Cause): string {
    return this.harness.codes[cause];
  }
}

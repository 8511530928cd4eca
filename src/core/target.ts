/** The systems behind the gateway, as the configuration names them. */

/** A system behind the gateway. `settings` is the adapter's own part of the configuration, already validated by it. */
export type Target = {
  readonly name: string;
  readonly adapter: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly settings: unknown;
};

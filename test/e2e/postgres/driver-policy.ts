/** The data and the policy that the tests of drivers share: everything is permitted, but for one table. */
import { policyFiles } from "./policed.ts";
import type { RoadsOptions } from "./roads.ts";

export const DRIVER_ROADS: RoadsOptions = {
  sql: `CREATE TABLE item (id serial PRIMARY KEY, name text, data jsonb, born timestamptz, tags text[]);
    CREATE TABLE closed (id int);
    CREATE TYPE mood AS ENUM ('sad', 'happy');`,
  reset: "TRUNCATE item RESTART IDENTITY; INSERT INTO item (name) VALUES ('one'), ('two'), (NULL)",
  gateway: {
    policyFiles: policyFiles(
      "  - { id: all, subject: { any: true }, target: { any: true }, action: { any: true }, allowOpaque: true }",
      "  - { id: closed-is-closed, action: { postgres: { relations: [public.closed] } }, deny: closed is closed }",
    ),
  },
};

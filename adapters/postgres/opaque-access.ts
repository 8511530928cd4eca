/** What stands for a statement that cannot be followed: it may do anything in its database. */
import { UNKNOWN, type Access } from "../../src/core/operation.ts";

export function opaqueAccess(database: string): Access {
  return {
    class: "administer",
    facts: {
      databases: [database],
      verbs: UNKNOWN,
      relations: UNKNOWN,
      columns: UNKNOWN,
      functions: UNKNOWN,
      unfiltered: UNKNOWN,
    },
    opaque: true,
  };
}

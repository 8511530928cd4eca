/** The words of HTTP that policy may use under `action.http`; README.md says which operation has which of them. */
import { OBLIGATION_KINDS } from "../../src/core/obligation.ts";
import type { Vocabulary } from "../../src/core/vocabulary.ts";

/** Of RFC 9110 and RFC 5789, without CONNECT and TRACE, which the adapter refuses. */
const METHODS = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"] as const;

export const HTTP_VOCABULARY: Vocabulary = {
  name: "http",
  keys: {
    methods: { kind: "enum", description: "Methods of requests.", values: METHODS },
    paths: {
      kind: "path",
      description: "Paths of requests, decoded and without dot segments and doubled slashes.",
      guardsIgnoreCase: true,
    },
    query: {
      kind: "fields",
      description: "Parameters of the query by name, each with the values that it may have.",
      guardsIgnoreCase: true,
    },
    fields: {
      kind: "fields",
      description: "Fields of a JSON body by name (`a.b` inside another), each with the values that it may have.",
      guardsIgnoreCase: true,
    },
    contains: {
      kind: "contains",
      description: "Texts that stand somewhere in the body, or $patterns that match a part of it.",
      guardsIgnoreCase: true,
    },
  },
  sets: {},
  keeps: OBLIGATION_KINDS,
};

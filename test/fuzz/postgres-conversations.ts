/** Random conversations with a PostgreSQL server: what matters to what is read of them comes often, and nothing is ruled out. */
import { array, constant, constantFrom, integer, oneof, record, tuple, type Arbitrary } from "fast-check";
import { OTHERS, PATHS, READS, TRANSACTIONS } from "./postgres-statements.ts";
import {
  bindOf,
  close,
  copyData,
  copyDone,
  copyFail,
  describe,
  execute,
  flush,
  functionCall,
  joined,
  parse,
  query,
  runOf,
  STEPS_MAX,
  sync,
  type Conversation,
  type Given,
  type Step,
} from "./postgres-steps.ts";

/** The OID of abs(integer). */
const ABS = 1397;

const statementName = constantFrom("", "a", "b", "c");
/** Cursors have the same names. */
const portalName = constantFrom("", "a", "c", "p");
const name = { statement: statementName, portal: portalName };

const statement = oneof(
  { weight: 4, arbitrary: constantFrom(...READS) },
  { weight: 3, arbitrary: constantFrom(...PATHS) },
  { weight: 2, arbitrary: constantFrom(...TRANSACTIONS) },
  { weight: 6, arbitrary: constantFrom(...OTHERS) },
);

const text: Arbitrary<string> = oneof(
  { weight: 8, arbitrary: statement },
  { weight: 2, arbitrary: array(statement, { minLength: 2, maxLength: 4 }).map((parts) => parts.join("; ")) },
);

const given = constantFrom<Given>([], [], ["x"], ["x", "1"], [null, "no number"]);
const rowsMax = constantFrom(0, 0, 1, 2);
const oneRun = tuple(text, given).map(([sql, values]) => runOf(sql, values));

/** The closed table's row, by a name that leads there: left to single statements alone, some runs would never see it. */
const closedRow = tuple(
  constantFrom("SET search_path = closed", "SET search_path = closed, open", "SELECT go_closed()"),
  constantFrom("SELECT name FROM item", "TABLE item"),
).map((texts) => joined(texts.map(query)));

const ignoredInCopy = constantFrom(sync, flush);

/** What a client may send while it believes that it copies. */
const copied: Arbitrary<Step> = oneof(
  {
    weight: 5,
    arbitrary: constantFrom("1\tone\n", "2\ttwo\n3\tth", "ree\n", "no number\tx\n", "\\.\n", "").map(copyData),
  },
  { weight: 1, arbitrary: ignoredInCopy },
);

const none = constant<Step[]>([]);

/** The client does not wait to hear that it may send, nor how it ends; at times it forgets to end it. */
const copyIn = record({
  isSimple: constantFrom(true, false),
  to: constantFrom("open.loaded", "open.loaded", "open.loaded_view", "open.guarded", "nowhere"),
  early: array(ignoredInCopy, { maxLength: 2 }),
  data: array(copied, { maxLength: 5 }),
  end: oneof(
    constantFrom(copyDone, copyDone, copyFail).map((end) => [end]),
    none,
  ),
  last: oneof(constant([sync]), none),
  before: constantFrom("", "", "SELECT 'before'; "),
  behind: constantFrom("", "", "; SELECT 'behind'", "; COPY open.loaded FROM STDIN"),
}).map(({ isSimple, to, early, data, end, last, before, behind }): Step => {
  const copy = `COPY ${to} FROM STDIN`;
  const begin = isSimple ? query(`${before}${copy}${behind}`) : runOf(copy);
  return joined([begin, ...early, ...data, ...end, ...last]);
});

const message: Arbitrary<Step> = oneof(
  { weight: 14, arbitrary: text.map(query) },
  { weight: 8, arbitrary: oneRun },
  { weight: 10, arbitrary: oneRun.map((each) => joined([each, sync])) },
  { weight: 6, arbitrary: tuple(name.statement, text).map((parts) => parse(...parts)) },
  { weight: 6, arbitrary: tuple(name.portal, name.statement, given).map((parts) => bindOf(...parts)) },
  { weight: 6, arbitrary: tuple(name.portal, rowsMax).map((parts) => execute(...parts)) },
  { weight: 2, arbitrary: name.statement.map((each) => describe("statement", each)) },
  { weight: 2, arbitrary: name.portal.map((each) => describe("portal", each)) },
  { weight: 2, arbitrary: name.statement.map((each) => close("statement", each)) },
  { weight: 2, arbitrary: name.portal.map((each) => close("portal", each)) },
  { weight: 12, arbitrary: constant(sync) },
  { weight: 2, arbitrary: constant(flush) },
  { weight: 1, arbitrary: constantFrom(functionCall(ABS, "-3"), functionCall(ABS, "x"), functionCall(1, "x")) },
  { weight: 3, arbitrary: closedRow },
  { weight: 4, arbitrary: copyIn },
  { weight: 1, arbitrary: constantFrom(copyData("1\tstray\n"), copyDone, copyFail) },
);

export const conversation: Arbitrary<Conversation> = record({
  rounds: array(array(message, { minLength: 1, maxLength: STEPS_MAX }), { minLength: 1, maxLength: 4 }),
  pieces: oneof(constantFrom([1_000_000], [1]), array(integer({ min: 1, max: 80 }), { minLength: 1, maxLength: 6 })),
});

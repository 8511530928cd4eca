/** Conversations that once went wrong through a gateway, or would if what is said of COPY in the adapter did not hold. */
import {
  close,
  type Conversation,
  copyData,
  copyDone,
  copyFail,
  flush,
  parse,
  query,
  runOf,
  type Step,
  sync,
} from "./postgres-steps.ts";

const GOOD = copyData("1\tone\n");
const BAD = copyData("no number\tx\n");
const COPY = "COPY open.loaded FROM STDIN";
/** Fails before it reads anything. */
const COPY_VIEW = "COPY open.loaded_view FROM STDIN";
/** So does this, after a while. */
const COPY_GUARDED = "COPY open.guarded FROM STDIN";

/** One round, byte by byte: the gateway acts on each message before the next is there. */
function slowly(...steps: readonly Step[]): Conversation {
  return { rounds: [steps], pieces: [1] };
}

/** One round, all at once. */
function atOnce(...steps: readonly Step[]): Conversation {
  return { rounds: [steps], pieces: [1_000_000] };
}

/** Over the simple protocol: under a limit too they are answered as by the server. */
export const SIMPLE_COPY_CASES: Readonly<Record<string, Conversation>> = {
  "an early Sync": atOnce(query(COPY), sync, GOOD, copyDone, query("SELECT 1")),
  "an early Sync, and nothing comes": atOnce(query(COPY), sync, query("SELECT 1")),
  "a Sync behind data on which it has failed": slowly(query(COPY), BAD, sync, GOOD, copyDone, sync, query("SELECT 1")),
  "Syncs on both sides of data on which it fails": atOnce(query(COPY), sync, BAD, sync, copyDone, query("SELECT 1")),
  "fails before it reads Syncs and data": atOnce(
    query(COPY_VIEW),
    sync,
    flush,
    sync,
    GOOD,
    copyDone,
    query("SELECT 1"),
  ),
  "fails late before it reads Syncs and data": atOnce(
    query(COPY_GUARDED),
    sync,
    GOOD,
    sync,
    copyDone,
    query("SELECT 1"),
  ),
  "fails before it reads a Sync": atOnce(query(COPY_VIEW), sync, query("SELECT 1")),
  "other messages behind one that fails before it reads": slowly(
    query(COPY_GUARDED),
    query("SELECT 1"),
    parse("a", "SELECT 2"),
    sync,
  ),
  "a message that has no place in it": slowly(query(COPY), GOOD, query("SELECT 1")),
  "two in one Query, the first fails": atOnce(
    query(`${COPY_VIEW}; ${COPY}`),
    sync,
    GOOD,
    copyDone,
    GOOD,
    copyDone,
    sync,
  ),
  "two in one Query, data for one": atOnce(query(`${COPY}; ${COPY}`), sync, GOOD, copyDone, flush, query("SELECT 1")),
  "two in one Query, the second fails": atOnce(
    query(`${COPY}; ${COPY}`),
    GOOD,
    copyDone,
    sync,
    BAD,
    sync,
    query("SELECT 1"),
  ),
};

export const PIPELINED_COPY_CASES: Readonly<Record<string, Conversation>> = {
  "leftover data behind its end, with an early Sync": atOnce(runOf(COPY), sync, GOOD, copyDone, GOOD, sync),
  "a Sync behind data on which it has failed": slowly(runOf(COPY), BAD, sync, GOOD, copyDone, sync),
  "Syncs before and behind data that fails": atOnce(
    runOf(COPY),
    sync,
    sync,
    BAD,
    sync,
    sync,
    GOOD,
    runOf("TABLE item"),
    sync,
  ),
  "fails before it reads an early Sync and data": atOnce(
    runOf(COPY_VIEW),
    sync,
    GOOD,
    copyDone,
    runOf("TABLE item"),
    sync,
  ),
  "fails late before it reads an early Sync and data": atOnce(
    runOf(COPY_GUARDED),
    sync,
    GOOD,
    copyFail,
    runOf("TABLE item"),
    sync,
  ),
  "fails on data behind an early Sync, and skips a pipeline": slowly(
    runOf(COPY),
    sync,
    BAD,
    runOf("INSERT INTO open.loaded VALUES (1)"),
    query("SELECT 1"),
    sync,
    query("SELECT count(*) FROM open.loaded"),
  ),
  "fails before it reads early Syncs, and what changes how names are read follows": slowly(
    runOf(COPY_VIEW),
    sync,
    sync,
    sync,
    query("TABLE item"),
    query("SET SESSION AUTHORIZATION closed"),
    close("statement", "a"),
    runOf("SELECT 1"),
    sync,
  ),
  "a pipeline behind it, sent before anybody knew that it is one": atOnce(
    runOf(COPY),
    sync,
    runOf("SELECT 1"),
    sync,
    GOOD,
  ),
  "a Query behind its end, and an early Sync": atOnce(runOf(COPY), sync, GOOD, copyDone, query("SELECT 1"), sync),
  "given up, with an early Sync and a Flush": slowly(
    runOf(COPY),
    flush,
    sync,
    copyFail,
    flush,
    query("SELECT 1"),
    sync,
  ),
};

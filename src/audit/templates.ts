/** Pieces that many records share: sent to the writer once, then named by the number of a slot that is reused in order. */
import type { Decision } from "../core/decision.ts";
import type { Accesses, Operation } from "../core/operation.ts";
import type { Policy } from "../core/ports.ts";
import type { Session, SessionId } from "../core/session.ts";
import { decisionPiece, sessionPiece, statementPiece } from "./pieces.ts";
import { type Table, TEMPLATE_BYTES_MAX, TEMPLATE_SLOTS } from "./record-layout.ts";
import type { PieceRef, RecordWriter } from "./record-writer.ts";

/** Ways in which one list of accesses occurs (prepare, execute, another catalog) that are remembered. */
const VARIANTS_MAX = 8;

/** A piece in a table; `slot` is -1 once another piece has taken its place. */
type Template = { slot: number; readonly piece: string };

/** One table of pieces, the same on both sides of the ring because both fill it in order. */
class TemplateTable {
  readonly #table: Table;
  readonly #slots: (Template | undefined)[] = [];
  readonly #byPiece = new Map<string, Template>();
  #next = 0;

  constructor(table: Table) {
    this.#table = table;
  }

  /** The template of a piece, sent if it is new; null when it is too large for a table or the ring is full. */
  of(piece: string, writer: RecordWriter): Template | null {
    const known = this.#byPiece.get(piece);
    if (known !== undefined) return known;
    if (piece.length * 3 > TEMPLATE_BYTES_MAX && Buffer.byteLength(piece) > TEMPLATE_BYTES_MAX) return null;
    const slot = this.#next;
    if (!writer.template(this.#table, slot, piece)) return null;
    this.#next = (slot + 1) % TEMPLATE_SLOTS[this.#table];
    const evicted = this.#slots[slot];
    if (evicted !== undefined) {
      evicted.slot = -1;
      this.#byPiece.delete(evicted.piece);
    }
    const template = { slot, piece };
    this.#slots[slot] = template;
    this.#byPiece.set(piece, template);
    return template;
  }
}

type Statement = {
  readonly kind: string;
  readonly understood: boolean;
  readonly catalog: string | null;
  readonly adapter: string;
  readonly template: Template;
};
type Decided = { readonly digest: string; readonly commit: string | null; readonly template: Template };

/** What one writer has been sent. Another writer starts with nothing. */
export class Templates {
  readonly #writer: RecordWriter;
  readonly #sessionTable = new TemplateTable("session");
  readonly #statementTable = new TemplateTable("statement");
  readonly #decisionTable = new TemplateTable("decision");
  /** A session never changes; forgotten when it ends, or all of them when there are more than slots. */
  readonly #sessions = new Map<SessionId, Template>();
  readonly #statements = new WeakMap<Accesses, Statement[]>();
  readonly #decisions = new WeakMap<Decision, Decided>();
  #house: Decided | null = null;

  constructor(writer: RecordWriter) {
    this.#writer = writer;
  }

  session(session: Session): PieceRef {
    const known = this.#sessions.get(session.id);
    if (known !== undefined && known.slot >= 0) return known.slot;
    const piece = sessionPiece(session);
    const template = this.#sessionTable.of(piece, this.#writer);
    if (template === null) return piece;
    if (this.#sessions.size >= TEMPLATE_SLOTS.session) this.#sessions.clear();
    this.#sessions.set(session.id, template);
    return template.slot;
  }

  statement(operation: Operation): PieceRef {
    const { accesses, kind, understood, catalogDigest: catalog } = operation;
    const { adapter } = operation.session.target;
    let variants = this.#statements.get(accesses);
    if (variants !== undefined) {
      for (const known of variants) {
        if (known.template.slot < 0 || known.kind !== kind || known.understood !== understood) continue;
        if (known.catalog === catalog && known.adapter === adapter) return known.template.slot;
      }
    }
    const piece = statementPiece(operation);
    const template = this.#statementTable.of(piece, this.#writer);
    if (template === null) return piece;
    if (variants === undefined || variants.length >= VARIANTS_MAX) this.#statements.set(accesses, (variants = []));
    variants.push({ kind, understood, catalog, adapter, template });
    return template.slot;
  }

  decision(decision: Decision | "house", policy: Policy): PieceRef {
    const known = decision === "house" ? this.#house : this.#decisions.get(decision);
    if (known && known.template.slot >= 0 && known.digest === policy.digest && known.commit === policy.commit)
      return known.template.slot;
    const piece = decisionPiece(decision, policy);
    const template = this.#decisionTable.of(piece, this.#writer);
    if (template === null) return piece;
    const decided = { digest: policy.digest, commit: policy.commit, template };
    if (decision === "house") this.#house = decided;
    else this.#decisions.set(decision, decided);
    return template.slot;
  }

  forget(session: SessionId): void {
    this.#sessions.delete(session);
  }
}

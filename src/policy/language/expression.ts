/**
 * Expressions of conditions as typed functions with three values. A part that cannot be told (a fact that is missing, an
 * opaque access) is null, and so is what depends on it: `false && null` is false and `true || null` is true, because no
 * value could change them, and everything else of null is null.
 */
import type { Access } from "../../core/operation.ts";
import type { Session, TimeMs } from "../../core/session.ts";

/** What an expression is evaluated on; `item` is the value of the variable of `exists` and `all`. */
export type Scope = {
  readonly session: Session;
  readonly access: Access;
  readonly now: TimeMs;
  item: string | null;
};

type Of<TType extends string, TValue> = { readonly type: TType; evaluate(scope: Scope): TValue | null };
/** `values`: all that it can be, where that is known. */
export type Words = { readonly values: readonly string[] | null };
export type Expression =
  | Of<"bool", boolean>
  | (Of<"string", string> & Words)
  | (Of<"list", readonly string[]> & Words)
  | Of<"int", number>
  /** Milliseconds since the epoch, and between two instants. */
  | Of<"timestamp", TimeMs>
  | Of<"duration", number>;
export type Typed<TType extends Expression["type"]> = Extract<Expression, { type: TType }>;

/** Kleene's logic: null never becomes anything that another value of it would not give. */
export function not(inner: Typed<"bool">): Typed<"bool"> {
  const evaluate = (scope: Scope): boolean | null => {
    const truth = inner.evaluate(scope);
    return truth === null ? null : !truth;
  };
  return { type: "bool", evaluate };
}

export function both(left: Typed<"bool">, right: Typed<"bool">): Typed<"bool"> {
  const evaluate = (scope: Scope): boolean | null => {
    const a = left.evaluate(scope);
    if (a === false) return false;
    const b = right.evaluate(scope);
    return b === false ? false : a === null ? null : b;
  };
  return { type: "bool", evaluate };
}

export function either(left: Typed<"bool">, right: Typed<"bool">): Typed<"bool"> {
  const evaluate = (scope: Scope): boolean | null => {
    const a = left.evaluate(scope);
    if (a === true) return true;
    const b = right.evaluate(scope);
    return b === true ? true : a === null ? null : b;
  };
  return { type: "bool", evaluate };
}

/** A test of two values that cannot be told when one of them cannot. */
export function ofBoth<A, B>(
  left: { evaluate(scope: Scope): A | null },
  right: { evaluate(scope: Scope): B | null },
  test: (a: A, b: B) => boolean,
): Typed<"bool"> {
  const evaluate = (scope: Scope): boolean | null => {
    const a = left.evaluate(scope);
    const b = right.evaluate(scope);
    return a === null || b === null ? null : test(a, b);
  };
  return { type: "bool", evaluate };
}

/** Is `test` true of one item (`exists`) or of every one (`all`)? */
export function quantified(name: "exists" | "all", list: Typed<"list">, test: Typed<"bool">): Typed<"bool"> {
  // One item for which the test is this settles it.
  const decisive = name === "exists";
  const evaluate = (scope: Scope): boolean | null => {
    const items = list.evaluate(scope);
    if (items === null) return null;
    let result: boolean | null = !decisive;
    for (const item of items) {
      scope.item = item;
      const truth = test.evaluate(scope);
      if (truth === decisive) return decisive;
      if (truth === null) result = null;
    }
    return result;
  };
  return { type: "bool", evaluate };
}

/** The store of identities cannot be used; the message says why and what to do. */
export class StoreError extends Error {
  readonly code = "STORE_UNAVAILABLE";
}

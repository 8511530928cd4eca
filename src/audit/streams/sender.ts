/** What a stream needs of the place it leads to. */
import type { SelectedEntry } from "../export/selection.ts";

/** Rejects when the place cannot be reached, or wants the same again later. */
export interface Sender {
  /** Sends entries in order; resolves to how many of them the place did not take and never will. */
  send(entries: readonly SelectedEntry[]): Promise<number>;
  close(): Promise<void>;
}

/** Whose log it is. */
export type StreamSource = { readonly gateway: string; readonly version: string };

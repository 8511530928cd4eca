/** What a YAML document holds, with the place of everything in it; the same whoever read it. */

/** Offsets count UTF-16 units from the beginning of the file. */
export type YamlNode =
  | { readonly kind: "map"; readonly start: number; readonly entries: readonly YamlEntry[] }
  | { readonly kind: "list"; readonly start: number; readonly items: readonly YamlNode[] }
  | {
      readonly kind: "scalar";
      readonly start: number;
      readonly end: number;
      readonly value: string | number | boolean | null;
      /** Nothing is written: YAML reads it as null. */
      readonly isBlank: boolean;
    };

export type YamlEntry = { readonly key: string; readonly keyStart: number; readonly value: YamlNode };

/** Rows as an Apache Parquet file, written row group by row group. */
import { closeSync, openSync, writeSync } from "node:fs";
import { ByteWriter, ParquetWriter } from "hyparquet-writer";
import { type Cell, type ColumnType, COLUMNS, type Row } from "./row.ts";

/** Rows in memory at a time. */
const GROUP_ROWS = 10_000;

const ELEMENTS = {
  text: { type: "BYTE_ARRAY", converted_type: "UTF8" },
  integer: { type: "INT64" },
  number: { type: "DOUBLE" },
  boolean: { type: "BOOLEAN" },
  time: { type: "INT64", converted_type: "TIMESTAMP_MILLIS" },
} as const satisfies Record<ColumnType, object>;

/** Takes rows and writes them to a file; the file is complete after end(). */
export class ParquetFile {
  readonly #file: number;
  readonly #bytes = Object.assign(new ByteWriter(), {
    flush: () => this.#flush(),
    finish: () => this.#flush(),
  });
  readonly #writer: ParquetWriter;
  #columns: Cell[][] = COLUMNS.map(() => []);

  /** Throws when there is such a file already. */
  constructor(path: string, createdBy: string) {
    this.#file = openSync(path, "wx", 0o600);
    this.#writer = new ParquetWriter({
      writer: this.#bytes,
      schema: [
        { name: "entry", num_children: COLUMNS.length },
        ...COLUMNS.map(([name, type]) => ({ name, repetition_type: "OPTIONAL" as const, ...ELEMENTS[type] })),
      ],
      createdBy,
    });
  }

  add(row: Row): void {
    for (const [i, [name]] of COLUMNS.entries()) this.#columns[i]?.push(row[name]);
    if ((this.#columns[0]?.length ?? 0) >= GROUP_ROWS) this.#group();
  }

  end(): void {
    try {
      if ((this.#columns[0]?.length ?? 0) > 0) this.#group();
      void this.#writer.finish();
    } finally {
      closeSync(this.#file);
    }
  }

  #group(): void {
    const columnData = COLUMNS.map(([name, type], i) => ({
      name,
      data: (this.#columns[i] ?? []).map((cell) => parquetValue(cell, type)),
      offsetIndex: false,
    }));
    this.#columns = COLUMNS.map(() => []);
    void this.#writer.write({ columnData, rowGroupSize: GROUP_ROWS });
  }

  /** Hands what is encoded to the file and takes its memory again. */
  #flush(): void {
    let written = 0;
    while (written < this.#bytes.index) {
      written += writeSync(this.#file, new Uint8Array(this.#bytes.buffer, written, this.#bytes.index - written));
    }
    this.#bytes.index = 0;
  }
}

function parquetValue(cell: Cell, type: ColumnType): string | bigint | number | boolean | null {
  if (cell === null) return null;
  if (type === "integer" || type === "time") return BigInt(Math.floor(Number(cell)));
  return cell;
}

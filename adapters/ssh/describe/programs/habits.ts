/** What programs do to the files that their words name: read them, write them, or both. */

/**
 * reads: never more than that, whatever the options. copies: reads all but those that it writes. changes: reads and
 * writes them. writes: makes, changes or removes them.
 */
export type FileHabit = "reads" | "copies" | "changes" | "writes";

const HABITS: Readonly<Record<FileHabit, string>> = {
  reads:
    "cat tac head tail wc nl cut rev paste jq fold comm cmp diff md5sum sha1sum sha256sum sha512sum b2sum cksum od hexdump strings " +
    "stat readlink realpath ls du df grep egrep fgrep zgrep zcat bzcat xzcat zstdcat awk gawk mawk who lsblk test [ find rg fd fdfind",
  copies: "cp install dd sort uniq xxd base64 file",
  changes: "mv sed gsed gzip gunzip bzip2 bunzip2 xz unxz zstd unzstd tar gtar zip unzip split shred",
  writes:
    "touch mkdir rmdir rm unlink chmod chown chgrp truncate tee mktemp ln mkfifo mknod fallocate setfacl setcap chattr",
};

const BY_NAME: ReadonlyMap<string, FileHabit> = new Map(
  (["reads", "copies", "changes", "writes"] as const).flatMap((habit) =>
    HABITS[habit].split(" ").map((name) => [name, habit] as const),
  ),
);

/** Null: not known. */
export function fileHabit(name: string): FileHabit | null {
  return BY_NAME.get(name) ?? null;
}

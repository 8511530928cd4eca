/** Notes against vectors of Go's golang.org/x/mod/sumdb/note and transparency-dev/formats, and what is refused. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  addSignatures,
  checkpointText,
  newSigner,
  NOTE_BYTES_MAX,
  NOTE_SIGNATURES_MAX,
  NoteError,
  openNote,
  readCheckpoint,
  readSigner,
  readVerifier,
  signatureLine,
  signNote,
  unverifiedText,
} from "./note.ts";

/** From the documentation of Go's note package. */
const NEUMANN = {
  privateKey: "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz",
  vkey: "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
  note:
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n" +
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n",
};

/** Made with those two Go packages. */
const LOG = {
  privateKey: "PRIVATE+KEY+gate.example/log+9cae7af2+AfP/TUUeQp4YIhWq7gai1kttGq3J5QMeS5m/Ea4KeW68",
  vkey: "gate.example/log+9cae7af2+AS4Nsniw5dX0B4IoxgxDTrz1GFLaKrsRStNNh3cb14Hm",
};
const WITNESS = {
  privateKey: "PRIVATE+KEY+witness.example/w1+a7e12144+BLocVmpLrSiMIqC3URRYySylgizUFjLlGAbp6nXtEtE9",
  vkey: "witness.example/w1+a7e12144+BGG3op9v3HIXXDPBmFc/0CioJHhGCXc+pyvvFPlBZdYO",
  timeSeconds: 1795232192,
};
const TEXT = "gate.example/log\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
const LOG_LINE =
  "— gate.example/log nK568gQlppCUUVv7KYjdOlbA7FhRq/yUPGS4wUFeWGU97EjFvHEbOBv4/vPChlHVQ/cDn6QJ8sb71aX3wAnCEEk2CwI=\n";
const WITNESS_LINE =
  "— witness.example/w1 p+EhRAAAAABrARHA6tvQybwrRJA70C2HId5rUB4LABBdDege4wIjVNbnV6jQQDr+4cRFVG/S/IlGWaMWfNqgwBPal1DraLC6uQ3cAg==\n";
const NOTE = `${TEXT}\n${LOG_LINE}${WITNESS_LINE}`;

/** Which of the two reasons something is refused for, and its message. */
function refusal(act: () => unknown): [string, string] {
  try {
    act();
  } catch (error) {
    if (error instanceof NoteError) return [error.why, error.message];
    throw error;
  }
  return ["", "not refused"];
}

describe("as Go's packages make them", () => {
  test("a note of Go's documentation is made and verified byte for byte", () => {
    const [text = ""] = NEUMANN.note.split("\n\n");
    const signer = readSigner(`${NEUMANN.privateKey}\n`);
    expect(signer.verifier.vkey).toBe(NEUMANN.vkey);
    expect(signNote(`${text}\n`, [signer])).toBe(NEUMANN.note);
    const verifier = readVerifier(NEUMANN.vkey);
    expect(openNote(NEUMANN.note, [verifier])).toEqual({
      text: `${text}\n`,
      verified: [{ verifier, timeSeconds: null }],
    });
  });

  test("a cosigned checkpoint is made and verified byte for byte", () => {
    const [log, witness] = [readSigner(LOG.privateKey), readSigner(WITNESS.privateKey)];
    expect([log.verifier.vkey, witness.verifier.vkey]).toEqual([LOG.vkey, WITNESS.vkey]);
    expect(signatureLine(TEXT, log)).toBe(LOG_LINE);
    expect(signatureLine(TEXT, witness, WITNESS.timeSeconds)).toBe(WITNESS_LINE);
    expect(signNote(TEXT, [log, witness], WITNESS.timeSeconds)).toBe(NOTE);
    const verifiers = [readVerifier(WITNESS.vkey), readVerifier(LOG.vkey)];
    expect(openNote(NOTE, verifiers).verified.map(({ verifier, timeSeconds }) => [verifier.kind, timeSeconds])).toEqual(
      [
        ["ed25519", null],
        ["cosignature", WITNESS.timeSeconds],
      ],
    );
  });

  test("new keys read back, and sign what their verifier verifies", () => {
    for (const kind of ["ed25519", "cosignature"] as const) {
      const { signer, privateKey } = newSigner("house", kind);
      expect(readSigner(privateKey).verifier.vkey).toBe(signer.verifier.vkey);
      const note = signNote(TEXT, [readSigner(privateKey)], 7);
      const { verified } = openNote(note, [readVerifier(signer.verifier.vkey)]);
      expect(verified.map(({ timeSeconds }) => timeSeconds)).toEqual([kind === "cosignature" ? 7 : null]);
    }
  });

  test("a private key does not leave its signer", () => {
    expect(JSON.stringify(readSigner(LOG.privateKey))).not.toContain("PRIVATE");
    expect(JSON.stringify(readSigner(LOG.privateKey))).not.toContain(LOG.privateKey.slice(-20));
  });
});

describe("who has signed", () => {
  const log = readVerifier(LOG.vkey);
  const witness = readVerifier(WITNESS.vkey);

  test("lines of unknown keys are ignored, also those that share a name or an id with a known key", () => {
    const namesake = newSigner("gate.example/log", "ed25519").signer;
    const signed = addSignatures(NOTE, [signatureLine(TEXT, namesake)]);
    expect(openNote(signed, [log]).verified).toHaveLength(1);
    const sameId = LOG_LINE.replace("gate.example/log", "other");
    expect(openNote(addSignatures(NOTE, [sameId]), [log]).verified).toHaveLength(1);
  });

  test("without a line of a known key a note is unverified", () => {
    expect(refusal(() => openNote(`${TEXT}\n${WITNESS_LINE}`, [log]))).toEqual([
      "unverified",
      "no known key has signed the note",
    ]);
    expect(refusal(() => openNote(NOTE, []))[0]).toBe("unverified");
  });

  test("a wrong line of a known key is not made good by a right one of another", () => {
    const other = TEXT.replace("20852163", "20852164");
    const wrong = addSignatures(`${other}\n`, [signatureLine(other, readSigner(LOG.privateKey)), WITNESS_LINE]);
    expect(openNote(wrong, [log]).verified).toHaveLength(1);
    expect(refusal(() => openNote(wrong, [log, witness]))).toEqual([
      "unverified",
      "the signature of witness.example/w1 is wrong",
    ]);
  });

  test("a cosignature holds for its time alone", () => {
    const at = WITNESS_LINE.indexOf("AAAAABrARHA");
    const later = `${WITNESS_LINE.slice(0, at)}AAAAABrARHB${WITNESS_LINE.slice(at + 11)}`;
    expect(refusal(() => openNote(`${TEXT}\n${later}`, [witness]))[0]).toBe("unverified");
  });

  test("a signature of one kind is not taken for the other of the same key", () => {
    const { privateKey } = newSigner("one", "cosignature");
    const seed = Buffer.from(privateKey.split("+").slice(4).join("+"), "base64").subarray(1);
    const asLog = Buffer.concat([Uint8Array.of(1), seed]).toString("base64");
    const [message = ""] = refusal(() => readSigner(`PRIVATE+KEY+one+00000000+${asLog}`)).slice(1);
    expect(message).toBe("the private key of one does not match its key id");
  });

  test("a second line of a key counts for nothing, as in Go", () => {
    const at = LOG_LINE.length - 10;
    const wrong = `${LOG_LINE.slice(0, at)}${LOG_LINE[at] === "A" ? "B" : "A"}${LOG_LINE.slice(at + 1)}`;
    expect(openNote(`${TEXT}\n${LOG_LINE}${wrong}`, [log]).verified).toHaveLength(1);
    expect(refusal(() => openNote(`${TEXT}\n${wrong}${LOG_LINE}`, [log]))[0]).toBe("unverified");
  });

  test("the text ends at the last empty line, and may hold others", () => {
    const text = "one\n\n\ntwo\n\n";
    const note = signNote(text, [readSigner(LOG.privateKey)]);
    expect(openNote(note, [log]).text).toBe(text);
  });

  test("a newer line of a key takes the place of its older one", () => {
    const again = signatureLine(TEXT, readSigner(WITNESS.privateKey), WITNESS.timeSeconds + 60);
    const note = addSignatures(NOTE, [again]);
    expect(note).toBe(`${TEXT}\n${LOG_LINE}${again}`);
    expect(addSignatures(note, [LOG_LINE])).toBe(`${TEXT}\n${again}${LOG_LINE}`);
  });

  test("every changed byte of a note is found", () => {
    const bytes = Buffer.from(NOTE);
    for (let i = 0; i < bytes.length; i++) {
      const changed = Buffer.from(bytes);
      changed[i] = (changed[i] ?? 0) ^ 1;
      // A changed name or key id makes the line one of an unknown key.
      const verified = ((): number => {
        try {
          return openNote(changed.toString("utf8"), [log, witness]).verified.length;
        } catch (error) {
          expect(error).toBeInstanceOf(NoteError);
          return 0;
        }
      })();
      expect(verified).toBeLessThan(2);
    }
  });
});

describe("refused", () => {
  const refused: readonly (readonly [what: string, note: string, message: string])[] = [
    ["no empty line", `${TEXT}${LOG_LINE}`, "an empty line between"],
    ["no signature", `${TEXT}\n`, "has no signature"],
    ["no last newline", NOTE.slice(0, -1), "ends with a newline"],
    ["a control character", NOTE.replace("gate", "ga\tte"), "control character"],
    ["a carriage return", NOTE.replaceAll("\n", "\r\n"), "an empty line between"],
    ["half a surrogate pair", NOTE.replace("gate", "ga\ud800te"), "not Unicode"],
    ["a hyphen for the dash", NOTE.replace("— gate", "- gate"), "an em dash"],
    ["two spaces", NOTE.replace("— gate", "—  gate"), "an em dash"],
    ["a word more", NOTE.replace("CwI=\n", "CwI= x\n"), "an em dash"],
    ["a plus in a name", NOTE.replace("— gate", "— ga+te"), "no plus"],
    ["a wide space in a name", NOTE.replace("— gate", "— ga\u3000te"), "no space"],
    ["base64 without padding", NOTE.replace("CwI=\n", "CwI\n"), "not base64"],
    ["base64 of the other alphabet", NOTE.replace("jw/", "jw_").replace("q/yUP", "q_yUP"), "not base64"],
    ["base64 with bits left over", NOTE.replace("CwI=\n", "CwJ=\n"), "not base64"],
    ["nothing but a key id", `${TEXT}\n— gate.example/log nK568g==\n`, "not base64"],
    ["too many signatures", `${TEXT}\n${LOG_LINE.repeat(NOTE_SIGNATURES_MAX + 1)}`, "at most 100 signatures"],
    ["too many bytes", `${"x".repeat(NOTE_BYTES_MAX)}\n\n${LOG_LINE}`, "at most 131072 bytes"],
  ];
  for (const [what, note, message] of refused) {
    test(what, () => {
      const [why, said] = refusal(() => openNote(note, [readVerifier(LOG.vkey)]));
      expect(why).toBe("malformed");
      expect(said).toContain(message);
    });
  }

  test("as many signatures as are allowed are read", () => {
    const note = `${TEXT}\n${LOG_LINE.repeat(NOTE_SIGNATURES_MAX)}`;
    expect(openNote(note, [readVerifier(LOG.vkey)]).verified).toHaveLength(1);
  });

  const keys: readonly (readonly [what: string, vkey: string, message: string])[] = [
    ["an empty line", "", "not a verifier key"],
    ["a wrong id", LOG.vkey.replace("9cae7af2", "9cae7af3"), "does not match its key id"],
    ["an id in capitals", LOG.vkey.replace("9cae7af2", "9CAE7AF2"), "does not match its key id"],
    ["another name", LOG.vkey.replace("gate", "gaet"), "does not match its key id"],
    ["a newline after it", `${LOG.vkey}\n`, "base64"],
    [
      "another type",
      `x+00000000+${Buffer.concat([Uint8Array.of(2), Buffer.alloc(32)]).toString("base64")}`,
      "of type 2",
    ],
    ["too short a key", `x+00000000+${Buffer.alloc(32).toString("base64")}`, "33 base64 bytes"],
  ];
  for (const [what, vkey, message] of keys) {
    test(`a verifier key with ${what}`, () => expect(refusal(() => readVerifier(vkey))[1]).toContain(message));
  }

  test("a private key is not in the message that refuses it", () => {
    const secret = LOG.privateKey.slice(-44);
    for (const line of [LOG.privateKey.replace("9cae", "9cad"), LOG.privateKey.slice(0, -1), secret]) {
      const [why, message] = refusal(() => readSigner(line));
      expect(why).toBe("malformed");
      expect(message).not.toContain(secret.slice(0, 20));
    }
  });

  test("a cosignature without a time, or on what is no checkpoint", () => {
    const witness = readSigner(WITNESS.privateKey);
    expect(refusal(() => signatureLine(TEXT, witness))[1]).toContain("needs the time");
    expect(refusal(() => signatureLine("hello\n", witness, 1))[1]).toContain("at least three lines");
  });
});

describe("checkpoints", () => {
  const root = Buffer.alloc(32, 7);

  test("are written and read back, with extension lines", () => {
    const checkpoint = { origin: "a b", size: 12, root, extensions: ["x", "y"] };
    expect(readCheckpoint(checkpointText(checkpoint))).toEqual(checkpoint);
    expect(readCheckpoint(TEXT).size).toBe(20852163);
    expect(unverifiedText(NOTE)).toBe(TEXT);
  });

  const hash = root.toString("base64");
  const refused: readonly (readonly [what: string, text: string])[] = [
    ["no root", "o\n1\n"],
    ["no last newline", `o\n1\n${hash}`],
    ["an empty origin", `\n1\n${hash}\n`],
    ["an empty extension", `o\n1\n${hash}\n\n`],
    ["a leading zero", `o\n01\n${hash}\n`],
    ["a sign", `o\n+1\n${hash}\n`],
    ["an exponent", `o\n1e3\n${hash}\n`],
    ["a size that is no safe integer", `o\n9007199254740993\n${hash}\n`],
    ["a short root", `o\n1\n${hash.slice(0, 40)}\n`],
  ];
  for (const [what, text] of refused) {
    test(`with ${what} are refused`, () => expect(refusal(() => readCheckpoint(text))[0]).toBe("malformed"));
  }

  test("with a newline inside a line are not written", () => {
    expect(refusal(() => checkpointText({ origin: "o", size: 1, root, extensions: ["a\nb"] }))[0]).toBe("malformed");
    expect(refusal(() => checkpointText({ origin: "", size: 1, root, extensions: [] }))[0]).toBe("malformed");
    expect(refusal(() => checkpointText({ origin: "o", size: -1, root, extensions: [] }))[0]).toBe("malformed");
  });
});

test("any text is refused or read, and nothing else happens", () => {
  const piece = fc.oneof(fc.constantFrom("\n", "\n\n", "— ", " ", TEXT, LOG_LINE, "gate.example/log"), fc.string());
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
      const text = pieces.join("");
      for (const act of [
        () => openNote(text, [readVerifier(LOG.vkey)]),
        () => readCheckpoint(text),
        () => readVerifier(text),
        () => readSigner(text),
      ]) {
        try {
          act();
        } catch (error) {
          if (!(error instanceof NoteError)) throw error;
        }
      }
    }),
  );
});

/** A certificate authority for TLS tests: server and client certificates of every kind that tests need, made by the openssl binary. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** PEM: a certificate (a chain where there is an intermediate) and its unencrypted key. */
export type Issued = { readonly cert: string; readonly key: string };

export type IssueOptions = {
  /** Subject alternative names, as openssl writes them: `DNS:localhost`, `IP:127.0.0.1`. */
  readonly names?: readonly string[];
  /** Left out: P-256. */
  readonly keyType?: "p256" | "rsa" | "rsa-pss" | "ed25519";
  /** The authority's signature hash; left out: sha256. An ed25519 authority has none. */
  readonly hash?: "sha1" | "sha256" | "sha384" | "sha512";
  /** Makes it invalid already. */
  readonly expired?: boolean;
};

export type Authority = {
  /** PEM, to be trusted. */
  readonly cert: string;
  /** Issues a certificate with this common name. */
  issue(commonName: string, options?: IssueOptions): Issued;
};

/** Makes a new authority; every call makes a different one, even for the same name. */
export function createAuthority(commonName = "weir test CA", keyType: IssueOptions["keyType"] = "p256"): Authority {
  const own = inFolder((folder) => {
    const key = newKey(folder, "ca", keyType);
    const extension = [
      "-addext",
      "basicConstraints=critical,CA:TRUE",
      "-addext",
      "keyUsage=critical,keyCertSign,cRLSign",
    ];
    openssl([
      "req",
      "-x509",
      "-new",
      "-key",
      key,
      "-days",
      "30",
      "-subj",
      `/CN=${commonName}`,
      ...extension,
      "-out",
      join(folder, "ca.pem"),
    ]);
    return { cert: readFileSync(join(folder, "ca.pem"), "utf8"), key: readFileSync(key, "utf8") };
  });
  return { cert: own.cert, issue: (name, options = {}) => issue(own, name, options) };
}

function issue(authority: Issued, commonName: string, options: IssueOptions): Issued {
  return inFolder((folder) => {
    const path = (name: string): string => join(folder, name);
    writeFileSync(path("ca.pem"), authority.cert);
    writeFileSync(path("ca.key"), authority.key);
    const names = options.names ?? [];
    const sans = names.length === 0 ? "" : `subjectAltName=${names.join(",")}\n`;
    writeFileSync(path("ext"), `basicConstraints=critical,CA:FALSE\n${sans}`);
    const key = newKey(folder, "leaf", options.keyType);
    openssl(["req", "-new", "-key", key, "-subj", `/CN=${commonName}`, "-out", path("leaf.csr")]);
    const days = options.expired === true ? "-1" : "30";
    const hash = options.hash === undefined ? [] : [`-${options.hash}`];
    const signer = ["-CA", path("ca.pem"), "-CAkey", path("ca.key"), "-CAcreateserial"];
    openssl([
      "x509",
      "-req",
      "-in",
      path("leaf.csr"),
      ...signer,
      "-days",
      days,
      ...hash,
      "-extfile",
      path("ext"),
      "-out",
      path("leaf.pem"),
    ]);
    return { cert: readFileSync(path("leaf.pem"), "utf8"), key: readFileSync(key, "utf8") };
  });
}

const KEY_ARGUMENTS = {
  p256: ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
  rsa: ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
  "rsa-pss": ["-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048"],
  ed25519: ["-algorithm", "ED25519"],
} as const;

function newKey(folder: string, name: string, type: IssueOptions["keyType"] = "p256"): string {
  const path = join(folder, `${name}.key`);
  openssl(["genpkey", ...KEY_ARGUMENTS[type], "-out", path]);
  return path;
}

function inFolder<T>(work: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), "weir-test-certificates-"));
  try {
    return work(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function openssl(args: readonly string[]): void {
  const result = Bun.spawnSync(["openssl", ...args], { stdout: "ignore", stderr: "pipe" });
  if (result.exitCode !== 0) throw new Error(`openssl ${args.join(" ")}: ${result.stderr.toString()}`);
}

/** Programs in place of ssh, sftp and ssh-keygen that bring the clients of OpenSSH's regression scripts to a gateway. */

export type WrapperParts = {
  /** The scripts' folder; it holds what is named below. */
  readonly folder: string;
  readonly serverPort: number;
  readonly gatewayPort: number;
};

/** What the gateway offers, one name a line: what scripts try one after the other is tried as far as it goes. */
export const OFFERS_FILE = "weir_offers";
export const KNOWN_HOSTS_FILE = "weir_known_hosts";
/** The key with which the gateway, and nobody else, may log in to the server. */
export const LOGIN_FILE = "weir_login";
/** Keys by the names under which scripts would make them: those that the gateway knows. */
export const KEYS_FOLDER = "weir_keys";

/**
 * Asks ssh where it would go, and whether what comes from there is to be damaged on its way. What would go to a script's server goes to the gateway's target instead. What goes to a
 * port that a forward listens at, or comes through one as its proxy command, is at the server when it is through: it
 * logs in with the gateway's key. The rest goes where it wants, and is let in nowhere.
 */
export function sshWrapper({ folder, serverPort, gatewayPort }: WrapperParts): string {
  return `#!/bin/sh
previous=
for argument in "$@"; do
  if [ "$argument" = -G ]; then exec ssh "$@"; fi
  case "$previous $argument" in
  "-Q kex" | "-Q mac" | "-Q cipher" | "-Q cipher-auth" | "-Q compression" | "-Q key-plain")
    ssh -Q "$argument" | grep -Fx -f ${folder}/${OFFERS_FILE}
    exit ;;
  esac
  previous=$argument
done
config=$(ssh -G "$@" 2>/dev/null </dev/null) || exec ssh "$@"
has() { printf '%s\\n' "$config" | grep -q "$1"; }
proxy=
damage=$(printf '%s\\n' "$config" | sed -n 's/^proxycommand .*sshd_proxy | \\(.*modpipe .*\\)/\\1/p')
if [ -n "$damage" ]; then set -- -o "ProxyCommand=${folder}/netcat 127.0.0.1 ${gatewayPort} | $damage" "$@"; fi
if has '^proxycommand .*${folder}/sshd_proxy'; then target=proxied; test -n "$damage" || proxy=-oProxyCommand=none
elif has '^proxycommand ' && ! has '^proxycommand .*%h %p$'; then target=
elif has '^port ${serverPort}$' && has '^hostname 127.0.0.1$'; then target=listening
else target=
fi
if [ -n "$target" ]; then
  exec ssh -oUser=$target -oHostname=127.0.0.1 -oPort=${gatewayPort} $proxy -oHostKeyAlias=weir \\
    -oHostKeyAlgorithms=ssh-ed25519 -oGlobalKnownHostsFile=none \\
    -oUserKnownHostsFile=${folder}/${KNOWN_HOSTS_FILE} "$@"
fi
if has '^proxycommand .* -W ' || has '^proxycommand .* -x ' || ! has '^port ${serverPort}$'; then
  exec ssh -i ${folder}/${LOGIN_FILE} "$@"
fi
exec ssh "$@"
`;
}

/** `sftp -D SERVER` speaks to a server without ssh between; it is given one that runs this server. */
export function sftpWrapper({ folder }: WrapperParts): string {
  return `#!/bin/sh
previous=
isDirect=
for argument in "$@"; do
  shift
  if [ "$previous" = -D ]; then
    sed -i "s|^\\tSubsystem\\tsftp\\t.*|\\tSubsystem\\tsftp\\t$argument|" ${folder}/sshd_proxy
    isDirect=yes
  elif [ "$argument" != -D ]; then set -- "$@" "$argument"
  fi
  previous=$argument
done
if [ -n "$isDirect" ]; then exec sftp -F ${folder}/ssh_proxy -S ${folder}/weir-ssh "$@" somehost; fi
exec sftp "$@"
`;
}

/** Hands out the keys that the gateway knows where scripts make keys of these names. */
export function keygenWrapper({ folder }: Pick<WrapperParts, "folder">): string {
  return `#!/bin/sh
previous=
file=
isMade=
for argument in "$@"; do
  if [ "$previous" = -f ]; then file=$argument; fi
  if [ "$argument" = -t ]; then isMade=yes; fi
  previous=$argument
done
known=${folder}/${KEYS_FOLDER}/\${file##*/}
if [ -n "$isMade" ] && [ -n "$file" ] && [ -f "$known" ]; then
  cp "$known" "$file" && exec cp "$known.pub" "$file.pub"
fi
exec ssh-keygen "$@"
`;
}

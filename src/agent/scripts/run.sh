#!/bin/sh
# Runs Claude once for @TASK@, launch @ATTEMPT@, and writes down how it ended. Made by Parhelia.
dir=@DIR@
workspace=@WORKSPACE@

# tmux hangs up by closing the terminal, which signals only the session's leader, and a shell that
# waits for Claude would not pass it on for seconds. So the leader is a shell without handlers: it
# dies of the signal, and the kernel then signals everything in the foreground, Claude included.
# All else is done in a subshell, which costs no program's start.
(

# Making the file is the atomic test that lets only the first run of a launch go on.
set -C
if ! true >"$dir/started" 2>/dev/null; then
    echo 'parhelia: this launch was started before' >&2
    exit 75
fi
set +C

# A handler, unlike ignoring, is not inherited: Claude sees the signals, this shell outlives them to
# write down how Claude ended.
trap : HUP INT QUIT TERM

mask=$(umask)
umask 077
mkdir -p "$dir/ask" "$dir/big" "$dir/tmp" "$dir/spent"
mkfifo "$dir/lease.fifo"
: >>"$dir/events.jsonl"
: >>"$dir/status.jsonl"
umask "$mask"

watchdog=
finish() {
    # Ends the watchdog, which looks whether this is there whenever it wakes.
    if [ -p "$dir/lease.fifo" ]; then
        { rm -f "$dir/lease.fifo" && printf 'end\n' >&3; } 3<>"$dir/lease.fifo"
    elif [ -n "$watchdog" ]; then
        # The directory is gone already. A child that is not waited for keeps its number.
        kill -TERM "$watchdog" 2>/dev/null
    fi
    printf '%s %s\n' "$1" "$(date +%s)" >"$dir/exit.tmp" && mv -f "$dir/exit.tmp" "$dir/exit"
    exit "$1"
}

# Left by a Claude that this one was started from, if any.
unset CLAUDECODE CLAUDE_CODE_SESSION_ID CLAUDE_CODE_ENTRYPOINT CLAUDE_CODE_SSE_PORT
unset CLAUDE_PID CLAUDE_PROJECT_DIR CLAUDE_ENV_FILE CDPATH

[ -n "${LC_ALL:-}${LC_CTYPE:-}${LANG:-}" ] || export LANG=C.UTF-8
# The folder was given to this task by a person, which is the answer to the trust dialog.
export CLAUDE_CODE_SANDBOXED=1
# One update in the background for each of many sessions would be a herd.
export DISABLE_AUTOUPDATER=1
@ROOT@
# A shell that is no login shell often lacks where Claude's installer puts it.
PATH="${PATH:-/usr/bin:/bin}:$HOME/.local/bin:/usr/local/bin"
export PATH

if [ -r "$dir/env" ]; then
    . "$dir/env"
    # Only this process needs it from here on.
    rm -f "$dir/env"
fi
export PARHELIA_TASK=@TASK@

if ! cd "$workspace"; then
    finish 72
fi

set -- @ARGV@
if [ -s "$dir/prompt" ]; then
    # The added mark keeps the newlines at the end, which $(…) drops.
    prompt=$(cat "$dir/prompt" && printf .)
    set -- "$@" -- "${prompt%.}"
    unset prompt
fi

# The watchdog, see there. Of all that is started here it alone is not in the foreground.
sh "$dir/lease.sh" &
watchdog=$!
printf '%s\n' "$watchdog" >"$dir/lease.pid"

[ -t 0 ] && terminal=yes || terminal=
# The innermost shell writes its process id and then becomes Claude, so that the id is Claude's. A
# few bytes are written at once; who reads the file just before finds it empty, and is told again.
# The one around it has job control, where there is a terminal, for one thing: Ctrl+Z suspends
# Claude, and no one but this shell could bring it back.
PARHELIA_PID_FILE=$dir/pid sh -c '
    trap : HUP INT QUIT TERM
    { [ -t 0 ] && set -m; } 2>/dev/null
    sh -c "
        printf \"%s\\n\" \"\$\$\" >\"\$PARHELIA_PID_FILE\"
        unset PARHELIA_PID_FILE
        exec \"\$@\"" sh "$@"
    code=$?
    n=0
    # What ended is no more, what was suspended still is.
    while [ "$n" -lt 1000 ] && kill -0 "$(cat "$PARHELIA_PID_FILE")" 2>/dev/null; do
        n=$((n + 1))
        fg >/dev/null 2>&1
        code=$?
    done
    exit "$code"' sh "$@"
code=$?
# When the terminal goes away, a shell with job control fails over that, and Claude's own status,
# which says no more than this one, is lost.
if [ -n "$terminal" ] && [ ! -t 0 ]; then
    code=129
fi

umask 077
# Hooks that still wait for an answer get the end of their file, and leave.
for fifo in "$dir"/ask/*; do
    [ -p "$fifo" ] && { rm -f "$fifo"; } 3<>"$fifo"
done 2>/dev/null

# Before the modes are reset: an alternate screen is gone after that.
if [ -n "${TMUX_PANE:-}" ]; then
    sleep 0.1 2>/dev/null
    tmux capture-pane -p -e -S - -t "$TMUX_PANE" 2>/dev/null | tail -c 1048576 >"$dir/screen.tmp"
    mv -f "$dir/screen.tmp" "$dir/screen"
fi
# A Claude that was killed leaves these on: alternate screen, mouse, focus, theme, paste, keys.
printf '\033[?1049l\033[?1000l\033[?1002l\033[?1003l\033[?1006l\033[?1004l\033[?2031l' 2>/dev/null
printf '\033[?2004l\033[<u\033[>4m\033[?25h\033[m' 2>/dev/null
finish "$code"

)
exit $?

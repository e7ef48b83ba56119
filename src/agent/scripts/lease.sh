#!/bin/sh
# Ends Claude when the lease is over: when no dispatcher has renewed it in time, or more was spent
# than it allows. Runs beside the launcher and ends with it. Made by Parhelia.
#
# It sleeps in pieces of a minute, because a sleep does not count the time that a machine is
# suspended. What wakes it before is a word in lease.fifo: from the status line that more was spent,
# from the launcher that Claude has ended. The process that sleeps holds the FIFO's other end, so
# that its end wakes, too; and whatever is written while nobody reads is found in the files.
dir=@DIR@
launcher=$PPID
fifo=$dir/lease.fifo
umask 077
cd /
exec </dev/null >/dev/null 2>&1
trap '' HUP INT QUIT
# Its launcher ends it where the FIFO is gone with everything else. What sleeps is killed outright:
# a child that has only just begun still has this trap, and would sleep on after any other signal.
napper=
trap '[ -z "$napper" ] || kill -KILL "$napper"; exit 0' TERM

@JUDGE@

# Sets parent to that of the process $1.
parent() {
    parent=
    if [ -r "/proc/$1/stat" ]; then
        parent=$(sed 's/.*) . //; s/ .*//' "/proc/$1/stat")
    else
        parent=$(ps -o ppid= -p "$1")
        parent=${parent##* }
    fi
    number "$parent"
}

# Sets pid to Claude's process id while it is this launch's, since a number may go to another
# process: it comes from the launcher, which has a shell of its own around it. If that is gone it is
# known by its arguments.
claude() {
    pid=
    read -r pid rest <"$dir/pid"
    number "$pid" && kill -0 "$pid" || return 1
    if parent "$pid"; then
        [ "$parent" != "$launcher" ] || return 0
        parent "$parent" && [ "$parent" = "$launcher" ] && return 0
    fi
    if [ -r "/proc/$pid/cmdline" ]; then
        tr '\0' '\n' <"/proc/$pid/cmdline" | grep -qF "$dir/"
    else
        ps -o command= -p "$pid" | grep -qF "$dir/"
    fi
}

# Looks at clock and lease. Sets why it is over, if it is, and how long to sleep.
#
# The lease runs from when it is first seen, by this machine's clock, which need not be the
# dispatcher's.
now='' due='' seen=''
look() {
    why='' nap=60 before=$now
    [ -p "$fifo" ] || exit 0
    kill -0 "$launcher" || claude || exit 0
    now=$(date +%s)
    number "$now" || return
    # A clock that was turned back must not keep it waiting.
    if [ -n "$due" ] && [ "$now" -lt "${before:-0}" ]; then
        due=$((due - before + now))
    fi
    # Without a lease that can be read, the one that was seen last runs on.
    spent=0
    if read_lease && add_up; then
        if [ "$seen" != "$written $until" ]; then
            seen="$written $until"
            due=$((now + until - written))
        fi
        if is_spent; then
            why=spent
            return
        fi
    fi
    [ -n "$due" ] || return
    nap=$((due - now))
    if [ "$nap" -le 0 ]; then
        why=deadline
    elif [ "$nap" -gt 60 ]; then
        nap=60
    fi
}

# Asks for a new lease, and waits for it: a dispatcher that is there gives it at once. After a
# suspend it knows no better than this script how long that was; and where tasks share what is left,
# one may have spent its part while there is enough for it. What is left to nobody is not asked for.
ask() {
    printf '%s %s\n' "$why" "$now" >"$dir/lease.ask.tmp"
    mv -f "$dir/lease.ask.tmp" "$dir/lease.ask"
    tries=10
    [ "$why" = deadline ] || tries=5
    while [ -n "$why" ] && [ "$tries" -gt 0 ]; do
        if [ "$why" = spent ] && [ "${hard:-$share}" -le "$spent" ]; then
            break
        fi
        tries=$((tries - 1))
        sleep 1
        look
    done
    rm -f "$dir/lease.ask"
}

# Waits up to $1 seconds for Claude to end.
ended() {
    tries=$1
    while [ "$tries" -gt 0 ]; do
        claude || return 0
        tries=$((tries - 1))
        sleep 1
    done
    return 1
}

# Interrupts Claude, so that it spends nothing more and writes down that it was interrupted; then
# ends it. All else is the launcher's.
fire() {
    printf 'parhelia-lease-1 %s %s %s %s\n' "$why" "$now" "$spent" "${share:-0}" >"$dir/lease.over.tmp"
    mv -f "$dir/lease.over.tmp" "$dir/lease.over"
    if [ -n "${TMUX_PANE:-}" ]; then
        # In copy mode the key would leave that mode, and Claude would not see it.
        tmux send-keys -t "$TMUX_PANE" -X cancel
        tmux send-keys -t "$TMUX_PANE" Escape
        ended 2 && exit 0
    fi
    claude && kill -TERM "$pid"
    ended 10 && exit 0
    claude && kill -KILL "$pid"
    exit 0
}

look
while :; do
    if [ -n "$why" ]; then
        ask
        [ -z "$why" ] || fire
    fi
    sleep "$nap" >"$fifo" &
    napper=$!
    {
        # What was spent while nobody read the FIFO.
        { read_lease && add_up && is_spent; } || read -r word
    } <"$fifo"
    kill -KILL "$napper"
    wait "$napper"
    napper=
    look
done

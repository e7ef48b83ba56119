#!/bin/sh
# Appends what Claude's hook EVENT was told to events.jsonl, as one line. Made by Parhelia.
#
# It prints nothing and always succeeds, because Claude reads both as an opinion. Only
# PermissionRequest waits: its one line of output is the answer to the dialog.
dir=@DIR@
exec 2>/dev/null
umask 077
event=$1
LC_ALL=C
export LC_ALL

pid=${CLAUDE_PID:-0}
case $pid in
'' | *[!0-9]*) pid=0 ;;
esac
# A file of one's own: process ids of the living differ.
own=$dir/tmp/$event.$$

# The whole line in one write, so that lines of hooks that run at once do not mix.
append() {
    dd bs=65536 count=1 <"$own" >>"$dir/events.jsonl"
}

ask=
if [ "$event" = PermissionRequest ]; then
    # The script is told whose request it is by reading it, so that comes first.
    cat >"$own.in" || exit 0
    who=main
    grep -q '"agent_id":"' "$own.in" && who=agent
    id=$who.$$
    fifo=$dir/ask/$id
    trap 'rm -f "$fifo" "$fifo.json" "$own" "$own.in"' EXIT
    trap 'exit 0' HUP INT TERM
    rm -f "$fifo"
    mkfifo "$fifo" || exit 0
    ask="\"ask\":\"$id\","
    exec <"$own.in"
fi
at=
if [ "$event" = SessionStart ]; then
    tr -d '\n\r' >"$own.in" || exit 0
    at=$(sh "$dir/began.sh" "$own.in")
    exec <"$own.in"
fi

{
    printf '{"pid":%s,%s%s"payload":' "$pid" "$ask" "$at"
    tr -d '\n\r'
    printf '}\n'
} >"$own" || exit 0
if [ -n "$ask" ]; then
    cp "$own" "$fifo.json"
fi

size=$(wc -c <"$own")
if [ "$size" -le 60000 ]; then
    append
else
    # More than one write takes: kept beside, and pointed to.
    n=0
    while [ -e "$dir/big/$event.$$.$n" ]; do
        n=$((n + 1))
    done
    mv "$own" "$dir/big/$event.$$.$n" || exit 0
    printf '{"pid":%s,%s"event":"%s","big":"%s.%s.%s"}\n' \
        "$pid" "$ask" "$event" "$event" "$$" "$n" >"$own"
    append
fi

case $event in
PermissionRequest)
    rm -f "$own" "$own.in"
    # Opening waits for a writer. A writer that says nothing withdraws the question.
    answer=
    IFS= read -r answer <"$fifo"
    [ -z "$answer" ] || printf '%s\n' "$answer"
    exit 0
    ;;
Stop | StopFailure)
    # Claude does not tell a waiting hook that its dialog was answered by a key. The end of the
    # turn does: no dialog of the main conversation is open then.
    for fifo in "$dir"/ask/main.*; do
        # Held open while it is removed, so that one that is just about to open it finds either a
        # writer or no file, and never waits for a writer that has been.
        [ -p "$fifo" ] && { rm -f "$fifo"; } 3<>"$fifo"
    done
    ;;
esac
rm -f "$own" "$own.in"
exit 0

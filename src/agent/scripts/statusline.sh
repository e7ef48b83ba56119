#!/bin/sh
# Appends what Claude tells its status line to status.jsonl, then prints one. Made by Parhelia.
dir=@DIR@
umask 077
# Claude ends the script when there is more to say, which on a busy machine is before this is done.
trap '' TERM HUP INT
own=$dir/tmp/status.$$
trap 'rm -f "$own"' EXIT
LC_ALL=C tr -d '\n\r' >"$own" 2>/dev/null
printf '\n' >>"$own"
# In one write, and whole or not at all.
if [ "$(wc -c <"$own")" -le 60000 ]; then
    dd bs=65536 count=1 <"$own" >>"$dir/status.jsonl" 2>/dev/null
fi

@JUDGE@

# Writes down what the conversation costs by now, and wakes the watchdog if that is more than the
# lease allows. A quote in a JSON text has a backslash before it, so no text can pass for a key.
count() {
    [ -p "$dir/lease.fifo" ] || return
    set -f
    set -- $(LC_ALL=C sed -n '
        h
        s/[{,][ ]*"session_id"[ ]*:[ ]*"/\
/
        s/.*\n//
        s/".*//p
        g
        s/[{,][ ]*"cost"[ ]*:[ ]*{/\
/
        s/.*\n/{/
        s/[{,][ ]*"total_cost_usd"[ ]*:[ ]*/\
/
        s/.*\n//
        s/[^0-9eE.+-].*//p' "$own")
    set +f
    [ "$#" -eq 2 ] && [ "${#1}" -le 64 ] || return
    case $1 in
    *[!A-Za-z0-9-]*) return ;;
    esac
    [ "${#2}" -le 40 ] && micros "$2" || return
    file=$dir/spent/$1 first='' last=''
    [ ! -f "$file" ] || IFS=' ' read -r first last rest <"$file"
    number "$first" && number "$last" || first=$micros last=$micros
    # Of two lines at once the older may come last.
    [ "$last" -ge "$micros" ] || last=$micros
    printf '%s %s\n' "$first" "$last" >"$file"
    read_lease && add_up && is_spent || return
    # Opened for both, so that it waits for nobody.
    printf 'spent\n' 1<>"$dir/lease.fifo"
}
count 2>/dev/null
trap - TERM HUP INT
@SHOW@
exit 0

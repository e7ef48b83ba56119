#!/bin/sh
# Appends what Claude tells its status line to status.jsonl, then prints one. Made by Parhelia.
dir=@DIR@
umask 077
# Claude ends the script when there is more to say, which on a busy machine is before this is done.
# But the first line of a launch tells with which figure it began.
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

# Sets micros to a JSON number of dollars in millionths, rounded to the nearest.
micros() {
    whole=$1 part='' shift=0
    case $whole in
    *[eE]*)
        shift=${whole#*[eE]}
        whole=${whole%%[eE]*}
        ;;
    esac
    case $whole in
    *.*)
        part=${whole#*.}
        whole=${whole%%.*}
        ;;
    esac
    case $whole$part in
    '' | *[!0-9]*) return 1 ;;
    esac
    case $shift in
    0) ;;
    -*)
        shift=${shift#-}
        number "$shift" && [ "$shift" -le 40 ] || { shift=0 whole=0 part=''; }
        while [ "$shift" -gt 0 ]; do
            rest=${whole%?}
            part=${whole#"$rest"}$part
            whole=${rest:-0}
            shift=$((shift - 1))
        done
        ;;
    # More money than there is.
    *) whole=999999999 part='' ;;
    esac
    while :; do
        case $whole in
        0?*) whole=${whole#0} ;;
        *) break ;;
        esac
    done
    [ "${#whole}" -le 9 ] || whole=999999999
    part=${part}000000
    rest=${part#??????}
    micros=$whole${part%"$rest"}
    while :; do
        case $micros in
        0?*) micros=${micros#0} ;;
        *) break ;;
        esac
    done
    case $rest in
    [5-9]*) micros=$((micros + 1)) ;;
    esac
}

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

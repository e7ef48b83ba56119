#!/bin/sh
# Writes down with which total Claude takes up a conversation: the last one that its transcript has,
# since Claude writes one when it leaves a conversation in good order, and only then. The status line
# would show it first of all, but Claude ends that script, or never starts it, if it has more to
# say. The hook's line is in the file $1. Made by Parhelia.
dir=@DIR@
exec 2>/dev/null
umask 077
LC_ALL=C
export LC_ALL

@JUDGE@

# Prints the text of the first key $1 of the line; nothing if it is not plain. A quote in a JSON text
# has a backslash before it, so no text can pass for a key.
text() {
    sed -n 's/[{,][ ]*"'"$1"'"[ ]*:[ ]*"/\
/
        s/.*\n//
        s/".*//p' "$own" | grep -v '\\'
}
own=$1
id=$(text session_id)
case $id in
'' | *[!A-Za-z0-9-]*) exit 0 ;;
esac
[ "${#id}" -le 64 ] || exit 0
transcript=$(text transcript_path)
case $transcript in
/*) ;;
*) exit 0 ;;
esac

total=$(grep -a -F '"type":"cost-state","sessionId":"'"$id"'","totalCostUSD":' "$transcript" |
    sed -n 's/^{"type":"cost-state","sessionId":"[A-Za-z0-9-]*","totalCostUSD":\([0-9.eE+-]*\)[,}].*/\1/p' |
    tail -n 1)
total=${total:-0}
[ "${#total}" -le 40 ] && micros "$total" || exit 0
line='{"session_id":"'$id'","began":true,"cost":{"total_cost_usd":'$total'}}'
printf '%s\n' "$line" >>"$dir/status.jsonl"

# The watchdog's account.
[ -d "$dir/spent" ] || exit 0
file=$dir/spent/$id first='' last=''
[ ! -f "$file" ] || IFS=' ' read -r first last rest <"$file"
number "$first" && number "$last" || first=$micros last=$micros
[ "$first" -le "$micros" ] || first=$micros
printf '%s %s\n' "$first" "$last" >"$file"

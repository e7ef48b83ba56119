#!/bin/sh
# Tells how a conversation stands that Claude takes up, of which the hook was told what is in the
# file $1. Made by Parhelia.
#
# Prints how long its transcript is, as a part of a JSON object. Writes down its total: the last one
# that the transcript has, since Claude writes one when it leaves a conversation in good order, and
# only then. The status line would show that first of all, but Claude ends that script, or never
# starts it, if it has more to say.
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

# Taken up in another directory it is told to be in that one's project, but stays where it was.
if [ ! -f "$transcript" ]; then
    for file in "${transcript%/*/*}"/*/"$id.jsonl"; do
        if [ -f "$file" ]; then
            [ -f "$transcript" ] && [ "$transcript" -nt "$file" ] || transcript=$file
        fi
    done
fi
if [ -f "$transcript" ]; then
    printf '"size":%s,' "$(($(wc -c <"$transcript")))"
elif [ "$(text source)" = resume ]; then
    exit 0
fi
total=$(grep -a -F '"type":"cost-state","sessionId":"'"$id"'","totalCostUSD":' "$transcript" |
    sed -n 's/^{"type":"cost-state","sessionId":"[A-Za-z0-9-]*","totalCostUSD":\([0-9.eE+-]*\)[,}].*/\1/p' |
    tail -n 1)
# Without one it is nothing, if this version of Claude saves it at all.
saves=@SAVES@
[ -n "$total$saves" ] || [ "$(text source)" != resume ] || exit 0
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

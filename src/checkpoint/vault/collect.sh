# Makes one pack of what the references of the repository $1 need and drops the rest, if enough can
# be won or there are more than $2 packs; else of those only that are longer than $3 bytes, in which
# long files may be that differ little. May be killed at any moment. Standard input stays open as
# long as someone wants this: if that one dies it must not go on, since another may write here then.
cd "$1" 2>/dev/null || exit 0
most=$2 long=$3
GIT_DIR=$PWD
export GIT_DIR
exec 3<&0 </dev/null
{ read -r _; kill -s KILL -- "-$$"; } <&3 >/dev/null 2>&1 &
watch=$!
trap 'kill -s KILL "$watch" 2>/dev/null' EXIT

# An index may be missing since someone was killed between the two, in either direction.
for pack in objects/pack/pack-*.pack; do
    [ ! -e "$pack" ] || [ -e "${pack%.pack}.idx" ] || ours index-pack "$pack" >/dev/null 2>&1 ||
        rm -f "${pack%.pack}".*
done
for other in objects/pack/pack-*.rev objects/pack/pack-*.keep objects/pack/pack-*.promisor; do
    [ -e "${other%.*}.pack" ] || rm -f "$other"
done

# Packs of the user's count as ours once the user has none of it any more, or no task needs it.
for file in adopted/task-*; do
    [ ! -e "$file" ] || ours for-each-ref --count=1 "refs/checkpoints/${file#*/}/" | grep -q . ||
        rm -f "$file"
done
for kept in objects/pack/pack-*.keep; do
    [ -e "$kept" ] || continue
    name=${kept##*/} name=${name%.keep}
    find "objects/pack/$name.pack" -links +1 | grep -q . &&
        cat adopted/task-* 2>/dev/null | grep -qxF "$name" || rm -f "$kept"
done

old='' count=0
for index in objects/pack/pack-*.idx; do
    [ -e "$index" ] && [ ! -e "${index%.idx}.keep" ] || continue
    old="$old ${index%.idx}" count=$((count + 1))
done
loose=$(find objects -type f -path 'objects/[0-9a-f][0-9a-f]/*' | wc -l)
[ "$count" != 0 ] || [ "$loose" -gt 0 ] || exit 0

# Writing everything anew pays if an eighth of it goes; if a quarter has come since, in which
# differences to what is here were not looked for; or if there are many packs.
held=$(find objects -type f \( -path 'objects/[0-9a-f][0-9a-f]/*' -o -name 'pack-*.pack' \) \
    -exec ls -ln {} + | while read -r mode links owner group bytes rest; do
        pack=${rest##* } pack=${pack%.pack}
        [ -e "$pack.keep" ] || printf '%s\n' "$bytes"
    done | awk '{ sum += $1 } END { printf "%.0f\n", sum }')
needed=$(ours rev-list --objects --all --no-kept-objects --disk-usage 2>/dev/null) || needed=0
last=$(cat collected 2>/dev/null) && last=$(ls -ln "objects/pack/$last.pack" 2>/dev/null) &&
    last=$(printf '%s\n' "$last" | awk '{ print $5 }') || last=0
[ "$count" -gt "$most" ] || [ "$loose" -gt 2000 ] ||
    [ "$((held - needed))" -gt "$((held / 8))" ] ||
    { [ "$count" -gt 1 ] && [ "$((held - last))" -gt "$((held / 4))" ]; } || {
    large='' many=0
    for pack in $old; do
        bytes=$(ls -ln "$pack.pack" | awk '{ print $5 }') || exit
        [ "$bytes" -le "$long" ] || large="$large $pack" many=$((many + 1))
    done
    [ "$many" -gt 1 ] || exit 0
    name=$(for pack in $large; do
        git show-index <"$pack.idx" || exit
    done | awk '{ print $2 }' | ours pack-objects --non-empty --delta-base-offset -q \
        objects/pack/pack) && [ -n "$name" ] || exit
    durable "objects/pack/pack-$name".* objects/pack || exit
    for pack in $large; do
        [ "$pack" = "objects/pack/pack-$name" ] || rm -f "$pack.idx" "$pack".*
    done
    printf 'pack-%s\n' "$name" >collected
    exit 0
}

name=$(ours pack-objects --all --honor-pack-keep --non-empty --delta-base-offset -q \
    objects/pack/pack </dev/null) || exit
[ -z "$name" ] || durable "objects/pack/pack-$name".* || exit
durable objects/pack || exit
# An index goes before its pack, so that no pack is found that is not there.
for pack in $old; do
    [ "$pack" = "objects/pack/pack-$name" ] || rm -f "$pack.idx" "$pack".*
done
find objects -type f -path 'objects/[0-9a-f][0-9a-f]/*' -exec rm -f {} +
printf 'pack-%s\n' "$name" >collected
rmdir objects/[0-9a-f][0-9a-f] 2>/dev/null
exit 0

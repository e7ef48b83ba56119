# Links the objects of the directories $4… into the repository $1, or copies them where the file
# system is another one. Nothing that is here stays linked to what may go away: there are no
# alternates. $2 is a name that nobody else uses. $3, if not empty, is the task for which that is
# done: then the packs are kept apart from ours, and everything is on disk at the end. Prints how
# many bytes were copied, and those of the commits on standard input that came along.
cd "$1" || exit
GIT_DIR=$PWD random=$2 task=$3
export GIT_DIR
shift 3
commits=$(cat)
here=$(cd objects && pwd -P) || exit
cd objects || exit
fresh=tmp_fresh-$random
trap 'code=$?; [ "$code" = 0 ] || probe "$here/$fresh.probe"
    rm -f "$here/$fresh" "$here/$fresh.packs" "$here/tmp_adopt-$random"; exit "$code"' EXIT
: >"$fresh" || exit

# Puts the file $1 at $2, if there is none.
place() {
    [ ! -e "$2" ] || return 0
    { [ ! -h "$1" ] && ln "$1" "$2" 2>/dev/null; } || [ -e "$2" ] || {
        cp "$1" "tmp_adopt-$random" && mv "tmp_adopt-$random" "$2" || return
        ls -ln "$2" | awk '{ print $5 }'
    }
    printf '%s\n%s\n' "$2" "${2%/*}" >>"$fresh"
}

packs() {
    for index in "$1"/pack/pack-*.idx; do
        name=${index##*/pack-} name=${name%.idx}
        case $name in '' | *[!0-9a-f]*) continue ;; esac
        [ -z "$task" ] || printf '%s\n' "pack-$name" >>"$fresh.packs"
        [ ! -e "pack/pack-$name.idx" ] || continue
        # Packed anew meanwhile: what it held is in a pack that was not there when this began. An
        # index that stays without its pack is of no use, and no reason to fail for ever.
        [ -f "${index%.idx}.pack" ] || { [ -e "$index" ] && continue; return 1; }
        [ -z "$task" ] || [ -e "pack/pack-$name.pack" ] || : >"pack/pack-$name.keep"
        for end in promisor pack idx; do
            [ ! -e "${index%.idx}.$end" ] ||
                place "${index%.idx}.$end" "pack/pack-$name.$end" || return
        done
    done
}

# Links the files $2… of one directory below $1 at once.
flush() {
    from=$1
    shift
    [ "$#" != 0 ] || return 0
    [ -d "$fan" ] || mkdir "$fan" 2>/dev/null || [ -d "$fan" ] || return
    (cd "$from/$fan" && ln "$@" "$here/$fan/" 2>/dev/null)
    for name; do
        if [ -e "$fan/$name" ]; then
            printf '%s\n' "$fan/$name" >>"$fresh"
        else
            place "$from/$fan/$name" "$fan/$name" || return
        fi
    done
    printf '%s\n.\n' "$fan" >>"$fresh"
}

loose() {
    (cd "$1" && find . -type f -path './[0-9a-f][0-9a-f]/*') |
        sed -n 's|^\./\([0-9a-f]\{2\}\)/\([0-9a-f]\{38\}\)$|\1\2|p' |
        ours cat-file --batch-check='%(objectname)' | sed -n 's/ missing$//p' | {
        fan='' from=$1
        set --
        while read -r object; do
            next=${object%"${object#??}"}
            [ "$next" = "$fan" ] && [ "$#" -lt 400 ] || {
                flush "$from" "$@" || exit
                fan=$next
                set --
            }
            set -- "$@" "${object#??}"
        done
        flush "$from" "$@"
    }
}

# What is loose goes first: it may be packed meanwhile, and is found in the pack then.
for from; do
    there=$(cd "$from" 2>/dev/null && pwd -P) || continue
    [ "$there" = "$here" ] && continue
    printf '%s\n' "$commits" |
        GIT_OBJECT_DIRECTORY=$there ours cat-file --batch-check='%(objecttype) %(objectname)' |
        grep '^commit '
    { loose "$there" && packs "$there"; } 2>/dev/null ||
        { loose "$there" && packs "$there"; } 2>/dev/null ||
        { loose "$there" && packs "$there"; } || exit
done
[ -n "$task" ] || exit 0
if [ -s "$fresh" ]; then
    sort -u "$fresh" | xargs sync -- 2>/dev/null || sync
fi
if [ -s "$fresh.packs" ]; then
    mkdir -p ../adopted || exit
    cat "../adopted/$task" "$fresh.packs" 2>/dev/null | sort -u >"../adopted/tmp_$random" &&
        mv "../adopted/tmp_$random" "../adopted/$task"
    rm -f "$fresh.packs"
fi

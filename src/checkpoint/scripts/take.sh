# Takes what the plan says into the shadow, and makes a checkpoint of it.
#
# SHADOW TOKEN WORKSPACE MODE ID TIME PREVIOUS SAME STAGED BLOBS PACKER FORM
#   LENGTH META-FROM META-LENGTH
#   UNITS (NUMBER KIND PATH ADD-FROM ADD-LENGTH DROP-FROM DROP-LENGTH MANIFEST-FROM MANIFEST-LENGTH
#     AFTER-FROM AFTER-LENGTH)…
#   BESIDES (NAME KIND WHERE FROM LENGTH)…
#   PARENT…
#
# BLOBS is a program for perl, used if there is one and PACKER cannot; PACKER, if not empty, is a
# faster program that is asked in the form FORM. MODE is `save` or `now`. KIND of a unit is `work`,
# `git` or `file`; of what is beside the workspace `path` or `bytes`. FROM and LENGTH say where in
# the input something is; the first LENGTH is that of all of it. AFTER is what the next walk is to
# know of the files of the index.
shadow=$1 token=$2 ws=$3 mode=$4 id=$5 time=$6 previous=$7 same=$8 staged=$9
shift 9
blobs=$1 packer=$2 form=$3 whole=$4 meta_from=$5 meta_length=$6 units=$7
shift 7
tmp=$shadow/tmp/$token
in=$tmp/in
[ -d "$tmp" ] || exit 42
cat >"$in" || stop 43
# Whoever wrote it may have been killed meanwhile: without its lists all would seem to be unchanged.
[ "$(($(wc -c <"$in")))" = "$whole" ] || { echo 'the plan is cut off' >&2; stop 43; }
GIT_DIR=$shadow
export GIT_DIR

slice() {
    [ "$2" = 0 ] || tail -c "+$(($1 + 1))" "$in" | head -c "$2"
}

# Says which of the files named by the input cannot be opened.
closed='for path; do [ -r "$path" ] || [ -h "$path" ] || [ ! -e "$path" ] || printf "%s\000" "$path"; done'

# Takes in the files named in $tmp/add by way of packs, which is several times as fast for many of
# them. Fails without harm if that cannot be done.
many() {
    [ -n "$packer" ] && by_packer || by_perl
}

by_packer() {
    "$packer" pack "$form" files "$shadow/objects" "$tmp/add" "$tmp" || return
    git update-index -z --add --replace --index-info <"$tmp/entries" || return
    "$packer" pack "$form" index "$shadow/objects" "$GIT_INDEX_FILE" "$tmp" || :
    # What is left is not there yet.
    [ ! -s "$tmp/rest" ] || git update-index -z --add --remove --replace --stdin <"$tmp/rest"
}

by_perl() {
    command -v perl >/dev/null || return
    parts=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)
    [ "$parts" -le 4 ] || parts=4
    part=0 pids='' lists=''
    while [ "$part" -lt "$parts" ]; do
        set -- "$tmp/what.$part" "$tmp/marks.$part"
        {
            perl -e "$blobs" write "$part" "$parts" "$tmp/add" "$1" |
                git -c core.compression=1 -c fastimport.unpackLimit=0 fast-import --quiet --done \
                    --depth=0 --big-file-threshold=512m --export-marks="$2"
        } >/dev/null 2>"$tmp/said.$part" &
        pids="$pids $!" lists="$lists $part"
        part=$((part + 1))
    done
    for pid in $pids; do
        wait "$pid" || fine=no
    done
    [ "${fine-}" != no ] || return 1
    set --
    for part in $lists; do
        set -- "$@" "$tmp/what.$part" "$tmp/marks.$part"
    done
    perl -e "$blobs" index "$@" >"$tmp/entries" || return 1
    git update-index -z --add --replace --index-info <"$tmp/entries" || return 1
    set --
    for part in $lists; do
        set -- "$@" "$tmp/what.$part"
    done
    perl -e "$blobs" stat "$GIT_INDEX_FILE" "$@" || :
    # Trees that are in a pack need not be written one by one. If they are not, they are.
    git ls-files -s -z | perl -e "$blobs" trees |
        git -c core.compression=1 -c fastimport.unpackLimit=0 fast-import --quiet --done --depth=0 \
            --force >/dev/null || :
}

# Brings the index of the unit in $root in line with its files.
add() {
    if [ "$2" -gt 0 ]; then
        slice "$1" "$2" >"$tmp/add" || stop 43
        fine=''
        if [ "$(tr -cd '\000' <"$tmp/add" | wc -c)" -gt 2000 ] && many 2>/dev/null; then
            return 0
        fi
        if ! git update-index -z --add --remove --replace --stdin <"$tmp/add" 2>"$tmp/said"; then
            cat "$tmp/said" >&2
            probe
            sweep
            rm -f "$GIT_INDEX_FILE.lock"
            printf '%s' "$n" >"$tmp/unit"
            out unit "$tmp/unit"
            xargs -0 sh -c "$closed" sh <"$tmp/add" >"$tmp/closed"
            out closed "$tmp/closed"
            exit 44
        fi
    fi
}

# Makes a blob of a file or a link; says `MODE BLOB`.
one() {
    if [ -h "$1" ]; then
        link=$(readlink "$1"; printf x)
        link=${link%?x}
        printf '120000 %s' "$(printf %s "$link" | git hash-object -w --stdin)"
    else
        blob=$(git hash-object -w --no-filters -- "$1") || return
        if [ -x "$1" ]; then printf '100755 %s' "$blob"; else printf '100644 %s' "$blob"; fi
    fi
}

# Says that $tmp/blob.$1.$2 is to be a blob; of what is beside the workspace it is called $3.
blob() {
    printf 'blob.%s.%s\n' "$1" "$2" >>"$tmp/blobs" &&
        printf '%s %s %s\n' "$1" "$2" "${3-}" >>"$tmp/names" || stop 43
}

# Makes all those blobs at once, and the trees of them.
store() {
    if [ -s "$tmp/blobs" ]; then
        (cd "$tmp" && git hash-object -w --no-filters --stdin-paths) <"$tmp/blobs" >"$tmp/ids" || stop 43
        while read -r what name path <&3 && read -r hash <&4; do
            case $what in
            m | t) printf '100644 blob %s\t%s\n' "$hash" "$name" >>"$tmp/$what" ;;
            beside) printf '100644 %s\t%s\000' "$hash" "$path" >>"$tmp/beside" ;;
            meta) printf '100644 blob %s\tmeta.json\n' "$hash" >>"$tmp/top" ;;
            esac || stop 43
            [ "$what" != t ] || {
                read -r more length <"$tmp/sums.$name"
                printf '%s %s %s\n' "$hash" "$more" "$length" >"$tmp/times.$name"
            }
        done 3<"$tmp/names" 4<"$tmp/ids"
        : >"$tmp/blobs" && : >"$tmp/names" || stop 43
    fi
    [ -z "$stored" ] || return 0
    stored=yes
    if [ -s "$tmp/t" ]; then
        # An empty line ends a tree, and so does the end.
        { cat "$tmp/m" && echo && cat "$tmp/t"; } | git mktree --batch >"$tmp/ids" || stop 43
        { read -r m && read -r t; } <"$tmp/ids" || stop 43
    else
        m=$(git mktree <"$tmp/m") && t=$(git mktree </dev/null) || stop 43
    fi
    printf '040000 tree %s\tm\n' "$m" >>"$tmp/top" || stop 43
}

# Lists when each file of the index $1 was written, and how much they are. Git has six lines a file.
list_times() {
    [ -n "$packer" ] && "$packer" pack "$form" times "$tmp/index.$1" "$tmp/sums.$1" \
        "$tmp/blob.t.$1" 2>/dev/null && return
    GIT_INDEX_FILE=$tmp/index.$1 git ls-files --debug |
        awk -v sums="$tmp/sums.$1" 'NR % 6 == 3 { print $2 } NR % 6 == 0 { bytes += $2 }
            END { printf "%d %.0f\n", NR / 6, bytes >sums }' >"$tmp/blob.t.$1"
}

# Adds up how much the unit $1 is. The same index, as its checksum says, gives the same.
sum_up() {
    [ -f "$tmp/index.$1" ] || return 0
    if [ ! -f "$tmp/blob.t.$1" ]; then
        if cmp -s "$tmp/sum.$1" "$shadow/sum.$1" && read -r hash more length <"$shadow/times.$1" &&
            git cat-file -e "$hash" 2>/dev/null; then
            printf '100644 blob %s\t%s\n' "$hash" "$1" >>"$tmp/t" || stop 43
            files=$((files + more)) bytes=$((bytes + length))
            return 0
        fi
        list_times "$1" || stop 43
    fi
    blob t "$1"
    read -r more length <"$tmp/sums.$1" || stop 43
    files=$((files + more)) bytes=$((bytes + length))
}

for name in u m t top blobs names; do
    : >"$tmp/$name" || stop 43
done
numbers='' files=0 bytes=0 stored=''
while [ "$units" -gt 0 ]; do
    n=$1 kind=$2 root=$ws${3:+/$3}
    add_from=$4 add_length=$5 drop_from=$6 drop_length=$7 from=$8 length=$9
    after_from=${10} after_length=${11}
    shift 11
    units=$((units - 1))
    if [ "$kind" = file ]; then
        files=$((files + 1))
        entry=$(one "$root") || stop 43
        [ -h "$root" ] || bytes=$((bytes + $(wc -c <"$root")))
        printf '%s blob %s\t%s\n' "${entry% *}" "${entry#* }" "$n" >>"$tmp/u" || stop 43
    else
        numbers="$numbers $n"
        GIT_WORK_TREE=$root GIT_INDEX_FILE=$tmp/index.$n
        export GIT_WORK_TREE GIT_INDEX_FILE
        cd "$root" || stop 43
        [ ! -f "$tmp/state.$n" ] || slice "$after_from" "$after_length" >"$tmp/after.$n" || stop 43
        if [ "$drop_length" -gt 0 ]; then
            slice "$drop_from" "$drop_length" | git update-index -z --force-remove --stdin || stop 43
        fi
        add "$add_from" "$add_length"
        times=''
        rm -f "$tmp/blob.t.$n"
        if [ "$((add_length + drop_length))" != 0 ] || [ ! -f "$shadow/times.$n" ]; then
            list_times "$n" &
            times=$!
        fi
        tree=$(git write-tree) || stop 43
        [ ! -f "$tmp/index.$n" ] || tail -c 20 "$tmp/index.$n" >"$tmp/sum.$n" || stop 43
        if [ "$n" = 0 ]; then
            printf '040000 tree %s\tw\n' "$tree" >>"$tmp/top" || stop 43
        else
            printf '040000 tree %s\t%s\n' "$tree" "$n" >>"$tmp/u" || stop 43
        fi
    fi
    slice "$from" "$length" >"$tmp/blob.m.$n" || stop 43
    blob m "$n"
    if [ "$kind" != file ]; then
        [ -z "$times" ] || wait "$times" || stop 43
        sum_up "$n"
    fi
done
cd "$shadow" || stop 43
unset GIT_WORK_TREE GIT_INDEX_FILE
if [ -s "$tmp/u" ]; then
    tree=$(git mktree <"$tmp/u") || stop 43
    printf '040000 tree %s\tu\n' "$tree" >>"$tmp/top" || stop 43
fi

# Puts the indexes in their places. They are given the time when looking began, so that git reads
# again whatever was written since. What is known of an index goes before it, and is of use only
# when all of it is there.
keep() {
    for n in $numbers; do
        known=$shadow/state.$n
        set --
        [ ! -f "$tmp/looked.$n" ] || set -- "$tmp/looked.$n"
        if [ ! -f "$tmp/times.$n" ]; then
            rm -f "$known"
        else
            rm -f "$known" "$shadow/sum.$n"
            set -- "$@" "$tmp/times.$n" "$tmp/sum.$n"
        fi
        if [ -f "$tmp/index.$n" ]; then
            touch -r "$tmp/stamp" "$tmp/index.$n" || stop 43
            if [ -f "$tmp/after.$n" ]; then
                cat "$tmp/sum.$n" "$tmp/after.$n" "$tmp/state.$n" >"$tmp/known.$n" &&
                    set -- "$@" "$tmp/forced.$n" || rm -f "$tmp/known.$n"
            fi
            set -- "$@" "$tmp/index.$n"
        fi
        [ $# = 0 ] || mv -f "$@" "$shadow/" || stop 43
        [ ! -f "$tmp/known.$n" ] || mv -f "$tmp/known.$n" "$known"
    done
    [ ! -e "$tmp/recall" ] || rm -f "$shadow/secrets"
    rm -rf "$tmp"
    for old in "$shadow"/tmp/*; do
        [ ! -e "$old" ] || find "$old" -prune -mtime +0 -exec rm -rf {} +
    done
}

if [ -n "$same" ]; then
    store
    git ls-tree "$previous" w u m >"$tmp/before" 2>/dev/null
    sort "$tmp/top" >"$tmp/sorted"
    if sort "$tmp/before" | cmp -s - "$tmp/sorted"; then
        keep
        printf 'same 0\n'
        exit 0
    fi
fi

# Takes over what the checkpoint before has beside its workspace under the name $1, if that is whole.
again() {
    [ -n "$previous" ] || return 0
    git ls-tree -r -z --full-tree "$previous" "beside/$1" 2>/dev/null | tr '\000\n' '\n\000' \
        >"$tmp/again" || stop 43
    awk '{ print $3 }' "$tmp/again" | git cat-file --batch-check >"$tmp/ids" 2>/dev/null || return 0
    ! grep -q ' missing$' "$tmp/ids" || return 0
    awk -F '\t' '{ print $1 "\t" substr($0, length($1) + 9) }' "$tmp/again" | tr '\000\n' '\n\000' \
        >>"$tmp/beside" || stop 43
}

# What lies beside the workspace: files, directories, bytes.
beside() {
    case $2 in
    before)
        again "$1"
        return 0
        ;;
    bytes)
        besided=$((besided + 1))
        slice "$4" "$5" >"$tmp/blob.beside.$besided" || stop 43
        blob beside "$besided" "$1"
        return 0
        ;;
    *)
        # What is gone since, or was cut to nothing, stays as it was saved last.
        if [ ! -d "$3" ] && [ ! -s "$3" ]; then
            again "$1"
            return 0
        fi
        if [ -d "$3" ]; then
            (
                cd "$3" || exit
                GIT_WORK_TREE=$3 GIT_INDEX_FILE=$tmp/beside.dir
                export GIT_WORK_TREE GIT_INDEX_FILE
                rm -f "$GIT_INDEX_FILE"
                git ls-files -z -o >"$tmp/list"
                git update-index -z --add --remove --stdin <"$tmp/list" ||
                    { rm -f "$GIT_INDEX_FILE.lock"; git update-index -z --add --remove --stdin <"$tmp/list"; } ||
                    exit
                git ls-files -s -z | tr '\000\n' '\n\000' |
                    awk -F '\t' -v name="$1" '{ print $1 "\t" name "/" substr($0, length($1) + 2) }' |
                    tr '\000\n' '\n\000' >>"$tmp/beside"
            ) 2>/dev/null
            return 0
        fi
        [ -f "$3" ] || return 0
        entry=$(one "$3" 2>/dev/null) || { again "$1"; return 0; }
        entry="100644 ${entry#* }"
        ;;
    esac
    printf '%s\t%s\000' "$entry" "$1" >>"$tmp/beside"
}
: >"$tmp/beside"
besided=0
besides=$1
shift
while [ "$besides" -gt 0 ]; do
    beside "$1" "$2" "$3" "$4" "$5"
    shift 5
    besides=$((besides - 1))
done
{ slice "$meta_from" "$meta_length"; printf '"files":%s,"bytes":%s}' "$files" "$bytes"; } \
    >"$tmp/blob.meta.json" || stop 43
blob meta json
store
printf '040000 tree %s\tt\n' "$t" >>"$tmp/top" || stop 43
if [ -s "$tmp/beside" ]; then
    tree=$(
        GIT_INDEX_FILE=$tmp/index.beside
        export GIT_INDEX_FILE
        git update-index -z --index-info <"$tmp/beside" && git write-tree
    ) || stop 43
    printf '040000 tree %s\tbeside\n' "$tree" >>"$tmp/top" || stop 43
fi
[ -z "$staged" ] || printf '040000 tree %s\tstaged\n' "$staged" >>"$tmp/top" || stop 43

tree=$(git mktree <"$tmp/top") || stop 43

printf '%s %s %s' "$tree" "$files" "$bytes" >"$tmp/made"
if [ "$mode" = save ]; then
    differing=''
    if [ -n "$previous" ]; then
        # Large files are not compared line by line.
        git -c core.bigFileThreshold=4m diff-tree -r -z --raw --numstat --no-renames \
            --no-ext-diff --no-textconv "$previous" "$tree" -- w u >"$tmp/change" &
        differing=$!
    fi
    GIT_AUTHOR_NAME=Parhelia GIT_AUTHOR_EMAIL=parhelia@localhost GIT_AUTHOR_DATE=$time
    GIT_COMMITTER_NAME=Parhelia GIT_COMMITTER_EMAIL=parhelia@localhost GIT_COMMITTER_DATE=$time
    export GIT_AUTHOR_NAME GIT_AUTHOR_EMAIL GIT_AUTHOR_DATE
    export GIT_COMMITTER_NAME GIT_COMMITTER_EMAIL GIT_COMMITTER_DATE
    count=$#
    while [ "$count" -gt 0 ]; do
        set -- "$@" -p "$1"
        shift
        count=$((count - 1))
    done
    commit=$(printf '%s\n' "$id" | git commit-tree "$@" "$tree") || stop 43
    git update-ref "refs/checkpoints/$id" "$commit" || stop 43
    printf '%s %s %s' "$commit" "$files" "$bytes" >"$tmp/made"
    if [ -n "$differing" ]; then
        wait "$differing" || stop 43
        out change "$tmp/change"
    fi
fi
out made "$tmp/made"
keep
exit 0

# Lists what differs from what the shadow's indexes know, and what git does not show.
#
# SHADOW TOKEN WORKSPACE HUGE PREVIOUS ALONE SECRETS WALK GRACE PACKER FORM
#   COUNT INCLUDE… (NUMBER KIND PATH OUTER BELOW)…
#
# WALK is a program for perl, used if there is one and PACKER cannot; GRACE is for both. PACKER, if
# not empty, is a faster program that is asked in the form FORM. KIND is `work` or `git`. OUTER is
# the unit that this one is in, and BELOW its path there. SECRETS is not empty if secrets are wanted.
# ALONE is not empty if nothing is to be borrowed from the user's repository. What is listed is
# written as sections: `NAME.NUMBER LENGTH`, a newline, the bytes.
shadow=$1 token=$2 ws=$3 huge=$4 previous=$5 alone=$6 secrets=$7 steps=$8 grace=$9
packer=${10} form=${11}
count=${12}
shift 12
[ -d "$ws" ] || exit 40
command -v git >/dev/null || exit 41
tmp=$shadow/tmp/$token

# Makes the shadow, whole or not at all.
begin() {
    [ ! -e "$shadow" ] || exit 42
    new=$shadow.new-$token
    mkdir -p "$new" && git init -q --bare --template= "$new" >/dev/null || exit 43
    mkdir -p "$new/info" "$new/tmp" "$new/objects/info" || exit 43
    echo '* -text -eol -filter -ident -working-tree-encoding -merge' | cat >"$new/info/attributes" &&
        : >"$new/info/exclude" && cat >"$new/config" <<'CONFIG' || { rm -rf "$new"; exit 43; }
[core]
	repositoryformatversion = 0
	bare = true
	fileMode = true
	symlinks = true
	ignoreCase = false
	autocrlf = false
	safecrlf = false
	protectNTFS = false
	protectHFS = false
	precomposeUnicode = false
	excludesFile = /dev/null
	attributesFile = /dev/null
	fsmonitor = false
	untrackedCache = false
	splitIndex = false
	sparseCheckout = false
	hooksPath = /dev/null
	logAllRefUpdates = false
	compression = 1
	looseCompression = 1
	fsync = none
	trustctime = true
[index]
	sparse = false
	version = 2
[feature]
	manyFiles = false
[gc]
	auto = 0
[maintenance]
	auto = false
[submodule]
	recurse = false
[diff]
	renames = false
CONFIG
    mv "$new" "$shadow" 2>/dev/null || { rm -rf "$new"; [ -e "$shadow/HEAD" ] || exit 43; }
}

# Learns of the repository that the workspace is in; `repo` stays empty if there is none.
know() {
    repo='' prefix='' gitdir='' common='' shallow='' format='' extra=''
    facts=$(user rev-parse --show-prefix --absolute-git-dir --git-common-dir \
        --is-shallow-repository --show-object-format 2>/dev/null) || return 0
    { read -r prefix; read -r gitdir; read -r common; read -r shallow; read -r format; read -r extra; } <<FACTS
$facts
FACTS
    case $common in /*) ;; *) common=$ws/$common ;; esac
    # A newline in a path would have shifted the lines.
    [ -n "$format" ] && [ -z "$extra" ] && [ -d "$gitdir" ] && [ -d "$common" ] || return 0
    repo=yes
    inside=no
    if [ -z "$prefix" ] && [ "$(cd "$common" && pwd -P)" = "$(cd "$gitdir" && pwd -P)" ]; then
        case $(cd "$gitdir" && pwd -P) in "$(cd "$ws" && pwd -P)"/*) inside=yes ;; esac
    fi
}

# Learns where that repository stands.
position() {
    head='' branch=''
    [ -n "$repo" ] || return 0
    user config -z --get-regexp \
        '^(remote\..*\.(url|promisor)|extensions\.partialclone|core\.sparsecheckout)$' \
        >"$tmp/config" 2>/dev/null
    head=$(user rev-parse -q --verify 'HEAD^{commit}')
    branch=$(user symbolic-ref -q HEAD)
    : >"$tmp/refs"
    : >"$tmp/tips"
    if [ "$inside" = yes ]; then
        fields='%(objecttype) %(objectname) %(*objecttype) %(*objectname) %(refname)'
        user for-each-ref --format="$fields" refs/heads refs/tags refs/stash >"$tmp/refs"
        if [ -n "$head" ]; then
            user for-each-ref --no-merged "$head" --format="$fields" refs/heads refs/tags refs/stash
        else
            cat "$tmp/refs"
        fi >"$tmp/tips" 2>/dev/null
        ! [ -f "$common/logs/refs/stash" ] || stashes
    fi
}

# Lets the shadow read the user's objects instead of having copies.
borrow() {
    file=$shadow/objects/info/alternates
    if [ -n "$repo" ] && [ "$format" = sha1 ] && [ -z "$alone" ] && [ -d "$common/objects" ]; then
        line=$(cd "$common/objects" && pwd -P)
        [ -d "$shadow/objects/info" ] || mkdir -p "$shadow/objects/info" || stop 43
        # What it borrowed from before may still be needed.
        if ! { [ -f "$file" ] && grep -qxF -e "$line" "$file"; }; then
            { cat "$file" 2>/dev/null; printf '%s\n' "$line"; } >"$tmp/alternates" &&
                mv "$tmp/alternates" "$file" || stop 43
        fi
    fi
    if [ -f "$file" ]; then
        while IFS= read -r line; do
            [ -d "$line" ] || stop 42
        done <"$file"
    fi
}

# Copies the user's index, and makes a tree of it.
stage() {
    staged=''
    [ -n "$repo" ] && [ -z "$prefix" ] && [ "$format" = sha1 ] && [ -z "$alone" ] || return 0
    if [ ! -e "$gitdir/index" ]; then
        staged=$(GIT_INDEX_FILE=$tmp/none git --git-dir="$shadow" write-tree 2>/dev/null)
        return 0
    fi
    # The same index gives the same tree; one without a checksum may be any.
    key=$(tail -c 20 "$gitdir/index" 2>/dev/null | od -An -tx1 | tr -d ' \n')
    if [ -f "$shadow/index.0" ] && [ -f "$shadow/staged" ]; then
        { read -r known; read -r staged; } <"$shadow/staged"
        [ "$key" != "$known" ] || ! git --git-dir="$shadow" cat-file -e "$staged^{tree}" 2>/dev/null ||
            return 0
        staged=''
    fi
    cp -p "$gitdir/index" "$tmp/staged" 2>/dev/null || return 0
    if [ -n "$(user rev-parse --shared-index-path 2>/dev/null)" ] ||
        tr '\000\n' '\n\000' <"$tmp/config" | tr -d '\000' | grep -q '^core.sparsecheckouttrue$'; then
        # It is not whole by itself.
        user ls-files -s -z >"$tmp/entries" 2>/dev/null || return 0
        rm -f "$tmp/staged"
        odd=yes
        GIT_INDEX_FILE=$tmp/staged git --git-dir="$shadow" update-index -z --index-info \
            <"$tmp/entries" 2>/dev/null || return 0
    else
        odd=''
    fi
    staged=$(GIT_INDEX_FILE=$tmp/staged git --git-dir="$shadow" write-tree 2>/dev/null) || staged=''
    # It may have been written in between.
    case $key in '' | *[!0]*) ;; *) key='' ;; esac
    if [ -n "$staged" ] && [ -n "$key" ] && [ -z "$odd" ] && [ -f "$shadow/index.0" ] &&
        [ "$key" = "$(tail -c 20 "$tmp/staged" | od -An -tx1 | tr -d ' \n')" ]; then
        printf '%s\n%s\n' "$key" "$staged" >"$tmp/key" && mv -f "$tmp/key" "$shadow/staged"
    fi
}

# Finds the index to begin with: what the shadow has, else the user's own, whose entries say which
# files need not be read.
index() {
    idx=$tmp/index.$1
    if [ -f "$shadow/index.$1" ]; then
        cp -p "$shadow/index.$1" "$idx" || stop 43
    elif [ "$1" = 0 ] && [ -s "$tmp/staged" ] && [ -z "$odd" ]; then
        rm -f "$shadow/sum.0" "$shadow/state.0" "$shadow/staged"
        cp -p "$gitdir/index" "$idx" 2>/dev/null || return 0
        if ! GIT_INDEX_FILE=$idx git --git-dir="$shadow" ls-files -v >"$tmp/flags" 2>/dev/null; then
            rm -f "$idx"
        elif grep -q '^[a-zS]' "$tmp/flags"; then
            # Files that git was told not to look at are looked at.
            for flag in --no-assume-unchanged --no-skip-worktree; do
                GIT_INDEX_FILE=$idx git --git-dir="$shadow" ls-files -z |
                    GIT_INDEX_FILE=$idx git --git-dir="$shadow" --work-tree="$ws" \
                        update-index -z $flag --stdin || { rm -f "$idx"; break; }
            done
        fi
        [ ! -f "$idx" ] || converting=yes
    fi
}

# Lists those files of a copy of the user's index whose content there is not what the file holds:
# git converts ends of lines, encodings and what filters do. Where only ends of lines differ the
# length does.
unconvert() {
    if [ -n "$packer" ] && {
        "$packer" pack "$form" objects "$idx" - "$tmp/objects" &&
            git --git-dir="$shadow" cat-file --batch-check='%(objectsize)' <"$tmp/objects" \
                >"$tmp/sizes" &&
            "$packer" pack "$form" differing "$idx" "$tmp/sizes" "$tmp/converted"
    } 2>/dev/null; then
        return
    fi
    {
        GIT_INDEX_FILE=$idx git --git-dir="$shadow" ls-files -s |
            awk '{ print $1 == "160000" ? "-" : $2 }' |
            git --git-dir="$shadow" cat-file --batch-check='%(objectsize)' >"$tmp/sizes"
        GIT_INDEX_FILE=$idx git --git-dir="$shadow" ls-files --debug |
            awk 'NR % 6 == 0 { print $2 }' | paste "$tmp/sizes" - |
            awk '/missing/ { next } $1 != $2 { print NR }' >"$tmp/differing"
        if [ -s "$tmp/differing" ]; then
            GIT_INDEX_FILE=$idx git --git-dir="$shadow" ls-files -z | tr '\000\n' '\n\000' |
                awk 'NR == FNR { differs[$1]; next } FNR in differs' "$tmp/differing" - |
                tr '\000\n' '\n\000'
        fi
    } >"$tmp/converted"
}

# Tells whether files may have attributes, which the walk saw if there was one.
has_attributes() {
    [ -f "$common/info/attributes" ] || [ -f "$home/.config/git/attributes" ] ||
        [ -f /etc/gitattributes ] || [ -s "$tmp/attributes.0" ] ||
        [ -n "$(user config core.attributesFile)" ] ||
        [ -n "$(user ls-files -c -- .gitattributes '*/.gitattributes' | head -n 1)" ] ||
        { [ ! -e "$tmp/attributes.0" ] &&
            [ -n "$(user ls-files -o -- .gitattributes '*/.gitattributes' | head -n 1)" ]; }
}

# Takes those files out of the index, so that they are read. What else may be converted is known by
# its attributes.
unlist() {
    if has_attributes; then
        user ls-files -z | user check-attr -z --stdin filter ident working-tree-encoding |
            tr '\000\n' '\n\000' | awk 'NR % 3 == 1 { path = $0 }
                NR % 3 == 0 && $0 != "unspecified" && $0 != "unset" { print path }' |
            tr '\000\n' '\n\000' >>"$tmp/converted"
    fi
    [ -s "$tmp/converted" ] || return 0
    git update-index -z --force-remove --stdin <"$tmp/converted" || stop 43
    tr '\000\n' '\n\000' <"$tmp/converted" |
        awk '{ print ":100644 100644 0 0 M"; print }' | tr '\000\n' '\n\000' >>"$tmp/changed.$1"
}

# For find: names, then what ls says of them, sorted by name, each in one line: some do that unasked
# and do not know the letter.
q=q
ls -dq / >/dev/null 2>&1 || q=''
export q
list='printf "%s\000" "$@"; printf "\000"; ls -ldn$q -- "$@"; printf "\000"'
empty='printf "%s\000" "$@" >>"$empties"'

# Finds what git does not show: other permissions, empty directories, what is no file, large files,
# and what is called `.git`. Directories in $@ are ignored ones.
walk='
    set -- "$@" ./.git/
    first=yes
    for path; do
        shift
        case $path in
        ./.git/) ;;
        *) set -- "$@" -o -path "$path" ;;
        esac
    done
    find . ! -name . -name ".[gG][iI][tT]" -prune -exec sh -c "$list" sh {} + \
        -o \( -path ./. "$@" \) -prune \
        -o -type d -empty -exec sh -c "$empty" sh {} + -exec sh -c "$list" sh {} + \
        -o \( -type d ! -perm "$dirs" -o -type f ! -perm "$files" ! -perm "$executables" \
            -o -type f -size "+${huge}c" -o ! -type f ! -type d ! -type l \
            -o -type l -name ".[gG][iI][tT][mM][oO][dD][uU][lL][eE][sS]" -o -name . \) \
            -exec sh -c "$list" sh {} +
'
files=$(printf %o $((0666 & ~0$mask)))
executables=$(printf %o $((0777 & ~0$mask)))
dirs=$executables
export list empty huge files executables dirs

# Begins to look at the unit $1 of kind $2 in $root.
enter() {
    GIT_DIR=$shadow GIT_WORK_TREE=$root GIT_INDEX_FILE=$tmp/index.$1
    export GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE
    cd "$root" || stop 43
    if [ "$2" = git ]; then
        standard='' exclude=''
    else
        standard=--exclude-standard exclude=$tmp/exclude.$1
        : >"$exclude"
        case $1 in
        0)
            if [ -n "$repo" ]; then
                [ ! -s "$common/info/exclude" ] || cat "$common/info/exclude"
                above
            fi
            ;;
        *) cat "$root/.git/info/exclude" || cat "$(git --git-dir="$root/.git" rev-parse --git-path info/exclude)" ;;
        esac >"$exclude" 2>/dev/null
    fi
    walking=''
    [ "$count" = 0 ] && [ -n "$packer$perl" ] || return 0
    state=$shadow/state.$1 theirs=''
    [ -z "$secrets" ] && [ ! -e "$tmp/recall" ] || state=''
    [ "$1" != 0 ] || [ -z "$repo" ] || theirs=$gitdir/index
    # By a program that need not look at everything every time.
    if [ -n "$packer" ]; then
        become "$1" "$2" "$packer" pack "$form" walk &
    else
        become "$1" "$2" perl -e "$steps" &
    fi
    walking=$!
}

# Becomes the program $3… that looks at the unit $1 of kind $2.
become() {
    at=$1 of=$2
    shift 2
    exec "$@" "$tmp" "$at" "$of" "$mask" "$huge" "$grace" "$state" "$exclude" "$theirs" \
        2>"$tmp/walked"
}

# Waits until the unit $1 of kind $2 has been looked at. Fails if that could not be done so.
by_walk() {
    [ -n "$walking" ] || return 1
    wait "$walking"
    code=$?
    case $code in
    0 | 4) ;;
    *)
        [ -n "$packer" ] && [ -n "$perl" ] || return 1
        (become "$1" "$2" perl -e "$steps")
        code=$?
        ;;
    esac
    case $code in
    0) IFS= read -r ways <"$tmp/rules.$1" || : ;;
    4) cat "$tmp/walked" >&2; stop 43 ;;
    *) return 1 ;;
    esac
}

# For repositories that an index names: says which are not there, or are none any more.
hollow='for path; do
    [ -d "./$path" ] && [ ! -h "./$path" ] && { [ -e "./$path/.git" ] || [ -h "./$path/.git" ]; } ||
        printf "%s\000" "$path"
done'

# For files that an index names: says which are no directories, but for repositories.
real='for path; do
    [ -d "./$path" ] && [ ! -h "./$path" ] && [ ! -e "./$path/.git" ] || printf "%s\000" "$path"
done'

# For directories: lists the files in them as git does.
within='for path; do
    find "./$path" -name ".[gG][iI][tT]" -prune -o \( -type f -o -type l \) \
        -exec sh -c '\''for path; do printf "%s\000" "${path#./}"; done'\'' sh {} +
done'

# Takes what was found so out of the index: git does not look into what it takes for a repository.
unlink_hollow() {
    [ ! -s "$tmp/hollow.$1" ] || git update-index -z --force-remove --stdin <"$tmp/hollow.$1" || stop 43
}

# Looks at a unit by git and find.
by_lists() {
    rm -f "$tmp/state.$1"
    git ls-files -s -z | tr '\000\n' '\n\000' | awk '/^160000 / { print substr($0, index($0, "\t") + 1) }' |
        tr '\000\n' '\n\000' | xargs -0 sh -c "$hollow" sh >"$tmp/hollow.$1" || stop 43
    unlink_hollow "$1"
    empties=$tmp/empty.$1
    export empties
    : >"$empties"
    : >"$tmp/seen.$1"
    {
        : >"$tmp/ignored.$1"
        if [ -n "$standard" ]; then
            git ls-files -z -o -i $standard -X "$exclude" --directory >"$tmp/ignored.$1" 2>/dev/null
        fi
        # Only directories, and not too many, are worth a test at every step; what is not passed
        # over here is sorted out later. With patterns to include nothing is passed over.
        {
            if [ "$count" = 0 ]; then
                tr '\000\n' '\n\000' <"$tmp/ignored.$1" |
                    sed -n '/\/$/{s/[][*?\\]/\\&/g;s|/$||;s|^|./|;p;}' | head -n 200 |
                    tr '\000\n' '\n\000'
            fi
            printf './.git/\000'
        } | xargs -0 sh -c "$walk" sh >"$tmp/found.$1" 2>"$tmp/lost.$1" ||
            ! grep -qv -e ': Permission denied$' -e ': No such file or directory$' "$tmp/lost.$1"
    } &
    walking=$!
    git ls-files -z -o ${standard:+"$standard"} ${exclude:+-X "$exclude"} \
        >"$tmp/new.$1" 2>"$tmp/shut.$1" &
    listing=$!
    git diff-files -z --raw --no-abbrev --ignore-submodules=all >"$tmp/changed.$1" || stop 43
    wait "$listing" || { cat "$tmp/shut.$1" >&2; stop 43; }
    # A unit without rules is taken whole; git does not look into repositories in it.
    [ -n "$standard" ] || {
        tr '\000\n' '\n\000' <"$tmp/new.$1" | sed -n 's|/$||p' | tr '\000\n' '\n\000' |
            xargs -0 sh -c "$within" sh >>"$tmp/new.$1" || stop 43
    }
    wait "$walking" || { cat "$tmp/lost.$1" >&2; stop 43; }
}

# Lists what is in an index although it is ignored: ours, and the user's.
ignored_of_indexes() {
    [ "$ways" != none ] || return 0
    [ "$ways" != same ] || ! cp "$shadow/forced.$1" "$tmp/forced.$1" 2>/dev/null || return 0
    {
        if [ "$1" != 0 ]; then
            (ws=$root; user ls-files -z -c -i $standard)
        elif [ -n "$repo" ]; then
            user ls-files -z -c -i $standard
        fi >"$tmp/named.$1" 2>/dev/null
        if [ -s "$tmp/named.$1" ]; then
            xargs -0 sh -c "$real" sh <"$tmp/named.$1" >"$tmp/forced.$1"
            # Nobody would see what it becomes.
            cmp -s "$tmp/named.$1" "$tmp/forced.$1" || rm -f "$tmp/state.$1"
        fi
        :
    } &
    [ "$ways" != ours ] || wait "$!"
    # What is ignored was taken out of ours, but for what was in the user's.
    [ "$ways" = ours ] && cmp -s "$shadow/forced.$1" "$tmp/forced.$1" ||
        git ls-files -z -c -i $standard -X "$exclude" >"$tmp/dropped.$1" || stop 43
    wait "$!" || :
}

# Lists the unit $1 of kind $2 in $root into files.
look() {
    for what in included kept forced dropped held inherited; do
        : >"$tmp/$what.$1"
    done
    if [ "$1" = 0 ] && [ -n "$converting" ]; then
        unconvert || stop 43
    fi
    ways=other
    if by_walk "$1" "$2"; then unlink_hollow "$1"; else by_lists "$1"; fi
    [ "$1" != 0 ] || [ -z "$converting" ] || unlist "$1"
    if [ -n "$standard" ]; then
        ignored_of_indexes "$1"
        if [ "$count" != 0 ]; then
            git ls-files -z -o -i -X "$tmp/include" >"$tmp/included.$1" || stop 43
            git ls-files -z -c -i -X "$tmp/include" >"$tmp/kept.$1" || stop 43
        fi
    fi
    if [ "$2" = work ] && [ -e "$tmp/recall" ]; then
        git ls-files -z -c >"$tmp/held.$1" || stop 43
    fi
    if [ "$2" = work ] && [ "$1" != 0 ] && [ -f "$tmp/index.$3" ]; then
        # Files that were those of the unit around it.
        GIT_INDEX_FILE=$tmp/index.$3 git --work-tree=/ --literal-pathspecs \
            ls-files -z --full-name -- "/$4/" >"$tmp/inherited.$1" || stop 43
    fi
    for what in changed new shut ignored found seen empty dropped forced included kept held inherited; do
        out "$what.$1" "$tmp/$what.$1"
    done
    [ ! -f "$tmp/state.$1" ] || say "state.$1" kept
}

perl=$(command -v perl)
[ -e "$shadow/HEAD" ] || begin
mkdir -p "$tmp" || exit 43
git --git-dir="$shadow" rev-parse --git-dir >/dev/null || stop 42
# Once borrowing has failed it is not tried again.
[ -z "$alone" ] || : >"$shadow/alone"
[ ! -e "$shadow/alone" ] || alone=yes
: >"$tmp/stamp"
: >"$tmp/include"
included=$count
while [ "$included" -gt 0 ]; do
    printf '%s\n' "$1" >>"$tmp/include"
    included=$((included - 1))
    shift
done

# Secrets that were wanted once are looked for until they are gone.
if [ -n "$secrets" ] || [ "$count" != 0 ]; then
    : >"$shadow/secrets"
elif [ -e "$shadow/secrets" ]; then
    : >"$tmp/recall"
fi
converting='' odd='' begun=''
if [ "${1-}" = 0 ]; then
    know
    borrow
    if [ -f "$shadow/index.0" ]; then
        # The walk takes longest, so it begins at once.
        root=$ws begun=yes
        index 0
        enter 0 work
    fi
    position
    stage
    if [ -n "$previous" ]; then
        if git --git-dir="$shadow" cat-file blob "$previous:meta.json" >"$tmp/previous" 2>/dev/null; then
            out previous "$tmp/previous"
        elif git --git-dir="$shadow" for-each-ref --format='%(objectname)' refs/checkpoints 2>/dev/null |
            grep -qxF -e "$previous"; then
            stop 42
        fi
    fi
    printf '%s\000' "$mask" "$repo" "$prefix" "${inside-}" "$shallow" "${alone:-$format}" "${head-}" \
        "${branch-}" "$staged" >"$tmp/facts"
    out facts "$tmp/facts"
    for what in config refs tips; do
        [ -f "$tmp/$what" ] && out "$what" "$tmp/$what"
    done
else
    repo=''
fi
while [ $# -ge 5 ]; do
    n=$1 kind=$2 root=$ws${3:+/$3} outer=$4 below=$5
    shift 5
    if [ "$n" != 0 ] || [ -z "$begun" ]; then
        index "$n"
        enter "$n" "$kind"
    fi
    look "$n" "$kind" "$outer" "$below"
done
exit 0

# Writes a pack of what the commit $2 of the repository $1 needs and a repository lacks that holds
# the commits on standard input. $3 is `--thin` if differences may be to what only the other side has:
# less travels, but as much is stored there, since a pack must stand for itself. $4, unless it is
# empty, is among how many objects differences are looked for. Ends with 9 if there is no such commit.
GIT_DIR=$1 thin=$3 window=$4
export GIT_DIR
ours cat-file -e "$2^{commit}" 2>/dev/null || exit 9
# "Shallow", and the trees, make what the other side has count whether or not it is an ancestor.
{
    printf '%s\n' "$2"
    ours cat-file --batch-check='%(objecttype) ^%(objectname)' | 
        awk '$1 == "commit" { print $2; print $2 "^{tree}" }'
} | {
    # Differences to long files take much memory, and are looked for where they count.
    set --
    [ -n "$thin" ] || set -- -c pack.threads=2 -c pack.windowMemory=192m
    ours "$@" pack-objects --revs $thin ${window:+"--window=$window"} --shallow \
        --delta-base-offset -q --stdout
}

# Writes a pack of all that the commit $2 of the repository $1 consists of, and its parents without
# what was before them, of each object a copy that can be read. $3 is a name that nobody else uses,
# $4, unless it is empty, another repository on this machine to take copies from. What can be read
# nowhere is left out. Ends with 9 if there is no such commit.
cd "$1" || exit
dir=$PWD/objects/tmp_objdir-$3 commit=$2 other=$4
GIT_DIR=$PWD GIT_OBJECT_DIRECTORY=$dir
export GIT_DIR GIT_OBJECT_DIRECTORY
trap 'code=$?; [ "$code" = 0 ] || probe "$dir.probe"; rm -rf "$dir"; exit "$code"' EXIT
mkdir "$dir" "$dir/pack" "$dir/info" && printf '..\n' >"$dir/info/alternates" || exit
[ -z "$other" ] || printf '%s/objects\n' "$other" >>"$dir/info/alternates" || exit
ours cat-file -e "$commit^{commit}" || exit 9
ours cat-file commit "$commit" | sed -n '/^$/q; s/^parent //p' |
    ours cat-file --batch-check='%(objecttype) %(objectname)' 2>/dev/null |
    sed -n 's/^commit //p' >"$dir/parents" || exit
{ echo "$commit" && cat "$dir/parents"; } | ours rev-list --stdin \
    --objects --no-walk --no-object-names --missing=print >"$dir/all" || exit
grep -v '^?' "$dir/all" >"$dir/list" || exit
# Git gives up at the first that it cannot read, and names it.
tries=0
until ours pack-objects -q --stdout --window=0 --no-reuse-object \
    <"$dir/list" >"$dir/it" 2>"$dir/said"; do
    sed -n 's/$/ /; s/^fatal: .*[^0-9a-f]\([0-9a-f]\{40\}\)[^0-9a-f].*/\1/p' "$dir/said" >"$dir/bad"
    [ -s "$dir/bad" ] && [ "$tries" -lt 100 ] && grep -qFf "$dir/bad" "$dir/list" || {
        cat "$dir/said" >&2
        exit 1
    }
    grep -vFf "$dir/bad" "$dir/list" >"$dir/all" && mv "$dir/all" "$dir/list" || exit
    tries=$((tries + 1))
done
cat "$dir/it"

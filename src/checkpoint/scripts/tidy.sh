# Packs what is loose, drops what nothing needs any more, and clears away what was left lying.
shadow=$1
[ -e "$shadow/HEAD" ] || exit 0
GIT_DIR=$shadow
export GIT_DIR
cd "$shadow" || exit
find tmp/. ! -name . -prune -mtime +0 -exec rm -rf {} +
find objects -name 'tmp_*' -mtime +0 -exec rm -rf {} +
find "$shadow".new-* -prune -mtime +0 -exec rm -rf {} + 2>/dev/null
git pack-refs --all || exit
# What the indexes name is kept too, or each would have to read its files again. What is borrowed
# stays where it is.
for index in index.*; do
    [ -f "$index" ] || continue
    tree=$(GIT_INDEX_FILE=$index git write-tree 2>/dev/null) || continue
    git update-ref "refs/indexes/$index" "$(printf index | GIT_AUTHOR_NAME=P GIT_AUTHOR_EMAIL=p \
        GIT_COMMITTER_NAME=P GIT_COMMITTER_EMAIL=p git commit-tree "$tree")" || exit
done
git repack -q -a -d -l --window=5 --depth=20 --threads=1 || exit
git prune --expire=1.hour.ago || exit

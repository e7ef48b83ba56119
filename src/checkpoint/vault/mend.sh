# Takes the pack on standard input into the repository $1, in the place of what is there under the
# same names, which may be damaged: nothing of it is read. $2 is a name that nobody else uses, $3
# whether it must be on disk.
cd "$1" || exit
dir=objects/tmp_objdir-$2 fsync=$3
GIT_DIR=$PWD GIT_OBJECT_DIRECTORY=$PWD/$dir
export GIT_DIR GIT_OBJECT_DIRECTORY
trap 'code=$?; [ "$code" = 0 ] || probe "$GIT_DIR/$dir.probe"; rm -rf "$GIT_DIR/$dir"; exit "$code"' EXIT
mkdir "$dir" "$dir/pack" || exit
pack=$(ours index-pack --stdin) || exit
pack=pack-${pack#*[[:space:]]}
cd "$dir/pack" || exit
git show-index <"$pack.idx" | sed 's/^[0-9]* \(..\)\([0-9a-f]*\).*/\1\/\2/' >../ids || exit
[ "$fsync" = none ] || durable "$pack".* || exit
for end in pack rev idx; do
    [ ! -e "$pack.$end" ] || mv -f "$pack.$end" "../../pack/$pack.$end" || exit
done
cd ../.. || exit
[ "$fsync" = none ] || durable pack || exit
# Git asks the newest pack first, and packs before loose objects.
xargs rm -f <"${dir#objects/}/ids" || exit
# What is damaged and kept as it is would win when all is packed anew.
unset GIT_OBJECT_DIRECTORY
for kept in pack/pack-*.keep; do
    [ ! -e "$kept" ] || ours verify-pack "${kept%.keep}.idx" 2>/dev/null ||
        rm -f "$kept"
done

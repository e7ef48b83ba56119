# Takes the pack on standard input into the repository $1: first beside its objects, and among them
# only if the commit $2 is whole then. $3 is a name that nobody else uses, $4 whether it must be on
# disk; the rest are commits that are whole already. Prints how many bytes were added. Ends with 8 if
# the commit is not whole.
cd "$1" || exit
dir=objects/tmp_objdir-$3 commit=$2 fsync=$4
shift 4
GIT_DIR=$PWD GIT_OBJECT_DIRECTORY=$PWD/$dir
export GIT_DIR GIT_OBJECT_DIRECTORY
trap 'code=$?; [ "$code" = 0 ] || probe "$GIT_DIR/$dir.probe"; rm -rf "$GIT_DIR/$dir"; exit "$code"' EXIT
mkdir "$dir" "$dir/pack" "$dir/info" && printf '..\n' >"$dir/info/alternates" || exit
pack=$(ours index-pack --stdin --fix-thin) || exit
pack=pack-${pack#*[[:space:]]}
ours rev-list --objects-edge-aggressive --quiet "$commit" --not "$@" || exit 8
cd "$dir/pack" || exit
# Everything was there already: an empty pack.
git show-index <"$pack.idx" | grep -q . || exit 0
[ "$fsync" = none ] || durable "$pack".* || exit
ls -ln "$pack".* | awk '{ sum += $5 } END { printf "%.0f\n", sum }' || exit
for end in pack rev idx; do
    [ ! -e "$pack.$end" ] || mv -f "$pack.$end" "../../pack/$pack.$end" || exit
done
cd ../../.. || exit
[ "$fsync" = none ] || durable objects/pack

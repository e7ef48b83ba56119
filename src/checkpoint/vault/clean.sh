# Removes from the repository $1 what killed commands left, when nothing else writes to it: git's
# own locks and unfinished files, known by their names, and ours. Then packs the references.
cd "$1" 2>/dev/null || exit 0
GIT_DIR=$PWD
export GIT_DIR
rm -rf objects/tmp_objdir-*
rm -f objects/tmp_adopt-* objects/tmp_fresh-* adopted/tmp_* \
    objects/pack/tmp_* objects/pack/.tmp-* packed-refs.new \
    packed-refs.lock HEAD.lock config.lock HEAD.?* config.?*
find objects -type f -path 'objects/[0-9a-f][0-9a-f]/tmp_obj_*' -exec rm -f {} +
find refs -type f -name '*.lock' -exec rm -f {} +
# References that are gone must not come back when power fails: what they need goes next.
ours pack-refs --all --no-prune && { [ ! -e packed-refs ] || durable packed-refs .; } || exit
ours pack-refs --all --prune && find refs -type d -exec sh -c 'sync -- "$@" 2>/dev/null || sync' sh {} +

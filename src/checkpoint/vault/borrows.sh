# Prints the directories that the repository $1 borrows objects from, as git quotes them, and the
# parents of its commit $2. Ends with 9 if there is no such commit.
GIT_DIR=$1
export GIT_DIR
parents=$(ours rev-list --parents --no-walk "$2" -- 2>/dev/null) && [ -n "$parents" ] || exit 9
ours count-objects -v | grep '^alternate: '
for parent in $parents; do
    [ "$parent" = "$2" ] || printf 'parent: %s\n' "$parent"
done

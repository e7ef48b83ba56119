# Ends well if the repository $1 holds all that the commit $2 and its parents consist of.
GIT_DIR=$1
export GIT_DIR
parents=$(ours rev-list --parents --no-walk "$2" -- 2>/dev/null) && [ -n "$parents" ] || exit 9
# Parents are names of commits, and no name has a space.
ours rev-list --objects --no-walk --quiet $parents -- 2>/dev/null || exit 9

# Prints commits that the repository $1 holds with all they need: the newest checkpoints below the
# reference $2, and then what any checkpoint, newest first, says the user's history was.
GIT_DIR=$1
export GIT_DIR
ours for-each-ref --count=64 --sort=-creatordate --format='%(objectname)' "$2"
ours for-each-ref --count=200 --sort=-creatordate --format='%(parent)' refs/checkpoints |
    tr ' ' '\n' | awk 'length && !seen[$0]++ && ++count <= 200'

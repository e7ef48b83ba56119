# What every script begins with: no settings but ours, one language, our own eyes only.
set -u
home=${HOME-}
case $(env) in
*GIT_*)
    for name in $(env | sed -n 's/^\(GIT_[A-Za-z0-9_]*\)=.*/\1/p'); do
        unset "$name"
    done
    ;;
esac
unset CDPATH QUOTING_STYLE TIME_STYLE LS_BLOCK_SIZE BLOCK_SIZE BLOCKSIZE POSIXLY_CORRECT
mask=$(umask)
umask 077
LC_ALL=C HOME=/nonexistent XDG_CONFIG_HOME=/nonexistent
GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 GIT_TERMINAL_PROMPT=0 GIT_OPTIONAL_LOCKS=0
GIT_NO_LAZY_FETCH=1
export LC_ALL HOME XDG_CONFIG_HOME GIT_NO_LAZY_FETCH
export GIT_CONFIG_GLOBAL GIT_CONFIG_NOSYSTEM GIT_TERMINAL_PROMPT GIT_OPTIONAL_LOCKS

# Runs git on the user's repository with the user's own settings, so that git trusts what they
# trust. It only reads; nothing of theirs is run, and nothing is fetched that is not there.
user() {
    (
        unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_CONFIG_GLOBAL GIT_CONFIG_NOSYSTEM
        unset XDG_CONFIG_HOME
        HOME=$home
        exec git -C "$ws" -c core.fsmonitor=false -c core.hooksPath=/dev/null \
            -c core.untrackedCache=false -c core.excludesFile=/dev/null \
            -c submodule.recurse=false -c protocol.allow=never "$@"
    )
}

# Writes the file $2 as the section $1.
out() {
    [ -s "$2" ] || { printf '%s 0\n' "$1"; return; }
    printf '%s %s\n' "$1" "$(($(wc -c <"$2")))"
    cat "$2"
}

# Writes the text $2 as the section $1.
say() {
    printf '%s %s\n%s' "$1" "${#2}" "$2"
}

# Lets the system say it if there is no room: a shell has its own words for that, and git has none
# where it fails to write an index.
probe() {
    [ -d "$tmp" ] || return 0
    {
        printf '%65536s' ''
        [ ! -f "${GIT_INDEX_FILE-}" ] || cat "$GIT_INDEX_FILE"
    } | cat >"$tmp/probe"
    rm -f "$tmp/probe"
}

# Removes the unfinished objects of a git that gave up: they may be all the room there was.
sweep() {
    find "$shadow/objects" -type f \( -name 'tmp_obj_*' -o -path '*/pack/tmp_*' \) \
        -newer "$tmp/stamp" -exec rm -f {} + 2>/dev/null
}

# Ends with a status that says what kind of trouble it is: 40 no workspace, 41 no git, 42 not a
# repository of ours any more, 43 git refused, or there is no room.
stop() {
    if [ -n "${tmp-}" ]; then
        [ "$1" != 43 ] || { probe; sweep; }
        rm -rf "$tmp"
    fi
    exit "$1"
}

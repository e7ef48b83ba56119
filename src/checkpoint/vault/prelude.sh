# Begins every script: nothing of a surrounding git, and nothing of the user's settings, counts.
for name in $(env | sed -n 's/^\(GIT_[A-Za-z0-9_]*\)=.*/\1/p'); do unset "$name"; done
LC_ALL=C GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null GIT_NO_REPLACE_OBJECTS=1
GIT_TERMINAL_PROMPT=0 GIT_NO_LAZY_FETCH=1
export LC_ALL GIT_CONFIG_NOSYSTEM GIT_CONFIG_GLOBAL GIT_NO_REPLACE_OBJECTS
export GIT_TERMINAL_PROMPT GIT_NO_LAZY_FETCH
umask 077
command -v git >/dev/null || exit 127

# Puts files and directories on disk. A system whose `sync` takes no names syncs everything.
durable() {
    sync -- "$@" 2>/dev/null && return
    sync -- / 2>/dev/null || { sync; return; }
    sync -- "$@"
}

# Lets the system say it if there is no room for a file at $1: a shell has its own words for that.
probe() {
    printf '%65536s' '' | cat >"$1"
    rm -f "$1"
}

# Git in a repository of ours, whatever its own configuration says.
ours() {
    git -c core.bare=true -c core.hooksPath=/dev/null -c gc.auto=0 \
        -c maintenance.auto=false -c core.logAllRefUpdates=false -c core.fsyncMethod=fsync \
        -c "core.fsync=$fsync" -c core.bigFileThreshold=512m -c core.commitGraph=false \
        -c core.quotePath=false -c pack.compression=1 -c pack.windowMemory=512m -c pack.threads=1 \
        -c pack.deltaCacheSize=64m -c pack.packSizeLimit=0 -c transfer.fsckObjects=false "$@"
}
fsync=all

# Makes the repository $1, or what is missing of it. $2 is a name that nobody else uses.
[ -s "$1/HEAD" ] && [ -s "$1/config" ] && [ -d "$1/objects/pack" ] && [ -d "$1/refs" ] && exit
mkdir -p "$1/objects/pack" "$1/objects/info" "$1/refs" && cd "$1" || exit
put() {
    [ -s "$1" ] || { cat >"$1.$2" && durable "$1.$2" && mv "$1.$2" "$1"; }
}
put config "$2" <<'END' || exit
[core]
	repositoryformatversion = 0
	filemode = true
	bare = true
	logAllRefUpdates = false
	hooksPath = /dev/null
[gc]
	auto = 0
[maintenance]
	auto = false
END
printf 'ref: refs/heads/none\n' | put HEAD "$2" || exit
durable objects/pack objects/info objects refs . ..


# Adds to what there is of references the stashes before the newest, as many as are kept.
stashes() {
    user rev-list -g -n 50 refs/stash 2>/dev/null |
        awk 'NR > 1 { print "commit " $1 "   refs/stash@{" NR - 1 "}" }' >"$tmp/stashes"
    cat "$tmp/stashes" >>"$tmp/refs" && cat "$tmp/stashes" >>"$tmp/tips"
}

# Writes the ignore rules of the directories above a workspace that is not the top of its repository,
# the nearest last, as the workspace sees them. A rule for the workspace itself is none here: someone
# works in it.
above() {
    [ -n "$prefix" ] || return 0
    at=$(user rev-parse --show-toplevel) && [ -d "$at" ] || return 0
    under=${prefix%/}
    while :; do
        [ ! -f "$at/.gitignore" ] || [ -h "$at/.gitignore" ] || lowered "$under" <"$at/.gitignore"
        case $under in
        */*) at=$at/${under%%/*} under=${under#*/} ;;
        *) return 0 ;;
        esac
    done
}

# Reads ignore rules and writes them as they are for the directory $1 below.
lowered() {
    while IFS= read -r rule || [ -n "$rule" ]; do
        not='' below=$1
        case $rule in
        '' | '#'*) continue ;;
        '!'*) not='!' rule=${rule#'!'} ;;
        esac
        case ${rule%/} in
        */*)
            rule=${rule#/}
            while [ -n "$below" ]; do
                case $rule in
                '**/'*) break ;;
                */?*) ;;
                *) continue 2 ;;
                esac
                want=${rule%%/*}
                case ${below%%/*} in $want) ;; *) continue 2 ;; esac
                rule=${rule#*/}
                case $below in */*) below=${below#*/} ;; *) below='' ;; esac
            done
            case $rule in '**/'*) ;; *) rule=/$rule ;; esac
            ;;
        esac
        printf '%s%s\n' "$not" "$rule"
    done
}

# Prints how many bytes the repository $1 takes: what it shares by links with the user's
# repositories is not counted, what a shadow shares with it is.
cd "$1" 2>/dev/null || { echo 0; exit; }
{
    find . -type f -links 1 -exec ls -ln {} +
    for pack in objects/pack/pack-*.pack; do
        [ ! -e "$pack" ] || [ -e "${pack%.pack}.keep" ] ||
            find "${pack%.pack}".* -type f -links +1 -exec ls -ln {} +
    done
} 2>/dev/null | awk '{ sum += $5 } END { printf "%.0f\n", sum }'

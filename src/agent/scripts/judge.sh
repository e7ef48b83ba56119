# Tells whether $1 is a whole number that can be calculated with. Nothing else ever is: a shell may
# run what stands in a calculation, and takes a leading zero for octal.
number() {
    case $1 in
    '' | *[!0-9]* | 0?*) return 1 ;;
    esac
    [ "${#1}" -le 16 ]
}

# Reads the lease: when it was written and until when it holds, by the writer's clock; what may be
# spent; what may be spent at the very most; and from which totals on that is counted.
read_lease() {
    written='' until='' share='' hard='' bases=' '
    {
        IFS=' ' read -r word a b c d rest || return 1
        [ "$word" = parhelia-lease-1 ] || return 1
        number "$a" && number "$b" || return 1
        written=$a until=$b
        if [ "$c" != - ]; then
            number "$c" && number "$d" || return 1
            share=$c hard=$d
        fi
        lines=0
        while [ "$lines" -lt 1000 ] && IFS=' ' read -r id base how rest; do
            lines=$((lines + 1))
            case $id in
            '' | *[!A-Za-z0-9-]*) continue ;;
            esac
            number "$base" || continue
            [ "$how" = carried ] && base=$base+
            bases="$bases$id=$base "
        done
    } 2>/dev/null <"$dir/lease"
}

# Adds up what was spent since the lease was written, in millionths of a dollar. The first total of a
# conversation that an earlier launch had may be less than what that launch saw, and none of it was
# spent in this one.
add_up() {
    spent=0
    for file in "$dir"/spent/*; do
        [ -f "$file" ] || continue
        id=${file##*/}
        first='' last=''
        IFS=' ' read -r first last rest <"$file"
        number "$first" && number "$last" || continue
        base=0
        case $bases in
        *" $id="*)
            base=${bases#*" $id="}
            base=${base%% *}
            ;;
        esac
        case $base in
        *+)
            base=${base%+}
            [ "$first" -ge "$base" ] || base=$first
            ;;
        esac
        [ "$last" -le "$base" ] || spent=$((spent + last - base))
    done
}

# Tells whether the lease is spent. Nothing spent is no reason to end anything, even where nothing
# may be.
is_spent() {
    [ -n "$share" ] && [ 0 -lt "$spent" ] && [ "$share" -le "$spent" ]
}

# Sets micros to a JSON number of dollars in millionths, rounded to the nearest.
micros() {
    whole=$1 part='' shift=0
    case $whole in
    *[eE]*)
        shift=${whole#*[eE]}
        whole=${whole%%[eE]*}
        ;;
    esac
    case $whole in
    *.*)
        part=${whole#*.}
        whole=${whole%%.*}
        ;;
    esac
    case $whole$part in
    '' | *[!0-9]*) return 1 ;;
    esac
    case $shift in
    0) ;;
    -*)
        shift=${shift#-}
        number "$shift" && [ "$shift" -le 40 ] || { shift=0 whole=0 part=''; }
        while [ "$shift" -gt 0 ]; do
            rest=${whole%?}
            part=${whole#"$rest"}$part
            whole=${rest:-0}
            shift=$((shift - 1))
        done
        ;;
    # More money than there is.
    *) whole=999999999 part='' ;;
    esac
    while :; do
        case $whole in
        0?*) whole=${whole#0} ;;
        *) break ;;
        esac
    done
    [ "${#whole}" -le 9 ] || whole=999999999
    part=${part}000000
    rest=${part#??????}
    micros=$whole${part%"$rest"}
    while :; do
        case $micros in
        0?*) micros=${micros#0} ;;
        *) break ;;
        esac
    done
    case $rest in
    [5-9]*) micros=$((micros + 1)) ;;
    esac
}

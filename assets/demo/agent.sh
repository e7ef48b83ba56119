#!/bin/sh
# The scripted agent of `parhelia demo`. It stands in for Claude Code where there is none: no key,
# no network, no model. Towards Parhelia it behaves as Claude does: it calls the hooks and the
# status line of its settings, keeps a registry file and a transcript, asks before it deletes, and
# takes its orders from the keyboard. What it edits in its work tree it really edits.
#
# What it plays is in scenes.sh beside it. POSIX sh; it draws on the main screen, so that what went
# by can be scrolled back.
if [ "${1:-}" = --version ]; then
    echo '2.1.329 (Parhelia demo agent)'
    exit 0
fi
base=${0%/*}
own=$base/own/$$
umask 077
mkdir -p "$own" || exit 1

settings='' conversation='' source=startup prompt='' name=demo mode=''
while [ $# -gt 0 ]; do
    case $1 in
    --session-id) conversation=$2 && shift ;;
    --resume) conversation=$2 source=resume && shift ;;
    --settings) settings=$2 && shift ;;
    --permission-mode) mode=$2 && shift ;;
    --name) name=$2 && shift ;;
    --model) shift ;;
    --) prompt=$2 && break ;;
    esac
    shift
done
hooks=$(cat "$settings")
registry=$base/home/.claude/sessions/$$.json
transcript=$base/home/.claude/projects/demo/$conversation.jsonl
mkdir -p "${registry%/*}" "${transcript%/*}"
work=$PWD
first=$(git rev-parse HEAD 2>/dev/null)

esc=$(printf '\033') cr=$(printf '\r') tab=$(printf '\t') del=$(printf '\177') bs=$(printf '\010')
eof=$(printf '\004') intr=$(printf '\003') kill_line=$(printf '\025')
lf='
'
dim="$esc[2m" bold="$esc[1m" plain="$esc[0m" label="$esc[1;30;43m" blue="$esc[36m" red="$esc[31m"

# ---- what Parhelia is told ------------------------------------------------------------------

# Prints $1 as lines, without what could steer a terminal.
harmless() {
    printf '%s\n' "$1" | tr -d '\000-\010\013-\037\177'
}

# Prints $1 as the inside of a JSON string.
json() {
    harmless "$1" |
        sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e "s/$tab/\\\\t/g" -e '$!s/$/\\n/' | tr -d '\n'
}

# Runs the hook for event $1 with the further fields $2, as Claude would: JSON in, JSON out.
hook() {
    case $hooks in
    *"\"$1\":[{"*) ;;
    *) return 0 ;;
    esac
    hook_command=${hooks#*\"$1\":\[\{\"hooks\":\[\{}
    hook_command=${hook_command#*\"command\":\"}
    printf '{"session_id":"%s","transcript_path":"%s","cwd":"%s","prompt_id":"%s","permission_mode":"%s","hook_event_name":"%s"%s}' \
        "$conversation" "$transcript" "$work" "$turn" "$mode" "$1" "${2:-}" |
        CLAUDE_PID=$$ sh -c "${hook_command%%\"*}"
}

registry() {
    ticks=$(((ticks + 1) % 1000))
    printf '{"pid":%s,"sessionId":"%s","cwd":"%s","version":"2.1.329","kind":"interactive","name":"%s","status":"%s"%s,"statusUpdatedAt":%s%03d}\n' \
        "$$" "$conversation" "$work" "$(json "$name")" "$1" "${2:-}" "$(date +%s)" "$ticks" >"$registry"
}

# Tells the status line what was spent, $1 micro-dollars more than before, and what was edited.
status() {
    spent=$((spent + $1))
    printf '%s\n' "$spent" >"$base/own/total.$conversation"
    [ -z "$edited" ] || count_lines
    status_command=${hooks#*\"statusLine\":\{\"command\":\"}
    bottom=$(printf '{"session_id":"%s","transcript_path":"%s","model":{"id":"demo-agent","display_name":"Demo"},"cost":{"total_cost_usd":%d.%06d,"total_lines_added":%d,"total_lines_removed":%d},"context_window":{"used_percentage":%d}}' \
        "$conversation" "$transcript" $((spent / 1000000)) $((spent % 1000000)) \
        "$added" "$removed" "$context" | sh -c "${status_command%%\"*}" 2>/dev/null)
}

count_lines() {
    edited=
    git -C "$work" add -A -N . 2>/dev/null
    counts=$(git -C "$work" diff --numstat "$first" 2>/dev/null |
        awk '{ a += $1; r += $2 } END { printf "%d %d", a, r }')
    added=${counts% *} removed=${counts#* }
}

# Appends one line to the transcript: its type $1 and the further fields $2.
write() {
    printf '{"type":"%s","sessionId":"%s","cwd":"%s","timestamp":"%s","uuid":"%s-%s"%s}\n' \
        "$1" "$conversation" "$work" "$(date -u +%Y-%m-%dT%H:%M:%S.000Z)" "$$" "$messages" "$2" \
        >>"$transcript"
    messages=$((messages + 1))
}

# An assistant's message with the content block $1 and believable usage.
message() {
    context=$((context < 90 ? context + 1 : context))
    write assistant ",\"requestId\":\"req-$$-$messages\",\"message\":{\"id\":\"msg-$$-$messages\",\"role\":\"assistant\",\"model\":\"demo-agent\",\"content\":[$1],\"usage\":{\"input_tokens\":$((messages % 9 + 3)),\"output_tokens\":$((messages * 37 % 400 + 60)),\"cache_read_input_tokens\":$((14000 + messages * 420)),\"cache_creation_input_tokens\":$((messages * 53 % 900 + 200))}}"
}

# ---- the screen -----------------------------------------------------------------------------

size() {
    rows=$(stty size <&3 2>/dev/null)
    cols=${rows#* } rows=${rows% *}
    case $cols in '' | 0 | *[!0-9]*) cols=80 rows=24 ;; esac
    rule=$(printf "%${cols}s" '' | sed 's/ /─/g')
}

# Breaks $1 into lines of at most $2 characters; with wide ones, of half as many.
wrap() {
    wrap_width=$2
    case $1 in *[!\ -~"$lf$tab"]*) wrap_width=$((wrap_width / 2)) ;; esac
    [ "$wrap_width" -ge 8 ] || wrap_width=8
    printf '%s\n' "$1" | sed "s/.\\{$wrap_width\\}/&\\
/g"
}

# Puts text above the box: mark $1, text $2, style $3. It is kept as it is, since another width
# breaks it into other lines.
say() {
    entry=$(harmless "$2" | tr "$tab" ' ' | sed -e "1s/^/$1$tab$3$tab/" -e "1!s/^/ $tab$3$tab/")
    printf '%s\n' "$entry" >>"$own/log"
    erase
    printf '%s\n' "$entry" | lay_out
    draw
}

gap() {
    say '' '' ''
}

# Breaks kept text into lines that fit.
lay_out() {
    awk -F "$tab" -v all=$((cols - 4)) -v plain="$plain$esc[K" '{
        width = $1 ~ /DEMO/ ? all - 6 : all
        start = $1 " " $2
        text = substr($0, length($1) + length($2) + 3)
        while (length(text) > width) {
            for (at = width + 1; at > width / 2 && substr(text, at, 1) != " "; at--) {
            }
            if (at <= width / 2) {
                print start substr(text, 1, width) plain
                text = substr(text, width + 1)
            } else {
                print start substr(text, 1, at - 1) plain
                text = substr(text, at + 1)
            }
            start = "  " $2
            width = all
        }
        print start text plain
    }'
}

erase() {
    [ "$below" -eq 0 ] || printf '%s[%dB' "$esc" "$below"
    [ "$drawn" -le 1 ] || printf '%s[%dA' "$esc" $((drawn - 1))
    [ "$drawn" -eq 0 ] || printf '\r%s[J' "$esc"
    drawn=0 below=0
}

# Draws the box, or the dialog in its place, and remembers how many lines that took and how many
# of them are below the cursor.
draw() {
    hint='/help says what it knows · /exit'
    [ -z "$busy" ] || hint='working · esc to interrupt'
    [ "$cols" -ge 50 ] || hint=
    if [ -n "$dialog" ]; then
        picture=$(printf '%s\n' "$dialog" | fold -s -w $((cols - 1)))
        picture="$rule$lf$picture$lf  $label DEMO $plain"
        park="$esc[?25l" below=0
    else
        shown=$draft
        [ -z "$pasted" ] || shown="[Pasted text #1 +$pasted lines]"
        box=$(wrap "$shown" $((cols - 4)) | sed -e '1s/^/❯ /' -e '1!s/^/  /')
        picture="$rule$lf$box$lf$rule$lf  $(printf '%s' "$bottom" | cut -c1-$((cols - 4)))"
        picture="$picture$lf  $label DEMO $plain $dim$hint$plain"
        column=2 below=3
        if [ -n "$shown" ]; then
            end=${box##*"$lf"}
            end=${end#❯ }
            column=$(printf '%s' "${end#  }" | wc -m)
            column=$((column + 2))
        fi
        park=$(printf '%s[%dA\r%s[%dC%s[?25h' "$esc" "$below" "$esc" "$column" "$esc")
    fi
    drawn=$(printf '%s\n' "$picture" | wc -l)
    drawn=$((drawn))
    printf '%s%s' "$picture" "$park"
}

redraw() {
    resized=
    size
    printf '%s[H%s[2J' "$esc" "$esc"
    drawn=0 below=0
    tail -n "$rows" "$own/log" | lay_out
    draw
}

refresh() {
    erase
    draw
}

# ---- keys -----------------------------------------------------------------------------------

# Waits for keys, at most $1 tenths of a second; 0 waits for ever and costs nothing. The bytes are
# in $key; empty if none came. A reader that a signal cut short is waited for again.
listen() {
    if [ -z "$reader" ]; then
        if [ "$1" != "$timing" ]; then
            timing=$1
            if [ "$1" -eq 0 ]; then
                stty min 1 time 0 <&3
            else
                stty min 0 time "$1" <&3
            fi 2>/dev/null
        fi
        dd bs=4096 count=1 <&3 >"$own/key" 2>/dev/null &
        reader=$!
    fi
    key=
    wait "$reader"
    if [ $? -gt 128 ] && kill -0 "$reader" 2>/dev/null; then
        [ -z "$resized" ] || redraw
        return 0
    fi
    reader=
    key=$(cat "$own/key" && printf .)
    key=${key%.}
    [ -z "$resized" ] || redraw
    # For ever, and yet nothing: the terminal is gone.
    [ -n "$key" ] || [ "$timing" -ne 0 ] || leave 0 other
}

# Takes the keys in $key into the draft. Sets $entered to a prompt that was sent, and $pressed to
# `escape` or the like.
take() {
    entered='' pressed=''
    before=$draft$pasted
    key=$torn$unread$key
    torn='' unread=
    while [ -n "$key" ]; do
        case $key in
        "$esc[200~"*"$esc[201~"*)
            paste=${key#"$esc[200~"}
            key=${paste#*"$esc[201~"}
            paste=${paste%%"$esc[201~"*}
            draft=$draft$(harmless "$(printf '%s' "$paste" | tr '\r' '\n')")
            lines=$(printf '%s' "$draft" | wc -l)
            pasted=
            [ "$lines" -lt 6 ] || pasted=$((lines))
            ;;
        "$esc[200~"*)
            # The rest of the paste comes with the next keys.
            torn=$key key=
            ;;
        "$esc["*)
            # A key this agent has no use for: up to its last character.
            key=${key#"$esc["}
            key=${key#"${key%%[A-Za-z~]*}"}
            key=${key#?}
            ;;
        "$esc"O[A-Za-z]*) key=${key#???} ;;
        "$esc"*) pressed=escape key=${key#"$esc"} ;;
        "$intr"*) pressed=interrupt key=${key#"$intr"} ;;
        "$eof"*)
            key=${key#"$eof"}
            [ -n "$draft" ] || pressed=end
            ;;
        "$kill_line"*)
            key=${key#"$kill_line"}
            draft='' pasted=''
            ;;
        "$del"* | "$bs"*)
            key=${key#?}
            draft=$(printf '%s' "$draft" | sed '$s/.$//')
            ;;
        "$cr"*)
            key=${key#"$cr"}
            if [ -n "$draft" ]; then
                entered=$draft draft='' pasted='' unread=$key key=
            else
                pressed=enter
            fi
            ;;
        *)
            run=${key%%["$esc$intr$eof$kill_line$del$bs$cr"]*}
            key=${key#"$run"}
            draft=$draft$run
            ;;
        esac
    done
    [ "$before" = "$draft$pasted" ] || refresh
}

# Works for $1 tenths of a second. Keys go on being taken; fails if the turn was interrupted.
pause() {
    [ "$1" -gt 0 ] || return 0
    listen "$1"
    [ -n "$key$unread" ] || return 0
    take
    case $pressed in
    escape | interrupt) return 1 ;;
    esac
    if [ -n "$entered" ]; then
        hook UserPromptSubmit ",\"prompt\":\"$(json "$entered")\"" >/dev/null
        queue=$entered
        say "$dim❯$plain" "$entered" "$dim"
    fi
    return 0
}

# ---- turns ----------------------------------------------------------------------------------

# Says $1, on the screen and in the transcript.
text() {
    message "{\"type\":\"text\",\"text\":\"$(json "$1")\"}"
    say "$blue●$plain" "$1" ''
    last=$1
}

# Uses tool $1 with the input $2 (JSON), which is shown as $3; $4 tenths later the result is $5.
# The rest of the arguments is run as a command at that time.
tool() {
    tool_name=$1 tool_input=$2 tool_result=$5 tool_time=$4
    tool_id=toolu_$$_$messages
    message "{\"type\":\"tool_use\",\"id\":\"$tool_id\",\"name\":\"$1\",\"input\":$2}"
    hook PreToolUse ",\"tool_name\":\"$1\",\"tool_input\":$2,\"tool_use_id\":\"$tool_id\"" >/dev/null
    say "$blue●$plain" "$1($3)" "$bold"
    shift 5
    pause "$tool_time" || return 1
    result 0 "$@"
}

# Ends the tool: runs the command behind $1, if any, and writes down what came of it.
result() {
    failed=$1
    shift
    if [ $# -gt 0 ]; then
        "$@" >/dev/null 2>&1
        edited=yes
    fi
    result_error=false event=PostToolUse
    [ "$failed" -eq 0 ] || result_error=true event=PostToolUseFailure
    write user ",\"message\":{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"$tool_id\",\"is_error\":$result_error,\"content\":\"$(json "$tool_result")\"}]}"
    hook $event ",\"tool_name\":\"$tool_name\",\"tool_input\":$tool_input,\"tool_use_id\":\"$tool_id\"" >/dev/null
    say " $dim⎿$plain" "$tool_result" "$dim"
    status $((messages * 613 % 4000 + 10000))
}

# Asks: tool $1, input $2 (JSON), the dialog's text $3, what is waited for $4. Sets $verdict to
# allow, deny or escape, $said to the words that came with it, and $choice to the key pressed.
# The hook and the keyboard may both answer; the first one counts.
ask() {
    tool_name=$1 tool_input=$2
    tool_id=toolu_$$_$messages
    message "{\"type\":\"tool_use\",\"id\":\"$tool_id\",\"name\":\"$1\",\"input\":$2}"
    hook PreToolUse ",\"tool_name\":\"$1\",\"tool_input\":$2,\"tool_use_id\":\"$tool_id\"" >/dev/null
    erase
    dialog=$3 verdict='' said='' choice='' busy=''
    draw
    registry waiting ",\"waitingFor\":\"$4\""
    reply=$own/reply.$messages
    (
        hook PermissionRequest ",\"tool_name\":\"$1\",\"tool_input\":$2,\"permission_suggestions\":[]" >"$reply.new" 2>/dev/null
        mv -f "$reply.new" "$reply"
        kill -USR1 "$$"
    ) </dev/null &
    asking="$asking $!"
    while [ -z "$verdict" ]; do
        # The signal cuts this short; one that comes just before it costs two seconds.
        listen 20
        [ -z "$key" ] || ask_key
        [ -n "$verdict" ] || [ ! -s "$reply" ] || ask_reply
    done
    erase
    dialog='' draft='' pasted='' busy=yes
    draw
    [ "$verdict" = escape ] || registry busy
}

ask_key() {
    case $key in
    [1-9]* | y | n) choice=${key%"${key#?}"} ;;
    "$cr"*) choice=1 ;;
    "$esc" | "$intr") choice=escape ;;
    *) return ;;
    esac
    case $choice in
    y) verdict=allow choice=1 ;;
    n | escape) verdict=escape ;;
    *)
        verdict=allow
        [ "$choice" -le "$options" ] || verdict='' choice=
        [ "$choice" != "$refusal" ] || verdict=escape
        ;;
    esac
}

ask_reply() {
    answer=$(cat "$reply")
    case $answer in
    *'"behavior":"deny"'*)
        verdict=deny
        said=${answer#*\"message\":\"}
        said=${said%%\"*}
        ;;
    *'"behavior":"allow"'*)
        verdict=allow choice=1
        case $answer in
        *'"answers":{'*)
            said=${answer#*\"answers\":\{}
            said=${said#*\":\"}
            said=${said%%\"*}
            choice=
            ;;
        esac
        ;;
    esac
}

# Plays one turn for the prompt $1. A queued prompt was told of when it was typed.
play() {
    busy=yes
    registry busy
    if [ "$2" != queued ]; then
        turns=$((turns + 1)) turn=$conversation-$turns
        hook UserPromptSubmit ",\"prompt\":\"$(json "$1")\"" >/dev/null
        say "$bold❯$plain" "$1" "$bold"
    fi
    write user ",\"message\":{\"role\":\"user\",\"content\":\"$(json "$1")\"}"
    gap
    last=Done. failure=
    if scene "$1"; then
        busy=
        gap
        if [ -n "$failure" ]; then
            hook StopFailure ",\"error\":\"$failure\",\"last_assistant_message\":\"$(json "$last")\"" >/dev/null
        else
            hook Stop ",\"stop_hook_active\":false,\"last_assistant_message\":\"$(json "$last")\",\"background_tasks\":[]" >/dev/null
        fi
    else
        busy=
        write user ',"message":{"role":"user","content":[{"type":"text","text":"[Request interrupted by user]"}]}'
        say " $dim⎿$plain" 'Interrupted. What should be done instead?' "$red"
        gap
    fi
    [ -n "$queue" ] || registry idle
}

leave() {
    trap '' HUP INT TERM WINCH USR1
    rm -f "$registry"
    hook SessionEnd ",\"reason\":\"$2\"" >/dev/null 2>&1
    for process in $reader $asking; do
        kill "$process" 2>/dev/null
    done
    stty "$modes" <&3 2>/dev/null
    erase
    printf '%s[?2004l%s[?25hThe demo agent has left.\n' "$esc" "$esc"
    rm -rf "$own"
    exit "$1"
}

busy='' dialog='' draft='' pasted='' queue='' unread='' torn='' reader='' asking='' resized='' timing='' edited=''
bottom='' drawn=0 below=0 turns=0 messages=0 ticks=0 context=4 added=0 removed=0 turn='' failure='' last=''
spent=$(cat "$base/own/total.$conversation" 2>/dev/null || echo 0)
exec 3<&0
modes=$(stty -g <&3 2>/dev/null)
trap 'leave 143 other' TERM
trap 'leave 129 other' HUP
trap 'resized=yes' WINCH
trap : USR1
: >"$own/log"
. "$base/scenes.sh"
stty -icanon -echo -isig -ixon -icrnl <&3 2>/dev/null
printf '%s[?2004h' "$esc"
size
registry idle
hook SessionStart ",\"source\":\"$source\"" >/dev/null
say "$label DEMO $plain" "a script stands in for Claude Code; nothing leaves this machine" ''
say ' ' "$name · $work" "$dim"
gap
begin
[ -z "$prompt" ] || play "$prompt" given
refresh
while :; do
    if [ -n "$queue" ]; then
        entered=$queue queue=
        play "$entered" queued
        refresh
        continue
    fi
    key=
    [ -n "$unread" ] || listen 0
    take
    case $entered in
    '') ;;
    /exit | /quit | exit | quit) leave 0 prompt_input_exit ;;
    /*) command_line "$entered" ;;
    *) play "$entered" typed && refresh ;;
    esac
    case $pressed in
    interrupt | end) leave 0 prompt_input_exit ;;
    esac
done

#!/bin/sh
# Stands in for Claude Code where a test needs hundreds of sessions: towards Parhelia it behaves
# like one short turn with one tool. It calls the hooks and the status line of its settings, keeps
# a registry file and a transcript, and stays at its prompt until it is told to leave.
#
# The prompt may hold these words:
#   leave     ends with status 0 after the turn
#   crash     ends with status 3 in the middle of the turn
#   gate      stays in its tool until $HOME/stand-in/open is there
#   spend     goes on and on, at $0.30 a response, until it is ended
#   risky     its tool is a command that deletes
#
# It writes to $HOME/stand-in:
#   starts              a line for each start: task, launch directory, process id
#   total.CONVERSATION  what the conversation cost so far, in micro-dollars
#   argv.TASK env.TASK  what it was given, each word with a NUL byte after it
if [ "${1:-}" = --version ]; then
    echo '2.1.329 (Claude Code)'
    exit 0
fi
own=$HOME/stand-in
printf '%s\0' "$@" >"$own/argv.$PARHELIA_TASK"
[ -z "${STAND_IN_ENV:-}" ] || env -0 >"$own/env.$PARHELIA_TASK"

settings='' conversation='' source=startup prompt=''
while [ $# -gt 0 ]; do
    case $1 in
    --session-id) conversation=$2 && shift ;;
    --resume) conversation=$2 source=resume && shift ;;
    --settings) settings=$2 && shift ;;
    --permission-mode | --model | --name) shift ;;
    --) prompt=$2 && break ;;
    esac
    shift
done
# One write of a short line, so that those of two starts do not mix.
printf '%s %s %s\n' "$PARHELIA_TASK" "${settings%/settings.json}" "$$" >>"$own/starts"

text=$(cat "$settings")
registry=$HOME/.claude/sessions/$$.json
transcript=$HOME/.claude/projects/stand-in/$conversation.jsonl
base=$(cat "$own/total.$conversation" 2>/dev/null || echo 0)

hook() {
    case $text in
    *"\"$1\":[{"*) ;;
    *) return ;;
    esac
    command=${text#*\"$1\":\[\{\"hooks\":\[\{}
    command=${command#*\"command\":\"}
    printf '{"session_id":"%s","transcript_path":"%s","hook_event_name":"%s"%s}' \
        "$conversation" "$transcript" "$1" "${2:-}" |
        CLAUDE_PID=$$ sh -c "${command%%\"*}" >/dev/null
}

status() {
    command=${text#*\"statusLine\":\{\"command\":\"}
    total=$((base + $1))
    # What was shown is what was paid, so it is kept first.
    printf '%s\n' "$total" >"$own/total.$conversation"
    printf '{"session_id":"%s","cost":{"total_cost_usd":%d.%06d,"total_lines_added":1}}' \
        "$conversation" $((total / 1000000)) $((total % 1000000)) |
        sh -c "${command%%\"*}" >/dev/null
}

registry() {
    printf '{"pid":%s,"sessionId":"%s","status":"%s"}\n' "$$" "$conversation" "$1" >"$registry"
}

say() {
    printf '%s\n' "$1" >>"$transcript"
}

# What it cost is never lost, so the transcript has it as after an end in good order.
if [ "$source" = resume ]; then
    head="{\"type\":\"cost-state\",\"sessionId\":\"$conversation\",\"totalCostUSD\":"
    say "$head$(printf '%d.%06d' $((base / 1000000)) $((base % 1000000)))}"
fi
tokens='"usage":{"input_tokens":2,"output_tokens":3}'
registry idle
hook SessionStart ",\"source\":\"$source\""
status 0
if [ -n "$prompt" ]; then
    registry busy
    hook UserPromptSubmit ',"prompt":"as it was given"'
    say '{"type":"user","message":{"role":"user","content":"as it was given"}}'
    status $(($$ / 3))
    tool=true
    case $prompt in *risky*) tool='rm -rf cache' ;; esac
    hook PreToolUse ",\"tool_name\":\"Bash\",\"tool_input\":{\"command\":\"$tool\"}"
    case $prompt in
    *crash*) exit 3 ;;
    *spend*) cost=$$; while :; do cost=$((cost + 300000)); status $cost; sleep 0.1; done ;;
    *gate*) until [ -e "$own/open" ]; do sleep 0.05; done ;;
    esac
    hook PostToolUse ',"tool_name":"Bash","tool_input":{"command":"true"}'
    say "{\"type\":\"assistant\",\"message\":{\"id\":\"m$$\",\"content\":[],$tokens}}"
    status $$
    hook Stop ',"last_assistant_message":"Done."'
    registry idle
fi
case $prompt in
*leave*) ;;
*) while IFS= read -r line; do [ "$line" != /exit ] || break; done ;;
esac
rm -f "$registry"
hook SessionEnd ',"reason":"prompt_input_exit"'
exit 0

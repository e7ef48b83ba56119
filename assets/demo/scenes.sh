# What the agent of `parhelia demo` plays: sourced by agent.sh, which has the words used here.
# The tasks of the demo are known by their names, any other by words in its prompt.

# What a conversation had cost when it is seen first, in micro-dollars.
begin() {
    launched=$base/own/launched.$PARHELIA_TASK
    again=
    [ ! -e "$launched" ] || again=yes
    : >"$launched"
    if [ -n "$again" ]; then
        status $((spent == 0 ? 4000 : 0))
    elif [ "$spent" -eq 0 ]; then
        case $name in
        fix-auth-race) before=4310000 context=71 ;;
        docs-rewrite) before=880000 context=22 ;;
        sql-indexes) before=1070000 context=31 ;;
        port-to-axum) before=2120000 context=48 ;;
        flaky-e2e) before=740000 context=19 ;;
        bump-deps) before=110000 ;;
        review-pr-812) before=520000 context=26 ;;
        rename-crate) before=640000 context=17 ;;
        migrate-ci) before=930000 context=35 ;;
        refactor-orm) before=1960000 context=52 ;;
        old-spike) before=350000 context=12 ;;
        *) before=4000 ;;
        esac
        status "$before"
    else
        status 0
    fi
}

# Plays a turn for the prompt $1. Fails if it was interrupted.
scene() {
    # A task that is run again does better.
    if [ "$turns" -eq 1 ] && [ -z "$again" ]; then
        case $name in
        fix-auth-race) play_permission && return ;;
        docs-rewrite) play_question && return ;;
        sql-indexes) play_plan && return ;;
        port-to-axum) play_port && return ;;
        flaky-e2e) play_flaky && return ;;
        bump-deps) play_bump && return ;;
        review-pr-812) play_review && return ;;
        rename-crate) play_rename && return ;;
        migrate-ci) play_failure && return ;;
        refactor-orm) play_orm && return ;;
        old-spike) play_spike && return ;;
        fuzz-lexer) play_fuzz && return ;;
        *) by_words "$1" && return ;;
        esac
        return 1
    fi
    by_words "$1"
}

by_words() {
    case $(printf '%s' "$1" | tr '[:upper:]' '[:lower:]') in
    *permission* | *'clean up'* | 'rm '* | *' rm '*) play_permission ;;
    *question* | *choose* | *'ask me'*) play_question ;;
    plan* | *' plan'*) play_plan ;;
    *'api error'*) play_failure ;;
    *'keep working'* | *'long time'*) play_port ;;
    *\?*) play_reply "$1" ;;
    *) play_errand "$1" ;;
    esac
}

# Commands of the input box.
command_line() {
    case $1 in
    /help)
        say "$blue●$plain" 'I follow a script. A prompt with one of these words has me play it: permission, question, plan, api error, keep working. Anything else is a short errand; a question gets an answer. Esc interrupts, /exit leaves.' ''
        ;;
    *) say "$blue●$plain" "I know /help and /exit, not $1." '' ;;
    esac
    gap
}

path() {
    printf '{"file_path":"%s/%s"}' "$work" "$1"
}

shell_input() {
    printf '{"command":"%s","description":"%s"}' "$(json "$1")" "$(json "$2")"
}

read_file() {
    tool Read "$(path "$1")" "$1" "$2" "Read $(wc -l <"$work/$1" 2>/dev/null | tr -d ' ') lines"
}

# Appends the lines $2 to the file $1.
append_to() {
    printf '%s\n' "$2" >>"$1"
}

replace_in() {
    sed "$2" "$1" >"$own/edit" && cat "$own/edit" >"$1"
}

build_output() {
    mkdir -p build/debug && date >build/debug/auth.o && date >build/debug/http.o
}

permission_dialog() {
    options=3 refusal=3
    printf ' %sBash command%s\n\n   %s\n   %s\n\n Do you want to proceed?\n ❯ 1. Yes\n   2. Yes, and do not ask again for this command\n   3. No, and say what to do instead (esc)\n\n Esc to cancel' \
        "$bold" "$plain" "$1" "$dim$2$plain"
}

play_permission() {
    read_file src/auth/session.rs 1 || return 1
    text 'The race is between refresh() and revoke(): both read the generation before either takes the lock.'
    tool Edit "$(path src/auth/session.rs)" src/auth/session.rs 1 'Updated: the generation is read under the lock' \
        replace_in src/auth/session.rs 's/^    let generation = self.generation();$/    let guard = self.lock();\
    let generation = guard.generation();/' || return 1
    tool Bash "$(shell_input 'cargo test -p auth' 'Run the suite')" 'cargo test -p auth' 1 \
        'test result: ok. 118 passed; 0 failed; finished in 2.31s' build_output || return 1
    dialog_text=$(permission_dialog 'rm -rf build/' 'Clean up what the tests left')
    options=3 refusal=3
    ask Bash "$(shell_input 'rm -rf build/' 'Clean up what the tests left')" "$dialog_text" 'permission prompt'
    case $verdict in
    allow)
        tool_result='(no output)'
        say "$blue●$plain" 'Bash(rm -rf build/)' "$bold"
        result 0 rm -rf build
        pause 12 || return 1
        tool Bash "$(shell_input 'cargo test -p auth' 'Once more')" 'cargo test -p auth' 25 \
            'test result: ok. 119 passed; 0 failed; finished in 2.28s' \
            append_to tests/auth.rs "$(test_case revoke_wins_over_refresh)" || return 1
        text 'Fixed the race: revoke() now wins over a refresh() that began before it. A test shows it, and build/ is gone.'
        ;;
    deny)
        tool_result="Denied: $said"
        result 1
        pause 15 || return 1
        text "Understood, build/ stays${said:+ ($said)}. The race is fixed and the suite passes."
        ;;
    *) return 1 ;;
    esac
}

test_case() {
    printf '\n#[test]\nfn %s() {\n    let session = Session::open();\n    assert!(session.is_open());\n}' "$1"
}

play_question() {
    read_file docs/guide.md 2 || return 1
    text 'The guide and the manual say the same in different words.'
    asked='What shall become of the old guide?'
    input="{\"questions\":[{\"question\":\"$asked\",\"header\":\"Guide\",\"multiSelect\":false,\"options\":[{\"label\":\"Keep it\",\"description\":\"and link to the manual\"},{\"label\":\"Replace it\",\"description\":\"by what the manual says\"},{\"label\":\"Delete it\",\"description\":\"the manual is enough\"}]}]}"
    options=3 refusal=0
    ask AskUserQuestion "$input" " ☐ Guide

 $asked

 ❯ 1. Keep it
      and link to the manual
   2. Replace it
      by what the manual says
   3. Delete it
      the manual is enough

 Enter to select · 1-3 to choose · Esc to cancel" 'input needed'
    case $verdict in
    allow) ;;
    deny)
        tool_result="Not answered: $said"
        result 1
        text 'Then I leave the guide as it is.'
        return 0
        ;;
    *) return 1 ;;
    esac
    case $choice in
    1) said='Keep it' ;;
    2) said='Replace it' ;;
    3) said='Delete it' ;;
    esac
    tool_result="Answered: $said"
    result 0
    pause 10 || return 1
    case $said in
    Keep*) edit='append_to docs/guide.md' words='See also the manual: docs/manual.md' ;;
    Replace*) edit='cp docs/manual.md' words=docs/guide.md ;;
    Delete*) edit='rm -f' words=docs/guide.md ;;
    *) edit='append_to docs/guide.md' words="Note: $said" ;;
    esac
    # Unquoted on purpose: the command and its first argument.
    tool Edit "$(path docs/guide.md)" docs/guide.md 15 'Updated docs/guide.md' $edit "$words" || return 1
    pause 10 || return 1
    text "Done as you said ($said). Links in README.md still hold."
}

play_plan() {
    read_file migrations/0007_orders.sql 2 || return 1
    step='1. Index orders(customer_id), which every list query filters by\n2. Index orders(created_at) for the nightly report\n3. Measure both with EXPLAIN'
    while :; do
        options=3 refusal=3
        ask ExitPlanMode "{\"plan\":\"# Two indexes for the orders table\\n\\n$(printf '%s' "$step" | sed 's/"/\\"/g')\"}" " ${bold}Ready to code? Here is the plan:$plain

   Two indexes for the orders table
$(printf "$step\n" | sed 's/^/   /')

 Would you like to proceed?
 ❯ 1. Yes
   2. Yes, and accept edits from now on
   3. No, keep planning (esc)" 'permission prompt'
        case $verdict in
        allow) break ;;
        deny)
            tool_result="Not yet: $said"
            result 1
            text "I take that in: $said"
            pause 20 || return 1
            step="$step"'\n4. As you said: '"$(printf '%s' "$said" | tr -d '\\%"' | cut -c1-60)"
            ;;
        *) return 1 ;;
        esac
    done
    tool_result='The plan was approved'
    result 0
    pause 10 || return 1
    tool Write "$(path migrations/0008_indexes.sql)" migrations/0008_indexes.sql 20 'Wrote 4 lines' \
        append_to migrations/0008_indexes.sql "-- Two indexes for the orders table
CREATE INDEX orders_by_customer ON orders (customer_id);
CREATE INDEX orders_by_day ON orders (created_at);
ANALYZE orders;" || return 1
    tool Bash "$(shell_input './measure.sh 0008' 'Measure')" './measure.sh 0008' 30 \
        'list by customer: 41 ms before, 1.3 ms after' || return 1
    text 'Both indexes are in migrations/0008_indexes.sql. The list by customer went from 41 ms to 1.3 ms.'
}

# Works until a new prompt is queued, or for about half an hour.
play_port() {
    text 'I move the routes one by one, and run the suite after each.'
    round=0
    while [ "$round" -lt 150 ] && [ -z "$queue" ]; do
        round=$((round + 1))
        left=$((34 - round % 34))
        pause 16 || return 1
        case $((round % 3)) in
        1) read_file src/http/routes.rs 14 || return 1 ;;
        2)
            tool Edit "$(path src/http/routes.rs)" src/http/routes.rs 18 "Moved one more route, $left left" \
                append_to src/http/routes.rs "
/// Answers \`/v1/resource_$round\`.
pub async fn resource_$round() -> Reply {
    Reply::json(find($round).await)
}" || return 1
            ;;
        0)
            tool Bash "$(shell_input "cargo test http ($left left)" 'Run the suite')" "cargo test ($left left)" 26 \
                "test result: ok. $((60 + round)) passed; 0 failed" || return 1
            ;;
        esac
    done
    text "All routes are moved so far ($round rounds); the suite passes."
}

# Goes on until what it may cost is spent.
play_orm() {
    text 'I take the queries out of the handlers, one handler at a time.'
    round=0
    while [ "$round" -lt 150 ] && [ -z "$queue" ]; do
        round=$((round + 1))
        read_file src/http/routes.rs 10 || return 1
        tool Edit "$(path src/http/routes.rs)" src/http/routes.rs 12 'Moved one more query' \
            append_to src/http/routes.rs "
/// Finds order $round.
pub async fn order_$round() -> Order {
    store.order($round).await
}" || return 1
    done
    text 'All queries are out of the handlers.'
}

play_flaky() {
    text 'I run the login test until it fails, to see when it does.'
    round=0
    while [ "$round" -lt 150 ] && [ -z "$queue" ]; do
        round=$((round + 1))
        pause 13 || return 1
        if [ $((round % 5)) -eq 0 ]; then
            tool Edit "$(path tests/e2e/login.rs)" tests/e2e/login.rs 17 'Waits for the form rather than for a time' \
                replace_in tests/e2e/login.rs "s/wait_ms([0-9]*)/wait_ms($((round * 10)))/" || return 1
        else
            tool Bash "$(shell_input "cargo test --test login -- --run $round" 'Run it again')" \
                "cargo test --test login (run $round of 150)" 24 \
                "test login_twice ... $([ $((round % 4)) -eq 0 ] && echo FAILED || echo ok)" || return 1
        fi
    done
    text 'It failed only where the form was not there yet. The test waits for the form now.'
}

play_bump() {
    round=0
    while [ "$round" -lt 150 ] && [ -z "$queue" ]; do
        round=$((round + 1))
        pause 18 || return 1
        case $((round % 2)) in
        1)
            tool Bash "$(shell_input "cargo update -p dep-$round" 'Update one')" "cargo update -p dep-$round" 20 \
                "Updating dep-$round v1.$round.0 -> v1.$((round + 1)).0" \
                append_to deps.lock "dep-$round = 1.$((round + 1)).0" || return 1
            ;;
        0)
            tool Grep "{\"pattern\":\"dep_$((round - 1))::\",\"path\":\"$work/src\"}" "dep_$((round - 1)):: in src" 16 \
                'No matches' || return 1
            ;;
        esac
    done
    text 'All dependencies are up to date.'
}

play_review() {
    tool Bash "$(shell_input 'git diff main...pr-812 --stat' 'Look at the change')" 'git diff main...pr-812 --stat' 2 \
        '3 files changed, 41 insertions(+), 9 deletions(-)' || return 1
    text 'The change is sound. Two remarks: session.rs takes the lock twice, and the new test never closes its session. Shall I fix either?'
}

play_rename() {
    tool Grep '{"pattern":"harbour","path":"src"}' 'harbour in src' 1 'Found in 9 files' || return 1
    tool Bash "$(shell_input "sed -i 's/harbour/haven/g' \$(git ls-files)" 'Rename')" "sed -i 's/harbour/haven/g' \$(git ls-files)" 1 \
        '(no output)' rename_all || return 1
    text 'Renamed harbour to haven in every file; the suite passes.'
}

rename_all() {
    git ls-files | while IFS= read -r file; do
        replace_in "$file" 's/harbour/haven/g'
    done
}

play_failure() {
    pause 3 || return 1
    last='API Error: 529 {"type":"overloaded_error","message":"Overloaded"}'
    write assistant ",\"isApiErrorMessage\":true,\"error\":\"overloaded\",\"message\":{\"id\":\"msg-$$-$messages\",\"role\":\"assistant\",\"model\":\"<synthetic>\",\"content\":[{\"type\":\"text\",\"text\":\"$(json "$last")\"}]}"
    say "$red●$plain" "$last" "$red"
    failure=overloaded
}

play_spike() {
    text 'I try the other parser first.'
    while :; do
        tool Bash "$(shell_input 'cargo bench parser' 'Measure')" 'cargo bench parser' 30 'parser: 41.2 ms' || return 1
    done
}

play_fuzz() {
    round=0
    while [ "$round" -lt 12 ] && [ -z "$queue" ]; do
        round=$((round + 1))
        tool Bash "$(shell_input "cargo fuzz run lexer -- -runs=$((round * 40000))" 'Fuzz')" \
            "cargo fuzz run lexer ($round of 12)" 28 "$((round * 40000)) runs, $((round / 6)) crashes" || return 1
    done
    tool Write "$(path tests/fuzz_crashes.txt)" tests/fuzz_crashes.txt 10 'Wrote 2 lines' \
        append_to tests/fuzz_crashes.txt "crash-1: 0x5c 0x0a
crash-2: 0xff" || return 1
    text '2 crashes found in 480,000 runs; both inputs are in tests/fuzz_crashes.txt.'
}

play_reply() {
    pause 12 || return 1
    text "You ask: $1"
    pause 12 || return 1
    text 'I am the script of the demo and know little. With Claude Code in my place the answer would stand here; everything around it is the real Parhelia.'
    status 9000
}

play_errand() {
    pause 10 || return 1
    text "I look at what that means here: $1"
    read_file README.md 12 || return 1
    tool Edit "$(path NOTES.md)" NOTES.md 18 'Updated NOTES.md' append_to NOTES.md "- $1" || return 1
    tool Bash "$(shell_input 'cargo test' 'Run the suite')" 'cargo test' 24 'test result: ok. 61 passed; 0 failed' || return 1
    text 'Done; the change is in NOTES.md on this branch, and the suite passes.'
}

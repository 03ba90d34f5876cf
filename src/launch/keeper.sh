# Ends an application when the process that launched it is gone, however that ended: its end of the pipe closes then.
#
#   $1 the variable in the environment of everything that the application started
#   $2 the folder to remove
#
# Standard input: the application's process group, then `done` as soon as it has been ended in order.

trap '' HUP INT QUIT TERM PIPE
group=
read -r group
read -r word && [ "$word" = done ] && exit 0

# Whatever left the group still has the variable, where the system shows it.
strays() {
    [ -r /proc/self/environ ] || return 0
    for file in $(grep -ls -- "$1" /proc/[0-9]*/environ 2>/dev/null); do
        id=${file#/proc/}
        echo "${id%/environ}"
    done
}

# The group's number would be a signal to somebody else if it were empty.
send() {
    if [ -n "$group" ]; then
        kill -s "$1" -- "-$group" 2>/dev/null
    fi
    for id in $(strays "$mark"); do
        kill -s "$1" "$id" 2>/dev/null
    done
}

lives() {
    if [ -n "$group" ] && kill -s 0 -- "-$group" 2>/dev/null; then
        return 0
    fi
    [ -n "$(strays "$mark")" ]
}

mark=$1
send TERM
tries=0
while [ "$tries" -lt 10 ] && lives; do
    sleep 0.1 2>/dev/null || sleep 1
    tries=$((tries + 1))
done
send KILL
if [ -n "$2" ]; then
    rm -rf -- "$2"
fi

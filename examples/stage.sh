# Shared setup of the examples: builds and starts everything they need on this machine, and stops it at the end.
# Sourced by each example's `run`; not part of an integration.

set -euo pipefail

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# Contains a file with the process id, and a log, for each process started here.
out=${1:-$(mktemp -d)}
mkdir -p "$out"
out=$(cd "$out" && pwd)
if [ -n "$(ls -A "$out")" ]; then
  echo "$out is not empty; name an empty folder, or none" >&2
  exit 2
fi

say() { printf '%s\n' "$*"; }

# Prints the end of every log, one of which most likely contains the cause.
fail() {
  printf 'failed: %s\n' "$*" >&2
  for log in "$out"/*.log; do
    [ -e "$log" ] && printf -- '--- %s\n%s\n' "$log" "$(tail -n 15 "$log")" >&2
  done
  exit 1
}

# needs PROGRAM WHY
needs() { command -v "$1" >/dev/null || { echo "$1 is needed: $2" >&2; exit 2; }; }

# start NAME COMMAND…: in the background, with its output in NAME.log (appended across restarts).
# If the system supports it, the process is stopped when this shell dies, however that happens.
start() {
  local name=$1 tie=()
  shift
  if command -v setpriv >/dev/null; then tie=(setpriv --pdeathsig TERM); fi
  ${tie[@]+"${tie[@]}"} "$@" >>"$out/$name.log" 2>&1 </dev/null &
  echo $! >"$out/$name.pid"
}

# stop NAME [SIGNAL]: and wait until it is gone. TERM stops it gracefully, KILL simulates a power cut.
stop() {
  local pid
  pid=$(cat "$out/$1.pid")
  rm "$out/$1.pid"
  kill -s "${2:-TERM}" "$pid" 2>/dev/null || true
  wait "$pid" 2>/dev/null || true
}

stop_all() {
  local file
  for file in "$out"/*.pid; do
    [ -e "$file" ] && stop "$(basename "$file" .pid)"
  done
}
trap stop_all EXIT
trap 'exit 130' INT TERM

# wait_until SECONDS WHAT COMMAND…: polls until the command succeeds.
wait_until() {
  local deadline=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $deadline ] || fail "$what: not in time"
    sleep 0.1
  done
}

# A free port below the ephemeral range, so that it is still free after a restart of its server.
free_port() {
  local port
  while port=$((20000 + (RANDOM % 12000))); do
    if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
      echo "$port"
      return
    fi
  done
}

listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# part NAME: starts a third-party broker or server, downloaded to target/parts, and sets $part to its address.
part() {
  if [ -z "${PARTS:-}" ]; then
    needs cargo "it builds what fetches and starts $1; https://rustup.rs"
    (cd "$repository" && cargo build --quiet --package parts) || fail "the parts could not be built"
    PARTS=${CARGO_TARGET_DIR:-$repository/target}/debug/parts
  fi
  say "starting $1 (fetched the first time, which takes a minute)"
  start "$1" "$PARTS" "$1"
  wait_until 300 "$1 starts" part_is_decided "$1"
  part=$(part_address "$1")
  [ -n "$part" ] || fail "$1 did not start"
}
part_address() { sed -n "s/^$1 //p" "$out/$1.log"; }
part_is_decided() { [ -n "$(part_address "$1")" ] || ! kill -0 "$(cat "$out/$1.pid")"; }

# The platform: $POSTRIDER if set, otherwise built together with the program that starts parts. Its configuration is $out/postrider.toml.
build_platform() {
  postrider=${POSTRIDER:-}
  if [ -z "$postrider" ]; then
    needs cargo "it builds the platform; https://rustup.rs"
    say "building the platform (minutes the first time)"
    (cd "$repository" && cargo build --quiet --release --package postrider --package parts) ||
      fail "the platform could not be built"
    postrider=${CARGO_TARGET_DIR:-$repository/target}/release/postrider
    PARTS=${PARTS:-${CARGO_TARGET_DIR:-$repository/target}/release/parts}
  fi
  platform_port=$(free_port)
  export POSTRIDER_URL=http://127.0.0.1:$platform_port
}

start_platform() {
  start platform "$postrider" serve --config "$out/postrider.toml" --data-dir "$out/data" \
    --listen "127.0.0.1:$platform_port" --log-format human
  wait_until 60 "the platform starts" listens "$platform_port"
}

# python_with REQUIREMENTS: creates a virtual environment with exactly these packages; $python is its interpreter.
python_with() {
  needs python3 "the app is written in Python; 3.11 or later"
  python=$PWD/.venv/bin/python
  if ! cmp -s "$1" .venv/installed.txt; then
    say "fetching the Python packages of $1"
    { python3 -m venv --clear .venv && "$python" -m pip install --quiet --require-hashes --requirement "$1"; } \
      >"$out/pip.log" 2>&1 || fail "the packages of $1 could not be installed"
    cp "$1" .venv/installed.txt
  fi
}

# The stage that the examples play on: builds what they need, starts it on this machine, and stops all of it at the end.
# Sourced by each example's `run`; nothing in here is part of an integration.

set -euo pipefail

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# Every process that the stage starts has a file here with its id, and a log beside it.
out=${1:-$(mktemp -d)}
mkdir -p "$out"
out=$(cd "$out" && pwd)
if [ -n "$(ls -A "$out")" ]; then
  echo "$out is not empty; name an empty folder, or none" >&2
  exit 2
fi

say() { printf '%s\n' "$*"; }

# What goes wrong is shown with the end of every log: most likely one of them says why.
fail() {
  printf 'failed: %s\n' "$*" >&2
  for log in "$out"/*.log; do
    [ -e "$log" ] && printf -- '--- %s\n%s\n' "$log" "$(tail -n 15 "$log")" >&2
  done
  exit 1
}

# needs PROGRAM WHY
needs() { command -v "$1" >/dev/null || { echo "$1 is needed: $2" >&2; exit 2; }; }

# start NAME COMMAND…: in the background, with its output in NAME.log (appended, so that a restart keeps what came before).
# Where the system can, it is told to stop the process when this shell dies, however that happens.
start() {
  local name=$1 tie=()
  shift
  if command -v setpriv >/dev/null; then tie=(setpriv --pdeathsig TERM); fi
  ${tie[@]+"${tie[@]}"} "$@" >>"$out/$name.log" 2>&1 </dev/null &
  echo $! >"$out/$name.pid"
}

# stop NAME [SIGNAL]: and wait until it is gone. TERM lets it end in order, KILL is a power cut.
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

# A port that nothing listens on, below those that clients get: a server finds it free again after a restart.
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

# part NAME: starts a broker or server of others, fetched into target/parts, and leaves its address in $part.
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

# The platform: $POSTRIDER if that names a binary, else it is built, with what starts the parts. Its configuration is $out/postrider.toml.
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

# python_with REQUIREMENTS: a virtual environment beside the example that holds exactly these packages; its interpreter is $python.
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

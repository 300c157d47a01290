#!/usr/bin/env bash
# The load run as one command: builds the server and the tool in release, runs
# wrk (Debian package `wrk`) on one core against each of them on the other.
set -euo pipefail
cd "$(dirname "$0")/../.."
target="${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/portcullis/target}"
export CARGO_TARGET_DIR="$target"
command -v wrk >/dev/null || { echo "load: wrk is missing; install the package wrk" >&2; exit 2; }
cargo build --release --locked -p portcullis -p portcullis-load
exec "$target/release/portcullis-load" "$@"

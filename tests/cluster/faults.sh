#!/usr/bin/env bash
# Faults under a load of real writes, and the soak: see src/bin/faults/main.rs.
#   tests/cluster/faults.sh [--quick | --times N] [NAME...]
#   tests/cluster/faults.sh soak MINUTES
# PORTCULLIS may name a program that is built already, PORTCULLIS_BED a bed.
set -euo pipefail
cd "$(dirname "$0")/../.."
PORTCULLIS_BED=${PORTCULLIS_BED:-$(tests/cluster/build.sh)}
target="${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/portcullis/target}"
export PORTCULLIS_BED CARGO_TARGET_DIR="$target"
# With the features of all other tests, so that nothing is compiled twice.
cargo test --workspace --locked --no-run --features portcullis-cluster/bed
# The program as it is shipped.
if [ -z "${PORTCULLIS:-}" ]; then
  cargo build --release --locked -p portcullis --bin portcullis
  export PORTCULLIS="$target/release/portcullis"
fi
if [ -z "${PORTCULLIS_HOSTILE:-}" ]; then
  export PORTCULLIS_HOSTILE="$target/tmp/hostile.wasm"
  mkdir -p "$target/tmp"
  "$target/debug/examples/component" tests/guests/hostile "$PORTCULLIS_HOSTILE"
fi
# As cargo says it to what it runs; another checkout may have built this one.
export CARGO_MANIFEST_DIR="$PWD/tests/cluster"
exec "$target/debug/portcullis-faults" "$@"

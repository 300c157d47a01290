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
# The program as it is shipped.
if [ -z "${PORTCULLIS:-}" ]; then
  cargo build --release --locked -p portcullis
  export PORTCULLIS="$target/release/portcullis"
fi
if [ -z "${PORTCULLIS_HOSTILE:-}" ]; then
  export PORTCULLIS_HOSTILE="$target/tmp/hostile.wasm"
  mkdir -p "$target/tmp"
  cargo run -q --locked -p portcullis-sdk-build --example component -- tests/guests/hostile "$PORTCULLIS_HOSTILE"
fi
exec cargo run -q --locked -p portcullis-cluster --features bed --bin portcullis-faults -- "$@"

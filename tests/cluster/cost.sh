#!/usr/bin/env bash
# What a user pays: the latency of a create and the CPU of the API server with
# Portcullis, with in-tree policies and with a webhook a policy, as ratios to none.
# Names of modes, or parts of them, choose some: `tests/cluster/cost.sh vap portcullis-20`.
# It takes about ten minutes, on a machine that does nothing else.
set -euo pipefail
cd "$(dirname "$0")/../.."
PORTCULLIS_BED=$(tests/cluster/build.sh)
target="${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/portcullis/target}"
export PORTCULLIS_BED CARGO_TARGET_DIR="$target"
# The program as it is shipped; PORTCULLIS may name one that is built already.
if [ -z "${PORTCULLIS:-}" ]; then
  cargo build --release --locked -p portcullis
  export PORTCULLIS="$target/release/portcullis"
fi
exec cargo run -q --locked -p portcullis-cluster --features bed --bin portcullis-cost -- "$@"

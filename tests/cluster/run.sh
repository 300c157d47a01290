#!/usr/bin/env bash
# The cluster tier: tests against a real kube-apiserver and etcd. Arguments are
# names of tests, or parts of them. PORTCULLIS_BED may name a bed that is built
# already, PORTCULLIS_HELM a helm, PORTCULLIS_CORPUS folders of manifests that are to be created, too.
set -euo pipefail
cd "$(dirname "$0")/../.."
PORTCULLIS_BED=${PORTCULLIS_BED:-$(tests/cluster/build.sh)}
PORTCULLIS_HELM=${PORTCULLIS_HELM:-$(tests/cluster/helm.sh)}
export PORTCULLIS_BED PORTCULLIS_HELM
# Of the 200 rotations that faults.sh makes, enough to see that it works.
export PORTCULLIS_ROTATIONS="${PORTCULLIS_ROTATIONS:-20}"
# The tests run the program itself. It is built as for the other tests, with the
# same features, so that nothing is compiled twice.
cargo test --workspace --locked --no-run
PORTCULLIS=$(cargo metadata --locked --no-deps --format-version 1 | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')/debug/portcullis
export PORTCULLIS
exec cargo test --workspace --locked --features portcullis-cluster/bed --test cluster -- "$@"

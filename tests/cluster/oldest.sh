#!/usr/bin/env bash
# The cluster tier against the oldest Kubernetes that Portcullis supports
# (oldest/go.mod): the bed's own program built with that version, without kwok, so
# without the tests that need nodes. Not part of .ci/run: the build takes minutes.
# Names of tests choose others than those below: `tests/cluster/oldest.sh verbs`.
set -euo pipefail
cd "$(dirname "$0")/../.."
version=$(sed -n 's|^\tk8s.io/kubernetes v||p' tests/cluster/oldest/go.mod | head -n 1)
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
cp tests/cluster/bed/main.go tests/cluster/bed/run.go tests/cluster/oldest/* "$build"
PORTCULLIS_BED=$(tests/cluster/build.sh "$build")
export PORTCULLIS_BED
echo "Kubernetes $version" >&2
if [ $# = 0 ]; then set -- scenarios enforcement ways_round orders crd cache webhooks; fi
tests/cluster/run.sh "$@"

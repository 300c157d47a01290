#!/usr/bin/env bash
# Builds the control plane of the cluster tier: kube-apiserver, etcd,
# kube-controller-manager, kube-scheduler, kwok and kubectl as one program, from Go
# modules (bed/go.mod pins them). The first build takes about five minutes on two
# cores; the result is kept outside the checkout, by what it was built from, and
# its path is printed. Another folder may be named, with another version in it.
set -euo pipefail
bed=$(cd "${1:-$(dirname "$0")/bed}" && pwd)
version=$(sed -n 's|^\tk8s.io/kubernetes v||p' "$bed/go.mod" | head -n 1)
sources=$(cat "$bed"/go.mod "$bed"/go.sum "$bed"/*.go | sha256sum | cut -c1-12)
folder=${XDG_CACHE_HOME:-$HOME/.cache}/portcullis
program=$folder/bed-$version-$sources
if [ ! -x "$program" ]; then
  command -v go >/dev/null || { echo "the cluster tier needs Go $(sed -n 's/^go //p' "$bed/go.mod") or newer to build a kube-apiserver" >&2; exit 1; }
  mkdir -p "$folder"
  echo "building kube-apiserver $version and what belongs to it (about five minutes, once)" >&2
  stamp="-X k8s.io/component-base/version.gitVersion=v$version"
  stamp+=" -X k8s.io/component-base/version.gitMajor=${version%%.*} -X k8s.io/component-base/version.gitMinor=$(cut -d. -f2 <<<"$version")"
  (cd "$bed" && CGO_ENABLED=0 go build -ldflags "-s -w $stamp" -o "$program.new" .)
  mv "$program.new" "$program"
fi
echo "$program"

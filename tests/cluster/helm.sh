#!/usr/bin/env bash
# Builds Helm from its Go module (helm/go.mod pins it), two minutes, once; the
# result is kept outside the checkout, as build.sh keeps the bed. Prints its path.
set -euo pipefail
module=$(cd "$(dirname "$0")/helm" && pwd)
version=$(sed -n 's|^\thelm.sh/helm/v4 v\([^ ]*\).*|\1|p' "$module/go.mod" | head -n 1)
sources=$(cat "$module"/go.mod "$module"/go.sum | sha256sum | cut -c1-12)
folder=${XDG_CACHE_HOME:-$HOME/.cache}/portcullis
program=$folder/helm-$version-$sources
if [ ! -x "$program" ]; then
  mkdir -p "$folder"
  echo "building helm $version (about two minutes, once)" >&2
  (cd "$module" && CGO_ENABLED=0 go build -ldflags "-s -w" -o "$program.new" helm.sh/helm/v4/cmd/helm)
  mv "$program.new" "$program"
fi
echo "$program"

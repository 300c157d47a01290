#!/usr/bin/env python3
"""Turns Kubernetes' published OpenAPI into the compact schema that `check` embeds.

    go mod download -json k8s.io/kubernetes@v1.36.3      # names the folder, "Dir"
    host/app/schema/generate.py 1.36.3 DIR/api/openapi-spec/swagger.json > host/app/schema/kubernetes.txt

One line a kind (`apps/v1 StatefulSet = apps.v1.StatefulSet`), then one line a
type (`apps.v1.StatefulSetSpec: minReadySeconds i, selector! @meta.v1.LabelSelector`).
A field is its name, `!` where the API server requires it, and its type:

    s text         i whole number   n number         b true or false
    q quantity     x number or text y base64         * anything
    @T a type      [T a list of T   {T a map from text to T
"""
import json
import re
import sys

LEAVES = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": "q",
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": "x",
    "io.k8s.apimachinery.pkg.apis.meta.v1.Time": "s",
    "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime": "s",
}
PREFIXES = [
    ("io.k8s.apimachinery.pkg.apis.", ""),
    ("io.k8s.apiextensions-apiserver.pkg.apis.", ""),
    ("io.k8s.kube-aggregator.pkg.apis.", ""),
    ("io.k8s.api.", ""),
]


def short(name):
    for prefix, instead in PREFIXES:
        if name.startswith(prefix):
            return instead + name[len(prefix):]
    return name


def has_fields(definitions, name):
    return bool(definitions[name].get("properties"))


def type_of(definitions, schema):
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/definitions/")
        if name in LEAVES:
            return LEAVES[name]
        return "@" + short(name) if has_fields(definitions, name) else "*"
    kind = schema.get("type")
    if kind == "array":
        return "[" + type_of(definitions, schema["items"])
    if kind == "object":
        inner = schema.get("additionalProperties")
        return "{" + type_of(definitions, inner) if inner else "*"
    if kind == "string":
        return {"byte": "y", "int-or-string": "x"}.get(schema.get("format"), "s")
    return {"integer": "i", "number": "n", "boolean": "b"}.get(kind, "*")


def main():
    version = sys.argv[1]
    with open(sys.argv[2], encoding="utf-8") as file:
        spec = json.load(file)
    definitions = spec["definitions"]
    kinds, pending = [], []
    for name, definition in sorted(definitions.items()):
        for gvk in definition.get("x-kubernetes-group-version-kind", []):
            # Lists are opened before; options and statuses are no objects.
            if "metadata" not in definition.get("properties", {}) or gvk["kind"].endswith("List"):
                continue
            if "ObjectMeta" not in json.dumps(definition["properties"]["metadata"]):
                continue
            api_version = "/".join(part for part in (gvk["group"], gvk["version"]) if part)
            kinds.append(f"{api_version} {gvk['kind']} = {short(name)}")
            pending.append(name)
    print(f"# Kubernetes {version}, api/openapi-spec/swagger.json, by schema/generate.py (Apache-2.0)")
    print("\n".join(sorted(kinds)))
    done = set()
    while pending:
        name = pending.pop()
        if name in done:
            continue
        done.add(name)
        pending += [ref for ref in re.findall(r'"#/definitions/([^"]+)"', json.dumps(definitions[name])) if ref not in done]
    for name in sorted(done):
        if name in LEAVES or not has_fields(definitions, name):
            continue
        definition = definitions[name]
        required = set(definition.get("required", []))
        fields = [
            f"{field}{'!' if field in required else ''} {type_of(definitions, schema)}"
            for field, schema in sorted(definition["properties"].items())
        ]
        print(f"{short(name)}: {', '.join(fields)}")


main()

#!/bin/sh
# Puts an example through the Admin API of an APISIX with etcd, resource by resource:
#   ADMIN_KEY=... apisix-examples/admin-api.sh bridge.yaml [http://127.0.0.1:9180]
# The gateway's own config.yaml needs the parts `wasm` and `nginx_config` of the one here.
set -eu
file=$(dirname "$0")/${1:?the name of an example}
admin=${2:-http://127.0.0.1:9180}/apisix/admin

# The API takes JSON: each resource is its place and its JSON, on two lines. Upstreams before the routes
# that name them.
resources() {
    python3 -c '
import json, sys, yaml
whole = yaml.safe_load(open(sys.argv[1]))
for kind in ("upstreams", "consumers", "plugin_configs", "routes"):
    for number, item in enumerate(whole.get(kind, []), 1):
        place = kind if kind == "consumers" else "%s/%s" % (kind, item.pop("id", "ai-%d" % number))
        print(place)
        print(json.dumps(item))
' "$file"
}

resources | while read -r place && IFS= read -r json; do
    printf '%s' "$json" | curl --fail --silent --show-error -X PUT "$admin/$place" \
        -H "X-API-KEY: ${ADMIN_KEY:?}" -H 'content-type: application/json' --data-binary @- >/dev/null
    echo "PUT $place"
done

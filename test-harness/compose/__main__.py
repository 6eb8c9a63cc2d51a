"""`make compose-demo`: the same requests through Envoy and through APISIX, and that they get the same."""

import sys

from . import demo

HOSTS = {"Envoy": "http://127.0.0.1:10000/v1", "APISIX": "http://127.0.0.1:9080/v1"}

sys.exit(demo.run(HOSTS))

"""Configurations of Envoy for measuring: one listener, one route, one cluster, and filters."""

import json

HTTP = "type.googleapis.com/envoy.extensions"


def filter_of(name, module, config=None, role=None):
    """A Wasm filter. Two of one name and role share a VM."""
    vm = {"vm_id": name, "runtime": "envoy.wasm.runtime.v8", "code": {"local": {"filename": str(module)}}}
    if role:
        vm["configuration"] = text(role)
    plugin = {"name": name, "root_id": name, "vm_config": vm, "allow_on_headers_stop_iteration": True}
    if config is not None:
        plugin["configuration"] = text(json.dumps(config))
    return {"name": name, "typed_config": {"@type": f"{HTTP}.filters.http.wasm.v3.Wasm", "config": plugin}}


def text(value):
    """A string where Envoy wants a message."""
    return {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": value}


def bootstrap(ports, filters=(), upstream=(), http2=False, stats_config=None):
    """Envoy's whole configuration. `ports` are those of the listener, the admin interface and the
    provider; `upstream` are filters that run once per attempt."""
    listener, admin, provider = ports
    router = {"name": "envoy.filters.http.router",
              "typed_config": {"@type": f"{HTTP}.filters.http.router.v3.Router"}}
    manager = {
        "@type": f"{HTTP}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bench",
        "codec_type": "HTTP2" if http2 else "HTTP1",
        "http2_protocol_options": {"max_concurrent_streams": 1000},
        "stream_idle_timeout": "0s",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [
            {"match": {"prefix": "/"}, "route": {"cluster": "provider", "timeout": "600s"}}]}]},
        "http_filters": [*filters, router],
    }
    protocol = "http2_protocol_options" if http2 else "http_protocol_options"
    options = {"@type": f"{HTTP}.upstreams.http.v3.HttpProtocolOptions",
               "explicit_http_config": {protocol: {}}}
    if upstream:
        codec = {"name": "envoy.filters.http.upstream_codec",
                 "typed_config": {"@type": f"{HTTP}.filters.http.upstream_codec.v3.UpstreamCodec"}}
        options["http_filters"] = [*upstream, codec]
    many = {"max_connections": 100000, "max_pending_requests": 100000, "max_requests": 100000}
    return {
        "admin": {"address": address(admin)},
        **({"stats_config": stats_config} if stats_config else {}),
        "static_resources": {
            "listeners": [{
                "name": "clients", "address": address(listener),
                "per_connection_buffer_limit_bytes": 50 << 20,
                "filter_chains": [{"filters": [
                    {"name": "envoy.filters.network.http_connection_manager",
                     "typed_config": manager}]}]}],
            "clusters": [{
                "name": "provider", "type": "STATIC", "connect_timeout": "5s",
                "per_connection_buffer_limit_bytes": 50 << 20,
                "circuit_breakers": {"thresholds": [many]},
                "metadata": {"filter_metadata": {"ai-gateway": {"provider": "provider"}}},
                "typed_extension_protocol_options": {
                    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options},
                "load_assignment": {"cluster_name": "provider", "endpoints": [{"lb_endpoints": [
                    {"endpoint": {"address": address(provider)}}]}]}}],
        },
    }


def address(port):
    """A port of this machine."""
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}

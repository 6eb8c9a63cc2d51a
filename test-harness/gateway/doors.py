"""Writes an Envoy that takes TLS, and passes what is inside on to the stand-in whose name was asked for."""

import json

from . import config

TYPES = "type.googleapis.com/envoy.extensions"


def bootstrap(ports, folder):
    """Its configuration: one port for all providers, as they have it, and one for the second site."""
    clusters = {provider: ports[port] for provider, port in (config.PROVIDERS | {"webdis": config.WEBDIS}).items()}
    return json.dumps({"static_resources": {
        "listeners": [listener(ports[config.TLS], config.HOSTS, folder),
                      listener(ports[config.SECOND_TLS], {"models.internal": "onprem"}, folder)],
        "clusters": [{"name": name, "type": "STATIC", "connect_timeout": "5s",
                      "load_assignment": {"cluster_name": name, "endpoints": [
                          {"lb_endpoints": [{"endpoint": {"address": address(port)}}]}]}}
                     for name, port in clusters.items()]}}, indent=1)


def address(port, host="127.0.0.1"):
    """A port of this machine."""
    return {"socket_address": {"address": host, "port_value": port}}


def listener(port, hosts, folder):
    """One port, and who is behind it by the name that the client sends."""
    certificate = {"certificate_chain": {"filename": f"{folder}/server.pem"},
                   "private_key": {"filename": f"{folder}/server.key"}}
    tls = {"name": "envoy.transport_sockets.tls", "typed_config": {
        "@type": f"{TYPES}.transport_sockets.tls.v3.DownstreamTlsContext",
        "common_tls_context": {"tls_certificates": [certificate]}}}
    chains = [{
        "filter_chain_match": {"server_names": [host]}, "transport_socket": tls,
        "filters": [{"name": "envoy.filters.network.tcp_proxy", "typed_config": {
            "@type": f"{TYPES}.filters.network.tcp_proxy.v3.TcpProxy",
            "stat_prefix": "stand-in", "cluster": provider}}]} for host, provider in hosts.items()]
    inspector = {"name": "envoy.filters.listener.tls_inspector", "typed_config": {
        "@type": f"{TYPES}.filters.listener.tls_inspector.v3.TlsInspector"}}
    return {"name": f"tls-{port}", "address": address(port), "listener_filters": [inspector],
            "filter_chains": chains}

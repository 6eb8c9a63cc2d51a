"""Starts the gateway on this machine: Envoy with a file of envoy-examples, and the stand-ins for the
providers."""

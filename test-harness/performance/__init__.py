"""What the gateway costs in real Envoy, measured side by side: `make bench`."""

"""The docker-compose harness, and the demonstration that runs against both gateways."""

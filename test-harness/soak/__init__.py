"""`make soak`: mixed load on one Envoy worker; errors that nobody caused, and memory that grows."""

"""A real Kubernetes API: a watched cache, live reads and calls, and the Lease that says who may act."""

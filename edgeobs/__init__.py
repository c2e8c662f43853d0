"""edgeobs: observability and self-healing for Kubernetes at the edge."""

__version__ = "0.1.0"

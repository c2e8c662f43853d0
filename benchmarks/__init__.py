"""Speed, latency and memory, measured beside a reference in the same run."""

"""Bytes → `Points`: decoders, interning, and the servers that receive."""

"""What a node has to say to the core: queued on disk, sent once, taken once."""

from edgeobs.uplink.settings import Settings

__all__ = ["Settings"]

"""What holds for every test."""

from hypothesis import settings

# How long an example takes says how busy the machine is, not whether it is right.
settings.register_profile("edgeobs", deadline=None)
settings.load_profile("edgeobs")

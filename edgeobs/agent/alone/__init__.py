"""What the agent may do by itself while it is cut off: off by default, bounded, told to the core."""

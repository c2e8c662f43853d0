"""What this very machine is doing, once a second, sent as any other sender would send it."""

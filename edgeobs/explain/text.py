"""Text that may be shown on a terminal."""


def plain(text: str) -> str:
    """What senders call things may not command a terminal."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)

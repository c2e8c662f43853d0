"""What a decoder says of a body it cannot read."""


class Malformed(ValueError):
    """The body as a whole is not what its format says; the message names the place."""

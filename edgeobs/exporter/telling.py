"""What goes into the log; `logging` is imported when there is something to tell: starting is to be cheap."""


def warn(text: str, *values: object) -> None:
    """Tell the logger ``edgeobs.exporter``."""
    import logging  # noqa: PLC0415  see above

    logging.getLogger("edgeobs.exporter").warning(text, *values)

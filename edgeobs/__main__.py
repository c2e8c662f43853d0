"""``python -m edgeobs`` is ``edgeobs``."""

from edgeobs.cli import main

main()

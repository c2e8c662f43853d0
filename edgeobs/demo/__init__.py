"""A simulated site beside this real machine, three faults, and a verdict on what edgeobs made of them."""

from edgeobs.demo.main import run

__all__ = ["run"]

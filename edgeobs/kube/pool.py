"""Equal values are kept once: labels, owners and tolerations repeat from pod to pod. Pure."""

from collections.abc import Hashable, Mapping
from typing import Any, TypeVar, cast

T = TypeVar("T", bound=Hashable)


class Pool:
    """Shares equal values. Two generations: what was not asked for during a whole one is let go.

    Parameters
    ----------
    size
        Entries of one generation; at most twice as many are held.

    """

    def __init__(self, size: int = 65_536) -> None:
        self._size = size
        self._young: dict[Any, Any] = {}
        self._old: dict[Any, Any] = {}

    def __len__(self) -> int:
        """Entries held."""
        return len(self._young) + len(self._old)

    def share(self, value: T) -> T:
        """The value that was seen first of all that equal this one."""
        found = self._young.get(value)
        return cast("T", self._keep(value, value) if found is None else found)

    def mapping(self, value: Mapping[str, Any]) -> Mapping[str, Any]:
        """The same for a mapping with hashable values, its keys and values shared too. Never change it."""
        key = (dict, *value.items())  # never equal to a tuple that is shared as such, the empty one above all
        found = self._young.get(key)
        return cast("Mapping[str, Any]", self._keep(key, None) if found is None else found)

    def _keep(self, key: Any, value: Any) -> Any:
        if len(self._young) >= self._size:
            self._old, self._young = self._young, {}
        known = self._old.pop(key, None)
        if known is None:
            known = {self.share(k): self.share(v) for k, v in key[1:]} if value is None else value
        self._young[key] = known
        return known

"""Where series live: by which calendar each tells its days."""

from collections.abc import Callable
from datetime import date
from fnmatch import fnmatchcase
from functools import partial
from zoneinfo import ZoneInfo

import numpy as np

from edgeobs.detect import daytime
from edgeobs.detect.daytime import Calendar
from edgeobs.detect.looked_up import LookedUp
from edgeobs.detect.settings import WEEKDAYS, Settings, SiteSettings
from edgeobs.signals import Floats, Int32s, Int64s, Resource

Home = Callable[[int], Resource]
"""The resource of a live series, by its id; KeyError for any other."""
_EPOCH = date(1970, 1, 1).toordinal()


class Sites:
    """Phases of the day (`daytime.phase`) of series, each by the calendar of its site.

    Parameters
    ----------
    settings
        Of the package: what holds everywhere, and ``sites`` where it does not.
    home
        Where series are; None: all are where no site is named.

    """

    def __init__(self, settings: Settings, home: Home | None = None) -> None:
        self.calendars = [calendar(settings)]
        self._names: list[tuple[str, int]] = []  # pattern, number of the calendar; the first that fits counts
        for name, site in settings.sites.items():
            found = calendar(settings, site)
            if found not in self.calendars:
                self.calendars.append(found)
            self._names.append((name, self.calendars.index(found)))
        differ = len(self.calendars) > 1
        self._which = LookedUp(partial(self._look, home)) if home is not None and differ else None

    def phase(self, series: Int32s, time_ns: Int64s) -> Floats:
        """Of each series at a time of its own."""
        if self._which is None:
            return daytime.phase(time_ns, self.calendars[0])
        return daytime.phases(time_ns, self._which(series).astype(np.int32), self.calendars)

    def forget(self, ids: Int32s) -> None:
        """Series whose ids may be given to others."""
        if self._which is not None:
            self._which.forget(ids)

    def _look(self, home: Home, number: int) -> int:
        try:
            place = home(number)
        except KeyError:
            return 0
        fits = (
            at for name, at in self._names if fnmatchcase(place.zone, name) or fnmatchcase(place.node, name)
        )
        return next(fits, 0)


def calendar(settings: Settings, site: SiteSettings | None = None) -> Calendar:
    """Of a site, or of wherever none is named; what a site leaves open is as everywhere."""
    zone, rest, holidays = settings.timezone, settings.rest_days, settings.holidays
    if site is not None:
        zone = zone if site.timezone is None else site.timezone
        rest = rest if site.rest_days is None else site.rest_days
        holidays = holidays if site.holidays is None else site.holidays
    return Calendar(
        ZoneInfo(zone) if zone != "UTC" else None,
        frozenset(WEEKDAYS.index(day) for day in rest),
        frozenset(day.toordinal() - _EPOCH for day in holidays),
    )

"""From names and parameters to River estimators; nothing that is not River's own can be named."""

import copy
import difflib
import importlib
import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from river import anomaly, base, compose

from edgeobs.detect.models import ModelSettings
from edgeobs.detect.river.model import SEED, Kind, Model, Scale
from edgeobs.detect.river.ranges import Unit

MODULES = (
    "anomaly", "compose", "drift", "drift.binary", "feature_extraction", "linear_model", "neighbors",
    "optim", "optim.initializers", "optim.losses", "optim.schedulers", "preprocessing", "proba", "stats",
    "time_series", "tree",
)  # fmt: skip
"""Parts of River whose classes can be named."""
MOST_DEEP = 8
_KEYS = {"model", "parameters"}
_SCALES: tuple[tuple[tuple[Any, ...], Scale], ...] = (
    ((anomaly.GaussianScorer, anomaly.HalfSpaceTrees, anomaly.PredictiveAnomalyDetection), "share"),
    ((anomaly.LocalOutlierFactor,), "ratio"),
)


class Wrong(ValueError):
    """A model that cannot be; ``place`` is the key below the model's own where the mistake is."""

    def __init__(self, place: str, text: str) -> None:
        super().__init__(text)
        self.place = place


def problem(settings: ModelSettings) -> tuple[str, str] | None:
    """The key, below the model's own, that cannot be used, and why; None when the model runs."""
    try:
        model = recipe(settings)()
        model.rehearse()
    except Wrong as wrong:
        return wrong.place, str(wrong)
    except Exception as error:  # noqa: BLE001  whatever a model raises, the file is what is wrong
        return "parameters", f"the model does not run with these: {type(error).__name__}: {error}"
    return None


def recipe(settings: ModelSettings) -> Callable[[], Model]:
    """What makes one model after another, all alike and new. Raises `Wrong`."""
    if isinstance(settings.model, list) and settings.parameters:
        raise Wrong("parameters", "expected none beside a list of steps: each step has its own")
    made = _made(settings.model, settings.parameters, "model", "parameters", 0)
    kind = _kind(made)
    longest = max([10, *_patience(made)])
    warmup = 0 if kind in {"drift", "binary"} else longest
    warmup = warmup if settings.warmup is None else settings.warmup
    scale: Scale = next((scale for kinds, scale in _SCALES if isinstance(_last(made), kinds)), "plain")
    return lambda: Model(copy.deepcopy(made), kind, warmup, scale)


def _made(form: Any, parameters: Mapping[str, Any], place: str, inner: str, depth: int) -> Any:
    """The estimator of a name and parameters, or the pipeline of a list; places are for errors."""
    if depth > MOST_DEEP:
        raise Wrong(place, f"nested more than {MOST_DEEP} deep")
    if isinstance(form, list):
        if not form:
            raise Wrong(place, "expected at least one step; found an empty list")
        steps = [_step(step, f"{place}[{number}]", depth + 1) for number, step in enumerate(form)]
        flat = [part for step in steps for part in (step.steps.values() if _is_pipeline(step) else [step])]
        _fit(flat, place)
        return compose.Pipeline(*flat)
    made = _class(form, place)
    return _guarded(made, _constructed(made, parameters, inner, depth), parameters, inner)


def _step(step: Any, place: str, depth: int) -> Any:
    if not isinstance(step, dict):
        return _made(step, {}, place, f"{place}.parameters", depth)
    for key in step:
        if key not in _KEYS:
            raise Wrong(f"{place}.{key}", f"expected one of model, parameters; found {key!r}")
    if "model" not in step:
        raise Wrong(f"{place}.model", "expected a value; found nothing")
    parameters = step.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise Wrong(f"{place}.parameters", f"expected keys with values; found {parameters!r}")
    return _made(step["model"], parameters, f"{place}.model", f"{place}.parameters", depth)


def _class(name: Any, place: str) -> Any:
    """The class that River exports under a dotted name."""
    if not isinstance(name, str):
        raise Wrong(place, f"expected a name such as anomaly.HalfSpaceTrees; found {name!r}")
    module, _, last = name.removeprefix("river.").rpartition(".")
    if module not in MODULES:
        raise Wrong(place, f"expected a class of one of {', '.join(MODULES)}; found {name!r}")
    home = importlib.import_module(f"river.{module}")
    known = [n for n in home.__all__ if _is_estimator(getattr(home, n, None))]
    if last not in known:
        near = difflib.get_close_matches(last, known, n=1)
        meant = f" (did you mean '{module}.{near[0]}'?)" if near else ""
        raise Wrong(place, f"River has no {name!r}{meant}")
    return getattr(home, last)


def _is_estimator(found: Any) -> bool:
    return inspect.isclass(found) and issubclass(found, base.Base) and not inspect.isabstract(found)


def _constructed(made: Any, parameters: Mapping[str, Any], place: str, depth: int) -> Any:
    known = {
        name: parameter
        for name, parameter in inspect.signature(made).parameters.items()
        if parameter.kind not in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}
    }
    for name in parameters:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1)
            meant = f" (did you mean {near[0]!r}?)" if near else ""
            takes = ", ".join(known) or "nothing"
            raise Wrong(f"{place}.{name}", f"{made.__name__} takes {takes}; found {name!r}{meant}")
    for name, parameter in known.items():
        if parameter.default is parameter.empty and name not in parameters:
            raise Wrong(f"{place}.{name}", f"{made.__name__} needs a value; found nothing")
    values = {name: _value(value, f"{place}.{name}", depth + 1) for name, value in parameters.items()}
    if "seed" in known:
        values["seed"] = SEED if values.get("seed") is None else values["seed"]
    try:
        return made(**values)
    except Exception as error:
        text = f"{made.__name__} cannot be made of these: {type(error).__name__}: {error}"
        raise Wrong(place, text) from error


def _value(value: Any, place: str, depth: int) -> Any:
    """A plain value, or an estimator in its place."""
    if isinstance(value, dict) and "model" in value:
        return _step(value, place, depth)
    if depth > MOST_DEEP:
        raise Wrong(place, f"nested more than {MOST_DEEP} deep")
    if isinstance(value, dict):
        return {key: _value(inner, f"{place}.{key}", depth + 1) for key, inner in value.items()}
    if isinstance(value, list):
        return [_value(inner, f"{place}[{number}]", depth + 1) for number, inner in enumerate(value)]
    if isinstance(value, str | int | None) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise Wrong(place, f"expected a plain, finite value; found {value!r}")


def _guarded(made: Any, estimator: Any, parameters: Mapping[str, Any], place: str) -> Any:
    """Against what is known to go wrong with some classes (River 0.26)."""
    if made is anomaly.HalfSpaceTrees:
        if parameters.get("limits") is not None:
            raise Wrong(f"{place}.limits", "expected none: the features are brought into [0, 1]")
        return compose.Pipeline(Unit(), estimator)
    if made is anomaly.ThresholdFilter and not estimator.protect_anomaly_detector:
        text = "expected true: without it ThresholdFilter never learns; leave the filter out"
        raise Wrong(f"{place}.protect_anomaly_detector", text)
    return estimator


def _fit(steps: list[Any], place: str) -> None:
    """Every step but the last transforms, and the last one scores features."""
    for number, step in enumerate(steps[:-1]):
        if not isinstance(step, base.Transformer) or step._supervised:
            name = type(step).__name__
            raise Wrong(place, f"expected transformers before the last step; {name} (step {number}) is none")


def _kind(made: Any) -> Kind:
    last, found = _last(made), type(_last(made)).__name__
    if isinstance(last, base.AnomalyDetector):
        return "features"
    if isinstance(last, base.SupervisedAnomalyDetector):
        if _is_pipeline(made):
            raise Wrong("model", f"{found} looks at the value itself, which no step changes: name it alone")
        return "value"
    if isinstance(last, base.BinaryDriftDetector):
        kind: Kind = "binary"
    elif isinstance(last, base.DriftDetector):
        kind = "drift"
    else:
        raise Wrong("model", f"expected an anomaly or drift detector (last of the steps); found {found}")
    if _is_pipeline(made):
        raise Wrong("model", f"{found} looks at the value itself: name it alone")
    return kind


def _is_pipeline(made: Any) -> bool:
    return isinstance(made, compose.Pipeline)


def _last(made: Any) -> Any:
    """What scores in the end, below pipelines and filters."""
    while True:
        if _is_pipeline(made):
            made = list(made.steps.values())[-1]
        elif isinstance(made, base.AnomalyFilter):
            made = made.anomaly_detector
        else:
            return made


def _patience(made: Any) -> Iterable[int]:
    """Samples before which a model says nothing of worth, as its own parameters have it."""
    for name in ("window_size", "grace_period", "warmup_period"):
        value = getattr(_last(made), name, None)
        if isinstance(value, int):
            yield min(value, 100_000)

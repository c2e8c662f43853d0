"""LogQL for exactly the lines of a template: pure text, in the syntax of RE2, in which Loki matches.

What a template's line looks like in Loki is not quite what we saw: a date and time may stand before it,
more lines after it, and where the body was a map or JSON it is inside JSON, where quotes, backslashes and
whatever the encoder thought dangerous are escaped. So the expression lets every character of the template
be as it is or as JSON writes it, and anchors it to the beginning of the line or of a JSON string.

Sources: RE2's syntax (the part that Go's regexp, which Loki uses, Rust's regex and Python's re share), Loki's
"LogQL: Log query language", and the names that Loki gives to OTLP's attributes.
"""

from collections.abc import Iterator

from edgeobs.logs.body import NAMED
from edgeobs.logs.book import Template
from edgeobs.logs.mask import MASKED, MORE, WILD
from edgeobs.logs.miner import EMPTY
from edgeobs.signals import Source

_BLANK = r"\t-\r "  # in brackets: what parts words
_WORD = rf"[^{_BLANK}]+"
_GAP = rf"(?:[{_BLANK}]|\\[nrtf]|\\u000[bB])+"
_MAYBE_GAP = _GAP[:-1] + "*"
_BEGIN = r"(?:^|\")" + _MAYBE_GAP
_END = _MAYBE_GAP + r"(?:$|\n|\"|\\[nr])"
_STAMP = rf"(?:{_WORD}{_GAP}){{0,8}}"
_META = frozenset(r"\.+*?()|[]{}^$")
_ESCAPED = r"\\u[0-9a-fA-F]{4}"
_LONGEST = 4000  # characters of an expression; a template's further words are left out of it

_NODE = "k8s_node_name", "host_name"
_WORKLOAD = (
    "k8s_deployment_name",
    "k8s_statefulset_name",
    "k8s_daemonset_name",
    "k8s_cronjob_name",
    "k8s_job_name",
    "service_name",
)


def logql(template: Template, source: Source | None = None) -> str:
    """A LogQL query for the lines of a template, of one source's namespace and workload (or node).

    The window is a parameter of the request: `Loki.lines`, or ``start`` and ``end`` of Loki's API in
    nanoseconds. Without ``source`` it is the source that wrote the template last.
    """
    source = source or template.source
    filters = "".join(f" |~ {_quoted(expression)}" for expression in expressions(template))
    return f"{_selector(source)}{filters}{_labels(source)}"


def expressions(template: Template) -> list[str]:
    """Regular expressions which together match the lines of a template and, as far as it tells, no others."""
    words = template.text.split(" ")
    if words[0] == NAMED:
        return [f'"{_word(key)}"[{_BLANK}]*:' for key in words[1:]] or [r"^[\t-\r ]*\{"]
    if words == [EMPTY]:
        return [rf"^[{_BLANK}]*$"]
    parts, length, end = [], 0, _END
    for word in words:
        if word == MORE or length > _LONGEST:
            end = ""
            break
        parts.append(_word(word))
        length += len(parts[-1]) + len(_GAP)
    return [_BEGIN + (_STAMP if template.stamped else "") + _GAP.join(parts) + end]


def _word(word: str) -> str:
    """A word of a template: parameters are whatever is no blank, all else is itself."""
    if word == WILD:
        return _WORD
    found, at = [], 0
    for mask in MASKED.finditer(word):
        found += [*map(_character, word[at : mask.start()]), _WORD]
        at = mask.end()
    return "".join([*found, *map(_character, word[at:])])


def _character(character: str) -> str:
    """A character as it is, or as JSON may write it."""
    match character:
        case "\\":
            return r"\\{1,2}"
        case '"' | "/":
            return rf"\\?{character}"
        case "\ufffd":  # stands for bytes that are no UTF-8
            return _WORD
    if character in _META:
        return f"\\{character}"
    if character.isascii() and character.isprintable() and character not in "<>&'=":
        return character
    itself = character if character.isprintable() or not character.isascii() else rf"\x{ord(character):02x}"
    return rf"(?:{itself}|(?:{_ESCAPED}){{1,2}}|\\[bfnrt])"


def _quoted(text: str) -> str:
    """A string literal of LogQL, which are Go's."""
    return '"' + "".join(_literal(text)) + '"'


def _literal(text: str) -> Iterator[str]:
    for character in text:
        if character in '"\\':
            yield f"\\{character}"
        elif character.isprintable():
            yield character
        else:
            yield f"\\U{ord(character):08x}"


def _selector(source: Source | None) -> str:
    namespace = source.resource.namespace if source else ""
    if namespace:
        return f"{{k8s_namespace_name={_quoted(namespace)}}}"
    return '{service_name=~".+"}'  # which Loki gives to every stream of OTLP


def _labels(source: Source | None) -> str:
    """Workload and node may be labels of the stream or structured metadata: a filter finds both."""
    if source is None:
        return ""
    workload = source.resource.workload or source.service()
    found = [" or ".join(f"{name}={_quoted(workload)}" for name in _WORKLOAD)] if workload else []
    if source.resource.node and not workload:
        found.append(" or ".join(f"{name}={_quoted(source.resource.node)}" for name in _NODE))
    return "".join(f" | {each}" for each in found)

"""Match the patterns of `input.train` and `input.eval`, and choose their newest spans.

`*`, `?` and `[...]` match within one name, `**` any folders. A name that exists as it is spelt is
that file or folder, brackets and all. `{SPAN}` is a number, `{SPAN:4}` one of four digits, and
`{YYYY}`, `{MM}` and `{DD}` together are a date, whose number is the days since 1970-01-01. A span
may have many files. `{machine}`, or any name of small letters, digits and `_`, is a field: it
stands for at least one character within one name, as many as there can be, and what it stands for
is known of each file.
"""

import datetime
import glob
import itertools
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ragline.components.contract.errors import BadDataError
from ragline.components.files import places

_WILDCARD = re.compile(r"[*?\[]")
_TOKEN = re.compile(r"\{(?:SPAN(?::([1-9][0-9]*))?|(YYYY)|(MM)|(DD)|([a-z][a-z0-9_]*))\}")
_FIELD = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_SPANS = ("SPAN", "YYYY", "MM", "DD")
_EPOCH = datetime.date(1970, 1, 1).toordinal()
_GLOB = re.compile(r"\*\*/|\*|\?|\[!?\]?[^\]]*\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchedFiles:
    """States the files that a pattern names.

    Attributes:
      folder: the absolute path before the first wildcard.
      paths: the paths of the files, sorted.
      spans: the chosen spans, oldest first; none if the pattern names no span.
      span_of: path -> its span, if the pattern names one.
      fields: path -> what the pattern's fields stand for in it; nothing of a pattern without any.
      missing: spans that are not there, between those that were chosen: `7`, or `7..9`.
    """

    folder: str
    paths: tuple[str, ...]
    spans: tuple[str, ...]
    span_of: Mapping[str, str]
    fields: Mapping[str, Mapping[str, str]]
    missing: tuple[str, ...] = ()


def match(
    pattern: str,
    *,
    spans: int = 1,
    newest: int | None = None,
    max_gap: int | None = None,
    allow_outside: bool = False,
) -> MatchedFiles:
    """Return the files of a pattern.

    Args:
      pattern: the pattern, as the module says.
      spans: the number of spans, of a pattern that names a span.
      newest: the number of the newest span; None is the newest that there is.
      max_gap: the most spans in a row that may be missing between them; None is any number.
      allow_outside: take files that a link or `..` puts outside the pattern's folder.

    Raises:
      BadDataError: `no_input`, nothing matches, or only folders do; `no_span`, the newest span is
        not there; `few_spans`, fewer than wanted; `span_gap`, too many are missing between them;
        `path_escape`, a file lies outside the folder.
    """
    fixed, rest = _fixed(pattern)
    if not rest and os.path.isdir(fixed):
        inside = os.path.join(pattern, "*")
        raise BadDataError(
            "no_input",
            f"{pattern}: expected a file or a pattern such as {inside}, received a folder",
        )
    folder = fixed if rest else os.path.dirname(fixed)
    paths = _paths(fixed, rest)
    span_of: dict[str, str] = {}
    missing: tuple[str, ...] = ()
    fields_of: dict[str, dict[str, str]] = {}
    if fields(rest):
        fields_of = _fields_of(paths, rest, fixed)
        paths = list(fields_of)
    if paths and re.search(r"\{(?:SPAN|YYYY|MM|DD)", rest):
        by_span = _by_span(paths, rest, fixed)
        chosen = _newest(pattern, by_span, spans, newest)
        span_of = {path: span[1] for span in chosen for path in by_span[span]}
        missing = _missing(pattern, chosen, max_gap)
        paths = list(span_of)
    if not paths:
        raise BadDataError("no_input", f"{pattern}: expected at least one file, found none")
    if not allow_outside:
        _check_inside(folder, paths)
    return MatchedFiles(
        folder=folder,
        paths=tuple(sorted(paths, key=os.fsencode)),
        spans=tuple(dict.fromkeys(span_of.values())),
        span_of=span_of,
        fields=fields_of,
        missing=missing,
    )


def fields(pattern: str) -> tuple[str, ...]:
    """Return the names of a pattern's fields, each once."""
    return tuple(dict.fromkeys(_FIELD.findall(pattern)))


def names(matches: Iterable[MatchedFiles]) -> dict[str, str]:
    """Return the name of each path below the folder that all patterns have in common.

    It goes by the patterns and not by the files: a new file must not rename, and so resplit, the
    others. What is not UTF-8 in a name becomes U+FFFD.
    """
    matches = list(matches)
    folder = os.path.commonpath([matched.folder for matched in matches])
    return {
        path: os.fsencode(os.path.relpath(path, folder)).decode("utf-8", "replace")
        for matched in matches
        for path in matched.paths
    }


def _fixed(pattern: str) -> tuple[str, str]:
    """Split a pattern into what exists as it is spelt, or has no wildcard, and the rest."""
    if "://" in pattern:
        wild = re.search(r"[*?\[{]", pattern)
        cut = pattern.rindex("/", 0, wild.start()) if wild else len(pattern)
        return pattern[:cut], pattern[cut:].lstrip("/")
    fixed, *rest = os.path.join(os.getcwd(), pattern).split(os.sep)
    fixed += os.sep
    while rest:
        further = os.path.join(fixed, rest[0])
        wild = _WILDCARD.search(rest[0]) or _TOKEN.search(rest[0])
        if wild and not os.path.lexists(further):
            break
        fixed = further
        del rest[0]
    # Of the rest, `..` is left for the file system to resolve, and for the check of what it finds.
    return os.path.abspath(fixed), os.sep.join(rest)


def _paths(fixed: str, rest: str) -> list[str]:
    wildcards = _TOKEN.sub("*", rest)
    if "://" in fixed:
        if rest:
            return places.inside(fixed, wildcards)
        return [fixed] if places.exists(fixed) else []
    pattern = os.path.join(glob.escape(fixed), wildcards) if rest else glob.escape(fixed)
    return [path for path in glob.glob(pattern, recursive=True) if os.path.isfile(path)]


def _fields_of(paths: list[str], rest: str, fixed: str) -> dict[str, dict[str, str]]:
    """Return path -> what each field stands for in it, of paths of the shape."""
    shape = re.compile(_regex(rest), re.DOTALL)
    fields_of = {}
    for path in paths:
        if matched := shape.fullmatch(os.path.relpath(path, fixed)):
            fields_of[path] = {
                name: os.fsencode(value).decode("utf-8", "replace")
                for name, value in matched.groupdict().items()
                if name not in _SPANS
            }
    return fields_of


def _by_span(paths: list[str], rest: str, fixed: str) -> dict[tuple[int, str], list[str]]:
    """Group paths by span, (number, name); a path without a span is left out."""
    shape = re.compile(_regex(rest), re.DOTALL)
    by_span: dict[tuple[int, str], list[str]] = {}
    for path in paths:
        if (matched := shape.fullmatch(os.path.relpath(path, fixed))) and (
            span := _span(matched.groupdict())
        ):
            by_span.setdefault(span, []).append(path)
    return by_span


def _newest(
    pattern: str, by_span: dict[tuple[int, str], list[str]], spans: int, newest: int | None
) -> list[tuple[int, str]]:
    """Return the newest spans, oldest first."""
    known = ", ".join(name for _, name in sorted(by_span)) or "none"
    if newest is not None and newest not in (number for number, _ in by_span):
        raise BadDataError("no_span", f"{pattern}: expected span {newest}, found {known}")
    known_spans = sorted(by_span)
    chosen = [span for span in known_spans if newest is None or span[0] <= newest][-spans:]
    if len(chosen) < spans:
        until = "" if newest is None else f" up to {newest}"
        raise BadDataError("few_spans", f"{pattern}: expected {spans} spans{until}, found {known}")
    return chosen


def _missing(pattern: str, chosen: list[tuple[int, str]], max_gap: int | None) -> tuple[str, ...]:
    """Return what is missing between spans: `7`, or `7..9`."""
    missing = []
    for (older, _), (newer, name) in itertools.pairwise(chosen):
        first, last = _place(older, pattern) + 1, _place(newer, pattern) - 1
        if last < first:
            continue
        ends = dict.fromkeys((_name(first, pattern), _name(last, pattern)))
        missing.append("..".join(ends))
        if max_gap is not None and last - first >= max_gap:
            raise BadDataError(
                "span_gap",
                f"{pattern}: expected at most {max_gap} missing spans in a row before {name} "
                f"(input.max_gap), {last - first + 1} are missing: {missing[-1]}",
            )
    return tuple(missing)


def _place(number: int, pattern: str) -> int:
    """Return a span's place in a row without gaps: of days, or a pattern's months or years."""
    if "{DD}" in pattern or "{YYYY}" not in pattern:
        return number
    day = datetime.date.fromordinal(number + _EPOCH)
    return 12 * day.year + day.month - 1 if "{MM}" in pattern else day.year


def _name(place: int, pattern: str) -> str:
    """Return the name of the span at a place."""
    if "{YYYY}" not in pattern:
        [digits, *_] = (names[1] for names in _TOKEN.finditer(pattern) if "SPAN" in names[0])
        return str(place).zfill(int(digits or 1))
    if "{DD}" in pattern:
        return datetime.date.fromordinal(place + _EPOCH).isoformat()
    year, month = divmod(place, 12) if "{MM}" in pattern else (place, 0)
    return datetime.date(year, month + 1, 1).isoformat()


def _regex(rest: str) -> str:
    """Convert a pattern to a regular expression with groups for its span."""
    seen: set[str] = set()

    def token(matched: re.Match[str]) -> str:
        digits, *date, field = matched.groups()
        if field:
            again = field in seen
            seen.add(field)
            return f"(?P={field})" if again else f"(?P<{field}>[^/]+)"
        name = next((part for part in date if part), "SPAN")
        width = {"YYYY": "4", "MM": "2", "DD": "2"}.get(name, digits)
        if name in seen:  # Of one path, all must be the same.
            return f"(?P={name})"
        seen.add(name)
        return f"(?P<{name}>[0-9]{f'{{{width}}}' if width else '+'})"

    def wildcard(matched: re.Match[str]) -> str:
        text = matched.group()
        simple = {"**/": "(?:.*/)?", "*": "[^/]*", "?": "[^/]"}
        inner = re.sub(r"([\\\[])", r"\\\1", text[1:-1])
        return simple.get(text) or f"[{'^' + inner[1:] if inner.startswith('!') else inner}]"

    parts, end = [], 0
    for matched in re.finditer(f"(?P<token>{_TOKEN.pattern})|{_GLOB.pattern}", rest):
        parts.append(re.escape(rest[end : matched.start()]))
        is_token = matched.group("token")
        parts.append(token(_TOKEN.fullmatch(is_token)) if is_token else wildcard(matched))  # type: ignore[arg-type]
        end = matched.end()
    return "".join([*parts, re.escape(rest[end:])])


def _span(groups: dict[str, str]) -> tuple[int, str] | None:
    """Return a span's number and its name; None for a day that does not exist."""
    if groups.get("SPAN"):
        return int(groups["SPAN"]), groups["SPAN"]
    try:
        day = datetime.date(*(int(groups.get(part, "1")) for part in ("YYYY", "MM", "DD")))
    except ValueError:
        return None
    return day.toordinal() - _EPOCH, day.isoformat()


def _check_inside(folder: str, paths: Iterable[str]) -> None:
    if "://" in folder:
        return
    root = os.path.realpath(folder)
    for path in paths:
        real = os.path.realpath(path)
        if os.path.commonpath([root, real]) != root:
            raise BadDataError(
                "path_escape",
                f"{path}: expected a file below {folder}, received a link to {real}; "
                "input.allow_outside = true takes it",
            )

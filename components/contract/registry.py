"""Name what implements an extension point: the package's own in a table, others by entry points.

    FORMATS = Registry("format", "ragline.formats", __name__, {"csv": "csv:Csv"})
    FORMATS["csv"]    the class; its module is imported now, and not before
    [*FORMATS]        every name, the package's own first

A distribution adds one by an entry point of the registry's group, in its pyproject.toml:

    [project.entry-points."ragline.formats"]
    fixed = "fixed_width:FixedWidth"

Installed distributions are searched, in 0.02 s, only for a name that is not the package's own, or
for all names.
"""

import functools
import importlib
import importlib.metadata
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Generic, TypeVar

from ragline.components.contract.errors import UsageError

Implementation = TypeVar("Implementation")


class NotInstalledError(UsageError, KeyError):
    """Says that a name has no implementation in the environment of this process."""

    # A KeyError would show the text in quotes.
    __str__ = UsageError.__str__


def not_installed(text: str) -> str | None:
    """Return the sentence of a `NotInstalledError` in a worker's traceback; None if it has none."""
    matched = re.search(rf"{NotInstalledError.__name__}: (.+? workers do)\b", text)
    return matched and matched.group(1)


class Registry(Mapping[str, Implementation], Generic[Implementation]):
    """Maps names to implementations, each of which is imported at its first use.

    Attributes:
      kind: the word for an implementation in sentences, such as `format`.
      group: the group of entry points.
    """

    def __init__(self, kind: str, group: str, package: str, table: Mapping[str, str]) -> None:
        """Take the package's own implementations.

        Args:
          kind: the word for an implementation in sentences.
          group: the group of entry points.
          package: the package that holds them.
          table: name -> `module:attribute`, in that package.
        """
        self.kind = kind
        self.group = group
        self._package = package
        self._table = table

    def __getitem__(self, name: str) -> Implementation:
        """Import an implementation.

        Raises:
          NotInstalledError: no implementation has the name.
          UsageError: the implementation of another distribution cannot be imported.
        """
        if name in self._table:
            module, _, attribute = self._table[name].partition(":")
            own: Implementation = getattr(
                importlib.import_module(f"{self._package}.{module}"), attribute
            )
            return own
        if (entry := self._entry_points.get(name)) is None:
            raise NotInstalledError(
                f"{self.kind} {name!r}: expected a package that names it in its entry points of "
                f"{self.group}, received none; install the package where ragline runs, and where "
                "its Beam workers do"
            )
        try:
            loaded: Implementation = entry.load()
        except Exception as error:
            raise UsageError(
                f"{self.kind} {name!r} of {_distribution(entry)}: expected to import "
                f"{entry.value}, received {type(error).__name__}: {error}"
            ) from error
        return loaded

    def __iter__(self) -> Iterator[str]:
        return iter((*self._table, *self.added))

    def __len__(self) -> int:
        return len(self._table) + len(self.added)

    def __contains__(self, name: object) -> bool:
        return name in self._table or name in self._entry_points

    @property
    def own(self) -> tuple[str, ...]:
        """Return the names of the package's own implementations."""
        return tuple(self._table)

    @property
    def added(self) -> tuple[str, ...]:
        """Return the names that other distributions add, sorted."""
        return tuple(sorted(self._entry_points))

    @functools.cached_property
    def _entry_points(self) -> dict[str, importlib.metadata.EntryPoint]:
        entries: dict[str, importlib.metadata.EntryPoint] = {}
        for entry in importlib.metadata.entry_points(group=self.group):
            other = entries.setdefault(entry.name, entry)
            if entry.name in self._table or other.value != entry.value:
                owner = "ragline" if entry.name in self._table else _distribution(other)
                raise UsageError(
                    f"{self.kind} {entry.name!r}: expected one implementation, received those of "
                    f"{owner} and {_distribution(entry)}: uninstall {_distribution(entry)}"
                )
        return entries


class Choice(Collection[str]):
    """Lists what a key takes: some words of its own, and names of a registry.

    Attributes:
      registry: the registry.
      words: the words that are no implementation, such as `auto`.
    """

    def __init__(
        self,
        registry: Registry[Implementation],
        words: tuple[str, ...] = (),
        accepts: Callable[[str], bool] = lambda name: True,
    ) -> None:
        """Take the registry.

        Args:
          registry: the registry.
          words: the words that are no implementation.
          accepts: a name of the registry -> whether the key takes it.
        """
        self.registry = registry
        self.words = words
        self._accepts = accepts

    @property
    def own(self) -> tuple[str, ...]:
        """Return what it lists without another distribution."""
        return (*self.words, *filter(self._accepts, self.registry.own))

    def __contains__(self, name: object) -> bool:
        return name in self.words or (name in self.registry and self._accepts(str(name)))

    def __iter__(self) -> Iterator[str]:
        return iter((*self.words, *filter(self._accepts, self.registry)))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __str__(self) -> str:
        *others, last = map(repr, self)
        return f"{', '.join(others)} or {last}" if others else last

    def mistakes(self, key: str, value: str) -> list[str]:
        """Return the sentence that a value is none of these, or nothing."""
        return [] if value in self else [f"{key}: expected {self}, received {value!r}"]


def _distribution(entry: importlib.metadata.EntryPoint) -> str:
    return entry.dist.name if entry.dist else entry.value

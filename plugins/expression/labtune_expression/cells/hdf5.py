"""Opening HDF5 files, with an error that says what is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from labtune.errors import DataError

EXTRA = "pip install 'labtune-expression[cells]'"


@contextmanager
def open_hdf5(path: Path) -> Iterator[Any]:
    """Open a file for reading.

    Raises
    ------
    DataError
        If it is missing or no HDF5 file, or the library is not installed.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file; check the path")
    try:
        import h5py
    except ImportError:
        raise DataError(f"{path}: reading this needs h5py; {EXTRA}") from None
    try:
        file = h5py.File(path)
    except OSError as error:
        raise DataError(
            f"{path}: not an HDF5 file, or cut short ({str(error).splitlines()[0]}); copy it again"
        ) from None
    with file:
        yield file


def texts(dataset: Any) -> Sequence[str]:
    """Read a dataset of names."""
    return [value.decode() if isinstance(value, bytes) else str(value) for value in dataset[:]]


def needs_anndata(path: Path) -> None:
    """Raise DataError when anndata is not installed."""
    if find_spec("anndata") is None:
        raise DataError(f"{path}: reading .h5ad needs anndata; {EXTRA}")

"""Members of a container in their order: lists, generators, arrays, and the rows of tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MappingView, Sequence, Set
from functools import partial
from typing import Any


def members(container: Any, name: str, expected: str, columns: Sequence[str] | None = None) -> Iterator[Any]:
    """Iterates over what `container` holds, in its order; the rows of a table (see `table_rows`) as dicts.

    `name` and `expected` are for messages: "`name` must be `expected`, not …". `columns` are those that a table
    must have; None refuses tables. Raises TypeError for a container that is not one, or has no order, and
    ValueError for a table that lacks a column.
    """
    kind = type(container).__name__
    if isinstance(container, Set | MappingView) and not isinstance(container, Sequence):
        raise TypeError(
            f"{name} must be {expected}, not {kind}: results name each member by its place, which a set or a "
            "view of a dict does not give it; put them in a list"
        )
    if is_table(container):
        if columns is None:
            raise TypeError(f"{name} must be {expected}, not a whole {kind}: pass one of its columns")
        return iter(table_rows(container, name, columns))
    if isinstance(container, str | bytes | bytearray | Mapping):
        raise TypeError(f"{name} must be {expected}, not {kind}")
    if hasattr(type(container), "to_pylist"):  # an Arrow array: iterating would give its own scalars
        return iter(container.to_pylist())
    try:
        return iter(container)
    except TypeError as error:
        raise TypeError(f"{name} must be {expected}, not {kind}") from error


def is_table(container: Any) -> bool:
    """Whether it is a table: a DataFrame or an Arrow table, known by its shape, not by its library."""
    return hasattr(type(container), "columns") and not isinstance(container, Sequence | Mapping)


def table_rows(table: Any, name: str, columns: Sequence[str]) -> list[dict[Any, Any]]:
    """The rows of a pandas or polars DataFrame or of an Arrow table. A named index of pandas is a column too.

    Raises TypeError for a table that is none of these (a lazy or distributed one), ValueError where one of
    `columns` is missing or two have one name.
    """
    kind, has = type(table).__name__, {method for method in _TABLE_METHODS if hasattr(type(table), method)}
    if {"iloc", "to_dict"} <= has:
        unlisted = [level for level in table.index.names if level is not None and level not in table.columns]
        table = table.reset_index(level=unlisted) if unlisted else table
        names, read = list(table.columns), partial(table.to_dict, "records")
    elif "to_dicts" in has:
        names, read = list(table.columns), table.to_dicts
    elif {"to_pylist", "column_names"} <= has:
        names, read = list(table.column_names), table.to_pylist
    else:
        raise TypeError(
            f"{name}: a {kind} of {type(table).__module__.split('.')[0]} cannot be read as it is: pass a pandas "
            "or polars DataFrame, an Arrow table, or a list of dicts (a lazy table must be computed first)"
        )
    missing = [column for column in columns if column not in names]
    if missing:
        raise ValueError(
            f"{name}: the {kind} has no column {' and no column '.join(map(repr, missing))}; it has "
            f"{', '.join(map(repr, names)) or 'none'}; rename the one that is meant"
        )
    twice = {repr(column) for column in names if names.count(column) > 1}
    if twice:
        raise ValueError(f"{name}: the {kind} has two columns called {', '.join(sorted(twice))}")
    return list(read())


_TABLE_METHODS = ("iloc", "to_dict", "to_dicts", "to_pylist", "column_names")

"""Tests of the readers run where the data is, and say so where it is not."""

from __future__ import annotations

import pytest

from rranker.data import data_folder


@pytest.fixture(scope="session", autouse=True)
def _data() -> None:
    try:
        data_folder()
    except FileNotFoundError as error:
        pytest.skip(str(error))

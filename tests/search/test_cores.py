"""One core for products, however many ask for that at once."""

from __future__ import annotations

import threading

import numpy  # noqa: F401  its matrix library is the one whose cores are counted
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from needlepoint.search.cores import one_core


def cores() -> set[int]:
    return {lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"}


def test_the_last_to_leave_gives_the_cores_back() -> None:
    with threadpool_limits(2, user_api="blas"):
        before = cores()
        entered, leave = threading.Event(), threading.Event()

        def other() -> None:
            with one_core():
                entered.set()
                assert leave.wait(60)

        thread = threading.Thread(target=other)
        with one_core():
            thread.start()
            assert entered.wait(60)
            assert cores() == {1}
        assert cores() == {1}  # the other is still at it
        leave.set()
        thread.join()
        assert cores() == before
        with pytest.raises(KeyError), one_core():
            raise KeyError
        assert cores() == before

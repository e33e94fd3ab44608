import pytest

from tamis.errors import Cancelled, TamisError
from tamis.ml.progress import StopCheck


def test_it_asks_now_and_then_however_often_it_is_called():
    asked = []
    check = StopCheck(lambda: bool(asked.append(1)), every=1000)
    for _ in range(100):
        check()
    assert len(asked) == 1


def test_a_run_that_is_to_stop_stops():
    answers = iter([False, False, True])
    check = StopCheck(lambda: next(answers), every=0)
    check()
    check()
    with pytest.raises(Cancelled) as cancelled:
        check()
    assert isinstance(cancelled.value, TamisError)
    assert cancelled.value.code == "cancelled"

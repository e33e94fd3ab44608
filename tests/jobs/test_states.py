"""The transition table: every pair is decided, final states are final, and the hosted service's words are used."""

from __future__ import annotations

from itertools import product

import pytest

from tamis.errors import IllegalTransition
from tamis.jobs.states import FINAL, HELD, LIVE, NEXT, Move, Status, advance, before

HOSTED = {
    "QUEUED",
    "VALIDATING",
    "VALIDATED",
    "RUNNING",
    "FAILED_VALIDATION",
    "FAILED",
    "SUCCESS",
    "CANCELLED",
    "CANCELLATION_REQUESTED",
}


def test_every_pair_leads_somewhere_or_is_refused_with_what_is_possible():
    for status, move in product(Status, Move):
        if (status, move) in NEXT:
            assert advance(status, move) is NEXT[status, move]
            continue
        with pytest.raises(IllegalTransition, match=f"The job is {status}: it cannot {move}") as refused:
            advance(status, move)
        assert ("it is over" in str(refused.value)) == (status in FINAL)


def test_final_states_have_no_way_out_and_all_others_have_one():
    leaving = {status for status, _ in NEXT}
    assert leaving == LIVE
    assert not leaving & FINAL
    assert HELD < LIVE


def test_every_state_can_be_reached_from_the_first():
    reached = {Status.QUEUED}
    while more := {after for (state, _), after in NEXT.items() if state in reached} - reached:
        reached |= more
    assert reached == set(Status)


def test_the_words_are_those_that_closed_enums_of_the_sdks_know():
    assert {status.value for status in Status} - {"TIMEOUT_EXCEEDED"} == HOSTED


def test_before_lists_the_states_a_move_starts_from():
    assert before(Move.START) == {"VALIDATED"}
    assert before(Move.SUCCEED) == {"RUNNING"}
    assert before(Move.CANCEL) == {"QUEUED", "VALIDATED", "CANCELLATION_REQUESTED"}

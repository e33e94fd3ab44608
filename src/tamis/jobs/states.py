"""The states of jobs and batch jobs, and which may follow which. It knows no database: `store` keeps them as words.

    QUEUED -> VALIDATING -> VALIDATED -(start)-> QUEUED -> RUNNING -> SUCCESS | FAILED
              VALIDATING -> FAILED_VALIDATION
    any of these that is not final -> CANCELLATION_REQUESTED -> CANCELLED   (at once where no worker holds the job)

A batch job is the same without validation, and may also end in TIMEOUT_EXCEEDED. A job taken up again after its process
was killed goes back to QUEUED, in the same phase.
"""

from __future__ import annotations

from enum import StrEnum

from tamis.errors import IllegalTransition


class Status(StrEnum):
    """Where a job is; the words are those of the hosted service."""

    QUEUED = "QUEUED"  # waits for a worker: for validation first, for training after `start`
    VALIDATING = "VALIDATING"  # a child reads its files
    VALIDATED = "VALIDATED"  # its files are good; it waits for `start`
    RUNNING = "RUNNING"  # a child trains
    SUCCESS = "SUCCESS"  # there is a model
    FAILED = "FAILED"  # there is none, and the job says why
    FAILED_VALIDATION = "FAILED_VALIDATION"  # its files cannot be learnt from, and the job says why
    CANCELLATION_REQUESTED = "CANCELLATION_REQUESTED"  # a child still works, and is being stopped
    CANCELLED = "CANCELLED"  # it was stopped before its end
    TIMEOUT_EXCEEDED = "TIMEOUT_EXCEEDED"  # a batch job that took longer than it was given


class Phase(StrEnum):
    """What a queued job waits for."""

    VALIDATE = "validate"
    TRAIN = "train"


class Move(StrEnum):
    """What happens to a job."""

    CLAIM_TO_VALIDATE = "claim to validate"
    CLAIM_TO_RUN = "claim to run"
    FIND_GOOD = "find good"
    FIND_BAD = "find bad"
    START = "start"
    SUCCEED = "succeed"
    FAIL = "fail"
    HAND_BACK = "hand back"
    ASK_TO_CANCEL = "ask to cancel"
    CANCEL = "cancel"
    RUN_OUT_OF_TIME = "run out of time"


_S, _M = Status, Move

NEXT: dict[tuple[Status, Move], Status] = {
    (_S.QUEUED, _M.CLAIM_TO_VALIDATE): _S.VALIDATING,
    (_S.QUEUED, _M.CLAIM_TO_RUN): _S.RUNNING,
    (_S.QUEUED, _M.CANCEL): _S.CANCELLED,
    (_S.QUEUED, _M.FAIL): _S.FAILED,
    (_S.VALIDATING, _M.FIND_GOOD): _S.VALIDATED,
    (_S.VALIDATING, _M.FIND_BAD): _S.FAILED_VALIDATION,
    (_S.VALIDATING, _M.HAND_BACK): _S.QUEUED,
    (_S.VALIDATING, _M.ASK_TO_CANCEL): _S.CANCELLATION_REQUESTED,
    (_S.VALIDATED, _M.START): _S.QUEUED,
    (_S.VALIDATED, _M.CANCEL): _S.CANCELLED,
    (_S.RUNNING, _M.SUCCEED): _S.SUCCESS,
    (_S.RUNNING, _M.FAIL): _S.FAILED,
    (_S.RUNNING, _M.HAND_BACK): _S.QUEUED,
    (_S.RUNNING, _M.ASK_TO_CANCEL): _S.CANCELLATION_REQUESTED,
    (_S.RUNNING, _M.RUN_OUT_OF_TIME): _S.TIMEOUT_EXCEEDED,
    (_S.QUEUED, _M.RUN_OUT_OF_TIME): _S.TIMEOUT_EXCEEDED,
    (_S.CANCELLATION_REQUESTED, _M.CANCEL): _S.CANCELLED,
    (_S.CANCELLATION_REQUESTED, _M.ASK_TO_CANCEL): _S.CANCELLATION_REQUESTED,
}
"""Every move that is possible; what is not here is not."""

FINAL = frozenset(
    {_S.SUCCESS, _S.FAILED, _S.FAILED_VALIDATION, _S.CANCELLED, _S.TIMEOUT_EXCEEDED}
)  # nothing follows these
LIVE = frozenset(_S) - FINAL
HELD = frozenset({_S.VALIDATING, _S.RUNNING, _S.CANCELLATION_REQUESTED})  # a worker has the job under a lease


def advance(status: Status, move: Move) -> Status:
    """Return the state that follows.

    Raises:
        IllegalTransition: none does; the message says which moves there are.
    """
    try:
        return NEXT[status, move]
    except KeyError:
        possible = [each.value for (state, each) in NEXT if state is status]
        there = f"possible: {', '.join(possible)}" if possible else "it is over"
        raise IllegalTransition(f"The job is {status}: it cannot {move}; {there}.", status=status.value) from None


def before(move: Move) -> frozenset[str]:
    """Return the states from which a move is possible: what a compare-and-swap asks for."""
    return frozenset(state.value for state, each in NEXT if each is move)

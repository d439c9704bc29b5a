"""Name the states of one session's stream and which input leads where: a table, no code.

Enters: nothing. Leaves: `TABLE`. What is not in it is an input that the state does not allow: a
named drop and the end of the stream. The picture in docs/wire-format.md#session follows it.
"""

from enum import Enum


class State(Enum):
    """Where one stream stands. The first three are the initiator's, the next four the other's."""

    DIALLING = "dialling"
    IK_SENT = "ik-sent"
    XX_SENT = "xx-sent"
    ACCEPTED = "accepted"
    IK_AWAITED = "ik-awaited"
    XX_AWAITED = "xx-awaited"
    XX_ANSWERED = "xx-answered"
    CONFIRM_AWAITED = "confirm-awaited"
    UP = "up"
    CLOSED = "closed"


class Input(Enum):
    """What can happen to it. MESSAGE, CONFIRM and RECORD are genuine; what is not is FAILED."""

    CONNECTED_IK = "connected-ik"
    CONNECTED_XX = "connected-xx"
    OPENING_IK = "opening-ik"
    OPENING_XX = "opening-xx"
    MESSAGE = "message"
    CONFIRM = "confirm"
    RECORD = "record"
    FAILED = "failed"
    ENDED = "ended"


TABLE: dict[tuple[State, Input], State] = {
    (State.DIALLING, Input.CONNECTED_IK): State.IK_SENT,
    (State.DIALLING, Input.CONNECTED_XX): State.XX_SENT,
    (State.IK_SENT, Input.MESSAGE): State.UP,
    (State.XX_SENT, Input.MESSAGE): State.UP,
    (State.ACCEPTED, Input.OPENING_IK): State.IK_AWAITED,
    (State.ACCEPTED, Input.OPENING_XX): State.XX_AWAITED,
    (State.IK_AWAITED, Input.MESSAGE): State.CONFIRM_AWAITED,
    (State.XX_AWAITED, Input.MESSAGE): State.XX_ANSWERED,
    (State.XX_ANSWERED, Input.MESSAGE): State.CONFIRM_AWAITED,
    (State.CONFIRM_AWAITED, Input.CONFIRM): State.UP,
    (State.UP, Input.RECORD): State.UP,
    **{
        (state, last): State.CLOSED
        for state in State
        if state is not State.CLOSED
        for last in (Input.FAILED, Input.ENDED)
    },
}

import pytest

from kttun.protocol.errors import LocalProtocolError
from kttun.protocol.states import TRANSITIONS, Cue, State, advance


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("cue", Cue)
def test_every_cue_has_its_entry_or_is_the_callers_mistake(state, cue):
    if (state, cue) in TRANSITIONS:
        assert advance(state, cue) is TRANSITIONS[state, cue]
    else:
        with pytest.raises(LocalProtocolError, match=f"a tunnel that is {state} cannot {cue}"):
            advance(state, cue)


def test_closed_is_for_ever():
    assert {after for (before, _), after in TRANSITIONS.items() if before is State.CLOSED} == {State.CLOSED}


def test_only_a_close_ends_a_session_that_is_not_closing():
    ends = {
        cue
        for (before, cue), after in TRANSITIONS.items()
        if after is State.CLOSED and before not in {State.CLOSING, State.CLOSED}
    }
    assert ends == {Cue.CLOSE, Cue.PEER_CLOSED}


def test_losing_the_stream_is_possible_in_every_state():
    assert {before for before, cue in TRANSITIONS if cue is Cue.LOST} == set(State)


def test_a_session_that_was_open_is_never_connecting_again():
    into = {before for (before, _), after in TRANSITIONS.items() if after is State.CONNECTING}
    assert into == {State.CONNECTING}

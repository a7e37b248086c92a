from kttun.host.echo import SHOWN_OF_A_BATCH, Echo


def test_lines_are_taken_once_and_in_order():
    echo = Echo()
    echo.did("a")
    echo.did_all(["b", "c"])
    assert echo.take() == ("a", "b", "c")
    assert echo.take() == ()


def test_a_long_batch_is_shortened_and_counted():
    echo = Echo()
    echo.did_all([str(n) for n in range(SHOWN_OF_A_BATCH + 7)])
    lines = echo.take()
    assert len(lines) == SHOWN_OF_A_BATCH + 1
    assert lines[-1] == "# and 7 more like these"


def test_failures_stay():
    echo = Echo()
    echo.failed("step", OSError("why"))
    echo.take()
    assert echo.failures == ["step: why"]

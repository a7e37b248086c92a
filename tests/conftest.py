"""What holds for every test."""

import signal


def pytest_configure() -> None:
    # A shell without job control starts what runs in the background with SIGINT ignored, and children inherit that:
    # then no test could end anything by Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)

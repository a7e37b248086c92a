import os
import threading

from kttun.link.scheduling import wake_politely


def test_only_the_calling_thread_is_scheduled_as_batch():
    found = []

    def run():
        wake_politely()
        found.append(os.sched_getscheduler(0))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == [os.SCHED_BATCH]
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


def test_where_it_is_forbidden_nothing_happens(monkeypatch):
    def refuse(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    wake_politely()

"""The threads beside a worker's work."""

from __future__ import annotations

from threading import Event

from model.serving.heartbeat import Heartbeat


def test_a_beat_that_fails_is_not_the_last(caplog):
    """Without its lease's thread a worker would keep working on jobs that others take over."""
    again = Event()
    beats = iter([RuntimeError("scripted"), None])

    def beat() -> None:
        failure = next(beats, None)
        if failure is not None:
            raise failure
        again.set()

    heartbeat = Heartbeat("lease", 0.01, beat)
    heartbeat.start()
    came_again = again.wait(60)
    heartbeat.stop()

    assert came_again
    assert "lease: a beat failed" in caplog.text

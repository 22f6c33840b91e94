"""Numbers of several processes. Each turn of ``process`` is one that gunicorn forks; real ones: tests/test_stats.py."""

from __future__ import annotations

from api.metrics.shared_numbers import ROWS, SharedNumbers

OURS, CHANGED = 11, 22


def process(shared: SharedNumbers, taken: set[int], fingerprint: int = OURS) -> memoryview[float]:
    """The row of a new process, while others have the rows ``taken``."""
    shared.assign(taken)
    return shared.open_row(fingerprint)


def test_what_several_processes_counted_is_added_up():
    shared = SharedNumbers()
    for taken, counted in [(set(), 3), ({0}, 4), ({0, 1}, 5)]:
        process(shared, taken)[7] += counted

    assert shared.sums(OURS, 8) == [0, 0, 0, 0, 0, 0, 0, 12]


def test_a_successor_goes_on_from_where_the_dead_process_was():
    """A total that fell when a process dies would look like a restart of the service to Prometheus."""
    shared = SharedNumbers()
    process(shared, set())[0] += 3
    process(shared, {0})[0] += 4
    process(shared, {1})[0] += 10  # the first has died

    assert shared.sums(OURS, 1) == [17]


def test_numbers_of_another_layout_are_not_taken_for_our_own():
    """A reload of changed code leaves old processes beside new ones for as long as their last requests take."""
    shared = SharedNumbers()
    process(shared, set())[0] += 3
    process(shared, {0}, CHANGED)[0] += 4

    assert shared.sums(CHANGED, 1) == [4]

    process(shared, {1}, CHANGED)[0] += 5

    assert shared.sums(CHANGED, 1) == [9]


def test_more_processes_than_rows_are_no_reason_not_to_serve():
    shared = SharedNumbers()

    assert shared.assign(range(ROWS)) == ROWS - 1

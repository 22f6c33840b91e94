"""The families that the API counts itself: their names, labels and help, which dashboards and alerts are built on."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

if TYPE_CHECKING:
    from prometheus_client.core import Metric, Sample

    from api.metrics.processes import ProcessFolder

# Seconds. From an answer out of memory to the usual deadline, each at most twice the one before.
BOUNDS_S = (
    0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75,
    1.0, 1.5, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0, 20.0, 30.0,
)  # fmt: skip

Family = TypeVar("Family", Counter, Histogram)


class Series(dict[tuple[str, ...], Family]):
    """A family's series by their label values, each made when it is first asked for.

    ``family.labels()`` gives the same, and takes longer for it than counting does.
    """

    def __init__(self, family: Family, *shown_at_zero: str) -> None:
        self._family: Family = family
        for value in shown_at_zero:
            self.__missing__((value,))

    def __missing__(self, values: tuple[str, ...]) -> Family:
        made = self[values] = self._family.labels(*values)
        return made


class Families:
    """To be counted in, each process or application in its own, and to be read: all processes' with the same folder.

    Few series show their zeros, so that a rate is known from the first event on; of many only what happened.
    """

    def __init__(self, folder: ProcessFolder | None, *, caches: tuple[str, ...], reasons: tuple[str, ...]) -> None:
        own = CollectorRegistry()
        requests = Counter(
            "classifier_http_requests", "Requests answered.", ("method", "route", "status"), registry=own
        )
        in_flight = Gauge(
            "classifier_http_requests_in_flight", "Requests being answered.", registry=own, multiprocess_mode="livesum"
        )
        classifying = Histogram(
            "classifier_classification_duration_seconds",
            "From reading a classification request's first line to its answer.",
            ("route", "status"),
            buckets=BOUNDS_S,
            registry=own,
        )
        answers = Counter(
            "classifier_answers", "Pictures answered, by where the answer came from.", ("cache",), registry=own
        )
        stages = Histogram(
            "classifier_stage_duration_seconds",
            "Where the time of a computed answer went; infer is the session run of its whole batch.",
            ("stage",),
            buckets=BOUNDS_S,
            registry=own,
        )
        refusals = Counter(
            "classifier_refusals",
            "Requests refused for the time being, with the advice to come again.",
            ("reason",),
            registry=own,
        )
        self.requests, self.in_flight, self.classifying = Series(requests), in_flight, Series(classifying)
        self.answers, self.stages = Series(answers, *caches), Series(stages)
        self.refusals = Series(refusals, *reasons)
        self._all = (requests, in_flight, classifying, answers, stages, refusals)
        self._counted = own if folder is None else folder.collector()

    def read(self) -> dict[str, Metric]:
        """Each with its numbers by its name; also those in which there is nothing yet."""
        families = {empty.name: empty for family in self._all for empty in family.describe()}
        for counted in self._counted.collect():
            counted.samples = _shown(counted)
            families[counted.name] = counted
        return families


def _shown(family: Metric) -> list[Sample]:
    """All but what says when a series began, which several processes don't, and histograms of nothing.

    Of such a one some buckets may be missing: its process was killed when it was about to count the first event.
    """
    begun = {_series(sample) for sample in family.samples if sample.name.endswith("_count") and sample.value}
    return [
        sample
        for sample in family.samples
        if not sample.name.endswith("_created") and (family.type != "histogram" or _series(sample) in begun)
    ]


def _series(sample: Sample) -> frozenset[tuple[str, str]]:
    return frozenset(label for label in sample.labels.items() if label[0] != "le")

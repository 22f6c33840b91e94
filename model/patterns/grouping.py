"""Which boxes in several pictures are the same object of a part, by where they lie. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Indices = NDArray[np.intp]


def group(boxes: Floats, pictures: Indices, spread: float) -> list[Indices]:
    """Put boxes together, the nearest first, as long as they can be one object.

    Two groups that have a picture in common are two objects, however near they lie. Otherwise they are as far apart as
    an edge would lie apart in both together, at most; that is how far a pattern would have to let it move. Equal
    distances are taken in the order of the boxes, so equal boxes in equal order give equal groups.

    Args:
        boxes: float64 (n, 4), of objects of one class.
        pictures: (n,), in which picture each of them is, counted from 0.
        spread: the farthest that an edge of one object may lie apart.

    Returns:
        Of each group the indices of its boxes, ascending; in order of the first.
    """
    groups = _Groups(boxes, pictures)
    while groups.nearest_distance <= spread:
        groups.merge_nearest()
    return groups.members


class _Groups:
    """At first each box is one.

    Groups only grow, so no distance to one ever shrinks: the nearest group to each is looked for again only where it
    was one of the two that have become one, and is farther now.
    """

    def __init__(self, boxes: Floats, pictures: Indices) -> None:
        count = len(boxes)
        self._low, self._high = boxes.copy(), boxes.copy()
        self._of = np.arange(count)  # by box, its group
        self._there = np.ones(count, np.bool_)
        # Infinite where two can't be one: they share a picture, are the same, or one of them is there no more.
        self._distances = np.full((count, count), np.inf)
        for index in range(count):
            self._distances[index] = np.where(pictures == pictures[index], np.inf, self._ranges_with(index))
        self._nearest_index = np.zeros(count, np.intp)
        self._nearest = np.full(count, np.inf)
        if count:
            self._look(np.arange(count))

    @property
    def members(self) -> list[Indices]:
        return [np.flatnonzero(self._of == index) for index in np.flatnonzero(self._there)]

    @property
    def nearest_distance(self) -> float:
        """Infinite if no two groups can be one."""
        return float(self._nearest.min(initial=np.inf))

    def merge_nearest(self) -> None:
        one = int(self._nearest.argmin())
        kept, gone = sorted((one, int(self._nearest_index[one])))
        self._low[kept] = np.minimum(self._low[kept], self._low[gone])
        self._high[kept] = np.maximum(self._high[kept], self._high[gone])
        self._of[self._of == gone] = kept
        self._there[gone] = False
        apart = np.isinf(self._distances[kept]) | np.isinf(self._distances[gone])
        self._distances[kept] = self._distances[:, kept] = np.where(apart, np.inf, self._ranges_with(kept))
        self._distances[gone] = self._distances[:, gone] = np.inf
        changed = np.isin(self._nearest_index, (kept, gone))
        self._nearest_index[changed] = kept  # and it stays so where it has become no farther
        changed &= self._distances[:, kept] > self._nearest
        changed[[kept, gone]] = True
        self._look(np.flatnonzero(changed))

    def _ranges_with(self, index: int) -> Floats:
        """Of each group with this one, how far apart an edge lies at most."""
        ranges: Floats = (np.maximum(self._high, self._high[index]) - np.minimum(self._low, self._low[index])).max(
            axis=1
        )
        return ranges

    def _look(self, rows: Indices) -> None:
        self._nearest_index[rows] = self._distances[rows].argmin(axis=1)
        self._nearest[rows] = self._distances[rows, self._nearest_index[rows]]

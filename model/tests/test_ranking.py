from __future__ import annotations

import numpy as np

from contract.messages import Label
from model.ranking import top_k


def test_the_best_labels_come_first():
    probabilities = np.array([[0.1, 0.6, 0.3], [0.5, 0.2, 0.3]], np.float32)

    best = top_k(probabilities, ["cat", "dog", "fox"], 2)

    assert [[entry.label for entry in row] for row in best] == [["dog", "fox"], ["cat", "fox"]]
    assert best[0][0].score == np.float32(0.6)


def test_of_equal_classes_the_lower_index_comes_first():
    """The same picture must not get another answer from another worker."""
    probabilities = np.full((1, 50), 0.02, np.float32)

    (best,) = top_k(probabilities, [str(i) for i in range(50)], 5)

    assert [entry.label for entry in best] == ["0", "1", "2", "3", "4"]


def test_asking_for_more_labels_than_classes_gives_all():
    (best,) = top_k(np.array([[0.25, 0.75]], np.float32), ["cat", "dog"], 10)

    assert best == (Label("dog", 0.75, 1), Label("cat", 0.25, 0))


def test_classes_of_one_label_are_told_apart():
    """ImageNet's cranes are a bird and a machine."""
    (best,) = top_k(np.array([[0.25, 0.1, 0.65]], np.float32), ["crane", "cat", "crane"], 2)

    assert [(entry.label, entry.index) for entry in best] == [("crane", 2), ("crane", 0)]


def test_no_pictures_give_no_answers():
    assert top_k(np.empty((0, 3), np.float32), ["cat", "dog", "fox"], 2) == []

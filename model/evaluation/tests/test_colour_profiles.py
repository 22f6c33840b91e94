from __future__ import annotations

import pytest

from model.evaluation import colour_profiles

pytestmark = pytest.mark.long


@pytest.mark.parametrize("profile", [colour_profiles.P3, colour_profiles.ADOBE_RGB], ids=["Display P3", "Adobe RGB"])
def test_a_photo_keeps_its_label_in_other_colours(models, sample, profile):
    """A phone's photo and the same photo without its profile look the same to a person."""
    files = sample.files[::10]
    classes = colour_profiles.Classes(models / "resnet50-fp32")
    plain = classes.of(colour_profiles.stored(file) for file in files)
    result = colour_profiles.compare(classes, files, profile)

    assert colour_profiles.same(result.applied, plain) >= 0.95

"""The command line and the route show an object alike, though neither side may import the other."""

from __future__ import annotations

from api.http.detection_parameters import shown_object as answered
from contract.messages import Box, DetectedObject
from model.detect import shown_object as printed


def test_an_object_is_printed_as_it_is_answered():
    found = DetectedObject("dining table", 0.123456, 60, Box(1.23456, 2.0, 103.56789, 104.99999))

    assert printed(found) == answered(found)

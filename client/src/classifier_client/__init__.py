"""The Python client of the image classifier: pictures in, typed labels and objects out.

    from classifier_client import Client

    with Client("http://127.0.0.1:8000") as client:
        print(client.classify("cat.jpg").best.label)

A service that needs a key gets it from ``Client(url, key=...)``, or from the environment variable ``CLASSIFIER_KEY``.
When the service is busy, the client waits for as long as the service asks and tries again. Whatever goes wrong with the
service or with a picture is a ``ClassifierError``; a file that can't be read is an ordinary ``OSError``.
"""

from ._client import Client
from ._job import Job
from ._models import (
    Box,
    ClassifierError,
    DeadlineExceeded,
    DetectedObject,
    Detection,
    DetectionOutcome,
    Forbidden,
    InvalidPicture,
    JobCancelled,
    JobState,
    Model,
    NoSuchJob,
    NoSuchModel,
    Outcome,
    OverLimit,
    Overloaded,
    Picture,
    Prediction,
    Result,
    ServiceFault,
    Unauthorized,
    UnexpectedAnswer,
    Unreachable,
)
from ._version import __version__

__all__ = [
    "Box",
    "ClassifierError",
    "Client",
    "DeadlineExceeded",
    "DetectedObject",
    "Detection",
    "DetectionOutcome",
    "Forbidden",
    "InvalidPicture",
    "Job",
    "JobCancelled",
    "JobState",
    "Model",
    "NoSuchJob",
    "NoSuchModel",
    "Outcome",
    "OverLimit",
    "Overloaded",
    "Picture",
    "Prediction",
    "Result",
    "ServiceFault",
    "Unauthorized",
    "UnexpectedAnswer",
    "Unreachable",
    "__version__",
]

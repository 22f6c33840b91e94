"""A worker process whose classifier does what the picture's bytes say, so that tests can script its behaviour.

Queue, settlement, lease and recovery are the real ones; only the network is replaced, and what loads further versions.
"""

from __future__ import annotations

import os
import re
import sys
import time
import weakref
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from contract import loading
from contract.copy_store import CopyStore
from contract.image_store import ImageStore
from contract.logging import set_up_logging
from contract.messages import Classification, ClassifyJob, Failure, FailureKind, Label, Timings
from contract.model_description import ModelDescription
from contract.model_version import ModelVersion
from contract.redis_clients import connect
from model.errors import BundleError
from model.serving import lease, version_follower
from model.serving.worker import Worker
from tests.support.shifted_clock import shift

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from model.picture import Picture
    from model.serving.copier import Copier

MODEL, DIGEST = "scripted", "d" * 64
DESCRIPTION = ModelDescription(
    task="classification", precision="fp32", width=8, height=8, labels=2, licence=None, provenance={}
)
SLOW_S = 0.6
# In front of a script, so that the API takes it for a picture: a screen and a frame of 8 x 8.
GIF = b"GIF89a\x08\0\x08\0\0\0\0" + b",\0\0\0\0\x08\0\x08\0\0#"


def digest_of(model: ModelVersion) -> str:
    return DIGEST if model == ModelVersion(MODEL) else sha256(str(model).encode()).hexdigest()


class ScriptedClassifier:
    """Of one version; ``weights`` are those of another if they differ from it."""

    job = ClassifyJob

    def __init__(self, model: ModelVersion, weights: str = "") -> None:
        self.decoder = None  # the worker hands one to all that it serves
        self.bundle = SimpleNamespace(
            name=model.name,
            model=model,
            task="classification",
            version=model.version,
            digest=digest_of(ModelVersion(model.name, weights or model.version)),
            labels=("tabby", "lynx"),
            description=DESCRIPTION,
            precision="fp32",
            interface="f" * 64,
        )

    def predict(
        self, pictures: Sequence[Picture], *, on_progress: Callable[[], None]
    ) -> list[Classification | Failure]:
        """Obey: "poison" kills the process, "fault" raises, "bad" is undecodable, "slow" takes a while.

        "large" takes a while for each picture, and says when it is through with it; "hang" never ends. "damaged" is
        undecodable if it is to be read strictly. "each 1=tabby 2=lynx/30" is a tabby to version 1, and to version 2 a
        lynx, which takes it 30 ms. "2:fault cat" is "fault" to version 2, and "cat" to any other. A file "mended"
        beside the journal mends every fault.
        """
        images = [self._meant(picture.data.removeprefix(GIF)) for picture in pictures]
        with Path(os.environ["JOURNAL"]).open("a") as journal:
            journal.write(self._told(images) + "\n")
        if any(image.startswith(b"poison") for image in images):
            os._exit(9)
        mended = Path(os.environ["JOURNAL"]).with_name("mended").exists()
        if any(self._told_apart(image.decode())[0].startswith("fault") for image in images) and not mended:
            raise RuntimeError("scripted fault")
        if any(image.startswith(b"slow") for image in images):
            time.sleep(SLOW_S)
        for image in images:
            if image.startswith(b"large"):
                time.sleep(SLOW_S)
                on_progress()
        while any(image.startswith(b"hang") for image in images):
            time.sleep(SLOW_S)
        return [
            self._outcome(image.decode(), strict=picture.strict)
            for image, picture in zip(images, pictures, strict=True)
        ]

    def _told_apart(self, script: str) -> tuple[str, float]:
        """What a script has for this version, and how long it takes, in milliseconds."""
        if not script.startswith("each "):
            return script, 0.0
        words = dict(word.split("=", 1) for word in script.split() if "=" in word)
        label, _, ms = words[self.bundle.version].partition("/")
        return label, float(ms or 0)

    def _meant(self, image: bytes) -> bytes:
        found = re.fullmatch(rb"(\d+):(\S+) (.+)", image)
        if found is None:
            return image
        return found[2] if found[1].decode() == self.bundle.version else found[3]

    def _told(self, images: Sequence[bytes]) -> str:
        """The pictures' scripts, after the model's name if that is not the usual one."""
        scripts = sorted(image.decode() for image in images)
        model = self.bundle.model
        return " ".join(scripts if model == ModelVersion(MODEL) else [f"{model}:", *scripts])

    def _outcome(self, script: str, *, strict: bool) -> Classification | Failure:
        damaged = script.startswith("damaged")
        if script.startswith("bad") or (damaged and strict):
            return Failure(FailureKind.UNDECODABLE, "scripted")
        bundle, (label, ms) = self.bundle, self._told_apart(script)
        time.sleep(ms / 1000)
        timings = Timings(0.0, ms)
        return Classification(bundle.name, bundle.digest, (Label(label, 1.0),), timings, damaged, bundle.version)


class ScriptedLoader:
    """Loads whatever version is asked for, as LOADS says, and without being asked for any the version 2.

    "held" waits until there is a file "go" beside the journal; "dying" kills the process, "hanging" never ends, and
    "refused" says that there is no such version. A path's last part is the version, of other weights if "other/" stands
    before it; one that holds another version than is asked for is refused. In the file "loads" stands what was begun
    and, once nobody holds it any more, what was freed.
    """

    def __init__(self, folder: Path, how: str) -> None:
        self._folder = folder
        self._how = how

    def first(self, model: ModelVersion) -> Any:
        """What the worker begins with."""
        return self._noted(ScriptedClassifier(model))

    def load(self, name: str, *, version: str | None = None, path: str | None = None) -> Any:
        wanted, version = version, path.rpartition("/")[2] if path is not None else version or "2"
        if wanted not in {None, version}:
            raise BundleError(f"{path} is {name}@{version}, not version {wanted}")
        self._note(f"loading {version}")
        match self._how:
            case "held":
                self._wait_for("go")
            case "dying":
                os._exit(9)
            case "hanging":
                self._wait_for("never")
            case "refused":
                raise BundleError(f"{self._folder}/{version} is no bundle")
        weights = f"other {version}" if path is not None and path.startswith("other/") else version
        return self._noted(ScriptedClassifier(ModelVersion(name, version), weights))

    def _noted(self, classifier: ScriptedClassifier) -> ScriptedClassifier:
        weakref.finalize(classifier, self._note, f"freed {classifier.bundle.version}").atexit = False
        return classifier

    def _note(self, words: str) -> None:
        with (self._folder / "loads").open("a") as log:
            log.write(f"{os.getpid()} {words}\n")

    def _wait_for(self, file: str) -> None:
        while not (self._folder / file).exists():
            time.sleep(0.02)


def _copier() -> Copier | None:
    """The real one, of real pictures, if there is a folder for what it makes."""
    folder = os.environ.get("COPIES_DIR")
    if not folder:
        return None
    from model.decode import Decoder  # noqa: PLC0415  it loads decoders, which few of these workers need
    from model.serving.copier import Copier  # noqa: PLC0415

    return Copier(ImageStore(Path(os.environ["UPLOAD_DIR"])), CopyStore(Path(folder)), Decoder(1_000_000))


def main() -> int:
    shift(float(os.environ.get("CLOCK_AHEAD_S", "0")))
    set_up_logging("INFO", messages_per_s=100)
    lease.COMPUTE_LIMIT_S = float(os.environ.get("COMPUTE_LIMIT_S", lease.COMPUTE_LIMIT_S))
    if "UNLOAD_AFTER_S" in os.environ:
        version_follower.EMPTY_FOR_S = version_follower.LINGER_S = float(os.environ["UNLOAD_AFTER_S"])
    loading.LOADED_WITHIN_S = int(os.environ.get("LOADED_WITHIN_S", loading.LOADED_WITHIN_S))
    version_follower.TRY_AGAIN_AFTER_S = version_follower.ORPHANS_EVERY_S = 1.0
    loader = ScriptedLoader(Path(os.environ["JOURNAL"]).parent, os.environ.get("LOADS", ""))
    models = os.environ.get("MODELS", MODEL).split(",")
    Worker(
        connect(os.environ["REDIS_URL"]),
        ImageStore(Path(os.environ["UPLOAD_DIR"])),
        [loader.first(ModelVersion.from_key(model)) for model in models],
        loader,
        batch_max=4,
        batch_wait_s=0.0,
        answer_ttl_s=60,
        copier=_copier(),
    ).serve()
    return 0


if __name__ == "__main__":
    sys.exit(main())

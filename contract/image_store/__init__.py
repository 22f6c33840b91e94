"""Pictures under the SHA-256 of their bytes: in a folder (``ImageStore``), or in an object store's bucket."""

from contract.image_store.folder import ASIDE, ASIDE_FOR_S, COMPARED_BYTES, UNFINISHED, ImageStore
from contract.image_store.interface import NAME, NOT_FOUND, Held, PictureStore

__all__ = [
    "ASIDE",
    "ASIDE_FOR_S",
    "COMPARED_BYTES",
    "NAME",
    "NOT_FOUND",
    "UNFINISHED",
    "Held",
    "ImageStore",
    "PictureStore",
]

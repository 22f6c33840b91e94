"""The networks that `make model` can make."""

from __future__ import annotations

from model.export.efficientnet_lite2.network import EFFICIENTNET_LITE2
from model.export.resnet50.network import RESNET50

NETWORKS = {network.name: network for network in (RESNET50, EFFICIENTNET_LITE2)}

"""The networks that `make model` can make."""

from __future__ import annotations

from model.export.efficientnet_lite2.network import EFFICIENTNET_LITE2
from model.export.resnet50.network import RESNET50
from model.export.ssdlite_mobilenetv2.network import SSDLITE_MOBILENETV2

NETWORKS = {network.name: network for network in (RESNET50, EFFICIENTNET_LITE2, SSDLITE_MOBILENETV2)}
# What is made if nobody says what: one for each task, which workers without settings serve (model/models_folder.py).
DEFAULTS = (RESNET50.name, SSDLITE_MOBILENETV2.name)

"""Write ``sbom.cdx.json``; with names of built images also their system packages, as a container engine lists them.

.venv/bin/python -m docs.sbom [IMAGE ...]
"""

from __future__ import annotations

import sys
from pathlib import Path

from docs.sbom.document import sbom

ROOT = Path(__file__).parents[2]
OUTPUT = ROOT / "sbom.cdx.json"


def main() -> None:
    OUTPUT.write_text(sbom(ROOT, sys.argv[1:]))
    print(f"Written: {OUTPUT}")


if __name__ == "__main__":
    main()

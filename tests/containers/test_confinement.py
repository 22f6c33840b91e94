"""What the kernel itself says of the containers' processes: whatever a Compose file asks for, this is what holds."""

from __future__ import annotations

import pytest

from tests.containers import compose as engine

pytestmark = pytest.mark.timeout(2000)  # the first test builds the images

SERVICES = ("redis", "model", "api")
NO_CAPABILITY = "0" * 16
FILTERED = "2"  # by seccomp, as the engine's own profile says


@pytest.mark.parametrize("service", SERVICES)
def test_the_kernel_itself_confines_every_process_of_a_container(compose, service):
    """No capability, now or after running another program, and only the system calls of the engine's profile."""
    for container in compose.containers(service):
        listed = engine.execute(container, "sh", "-c", "cat /proc/[0-9]*/status 2>/dev/null || true")
        told = [line.split() for line in listed.splitlines()]
        values = {
            name: {words[1] for words in told if words[0] == f"{name}:"}
            for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp")
        }
        capabilities = set().union(*(values[name] for name in values if name.startswith("Cap")))

        assert capabilities == {NO_CAPABILITY}
        assert values["NoNewPrivs"] == {"1"}
        assert values["Seccomp"] == {FILTERED}

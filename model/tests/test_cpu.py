from __future__ import annotations

import pytest

from model.cpu import has_fast_int8, usable_cpus


@pytest.mark.parametrize(
    ("cpuinfo", "fast"),
    [
        pytest.param("flags : fpu sse2 avx2 avx512f avx512_vnni", True, id="server with AVX512-VNNI"),
        pytest.param("flags : fpu sse2 avx2 avx_vnni", True, id="desktop with AVX-VNNI"),
        pytest.param("Features : fp asimd asimddp", True, id="Arm with dot product"),
        pytest.param("flags : fpu sse2 avx2 avx512f", False, id="AVX512 without VNNI"),
        pytest.param("Features : fp asimd", False, id="Arm without dot product"),
    ],
)
def test_int8_is_fast_where_products_are_summed_in_32_bits(tmp_path, cpuinfo, fast):
    """Elsewhere the way round saturating sums makes int8 slower than fp32."""
    (tmp_path / "cpuinfo").write_text(f"processor : 0\n{cpuinfo}\n")

    assert has_fast_int8(tmp_path / "cpuinfo") is fast


def test_a_process_may_use_at_least_one_cpu():
    assert usable_cpus() >= 1

"""How many examples: few in every run and always the same; as many as wanted, from fresh seeds, by TIDEGAUGE_TEST_EXAMPLES."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings

_WANTED = os.environ.get("TIDEGAUGE_TEST_EXAMPLES")
USUAL = settings(
    max_examples=int(_WANTED or 100),
    derandomize=_WANTED is None,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
FEWER = settings(USUAL, max_examples=max(1, USUAL.max_examples // 3))
"""For what takes several decodes an example."""

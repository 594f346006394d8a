"""For the tests of hard use: how many examples, what is odd, and what an error has to look like.

GAN_DEMO_EXAMPLES=1000 tries that many of each property instead of a few.
"""

import os
from collections.abc import Callable

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

EXAMPLES = int(os.environ.get("GAN_DEMO_EXAMPLES", "0"))
HUGE = (2**31, 2**53, 2**63, 2**64, 10**400)
NUMBERS = st.one_of(
    st.integers(),
    st.sampled_from([0, -1, 1, *HUGE, *(-number for number in HUGE)]),
    st.floats(allow_nan=True, allow_infinity=True),
)
ODD_TEXT = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        ["", "0x10", "１", "1e3", "NaN", "null", "../../etc/passwd", "<script>x</script>", "\ud800", "\0", "a\nb"]
    ),
)
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, ODD_TEXT)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=6,
)


def hard(few: int) -> Callable:
    """Try `few` examples, always the same ones, so that CI stays quick and steady; GAN_DEMO_EXAMPLES tries new ones."""
    return settings(
        max_examples=EXAMPLES or few,
        derandomize=not EXAMPLES,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


def one_line(sentence: object, hidden: object = None) -> None:
    """Assert that a person can read it: one line, not endless, without a path of the host where that is nobody's."""
    text = str(sentence)
    assert text.strip() and "\n" not in text and len(text) < 1200, text
    assert "Traceback" not in text and "object at 0x" not in text, text
    assert hidden is None or str(hidden) not in text, text

import pytest
from tests.engine.test_concurrency import *
from tests.engine import test_concurrency as tc
from tests.engine.database import query

del_names = [n for n in list(globals()) if n.startswith("test_")]
for n in del_names:
    del globals()[n]


@pytest.mark.parametrize("seed", range(100, 300))
def test_big(seed, register):
    tc.test_anything_at_once_leaves_everything_consistent(seed, register)

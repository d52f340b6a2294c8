from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import pytest
from taglane import CurrentRun, current_run, current_tenant, tenant
from taglane.context import executing
from taglane.errors import BadName, OtherTenant
from taglane.store import keys


def make_run(tenant: str = "acme") -> CurrentRun:
    """The run of a task that is being executed."""
    return CurrentRun(id=f"{tenant}.1", tenant=tenant, tag=tenant, job=None, due=None, attempt=1, token=1)


def test_nobody_is_in_reach_outside() -> None:
    """Without a block and outside of a task there is neither a tenant nor a run."""
    assert (None, None) == (current_tenant(), current_run())


def test_a_block_names_the_tenant() -> None:
    """The innermost block counts, and its end brings back the one around it."""
    with tenant("acme"):
        with tenant("globex"):
            assert "globex" == current_tenant()
        assert "acme" == current_tenant()
    assert current_tenant() is None


def test_a_block_ends_with_an_error_too() -> None:
    """What is raised inside leaves no tenant behind."""
    with pytest.raises(KeyError), tenant("acme"):
        raise KeyError
    assert current_tenant() is None


@pytest.mark.parametrize("name", ["", "Acme", "a b", "acme.gpu", "shared", "default", "x" * 64])
def test_a_block_of_what_is_no_tenant_is_an_error(name: str) -> None:
    """Before anything inside it runs."""
    with pytest.raises(BadName), tenant(name):
        pytest.fail("it ran")


def test_a_run_brings_its_tenant() -> None:
    """Inside a task its run's tenant is in reach, and the task may name another."""
    with executing(make_run()):
        assert ("acme", make_run()) == (current_tenant(), current_run())
        with tenant("globex"):
            assert "globex" == current_tenant()
    assert (None, None) == (current_tenant(), current_run())


def test_a_run_does_not_see_the_block_around_it() -> None:
    """A worker that was started inside a block executes each run for the run's own tenant."""
    with tenant("globex"):
        with executing(make_run()):
            assert "acme" == current_tenant()
        assert "globex" == current_tenant()


def test_threads_have_a_tenant_each() -> None:
    """A block in one thread is none in another; a copied context takes it along."""
    with tenant("acme"), ThreadPoolExecutor(1) as pool:
        assert pool.submit(current_tenant).result() is None
        assert "acme" == pool.submit(copy_context().run, current_tenant).result()


def test_a_run_reaches_its_own_tenant_alone() -> None:
    """No key of another tenant is even spelled in a task; outside, the credential says what is reached."""
    keys.run("globex", "globex.1")
    with executing(make_run()), tenant("globex"):
        keys.run("acme", "acme.1")
        for spell in (keys.prefix, keys.limits):
            with pytest.raises(OtherTenant, match="a run of tenant 'acme' reaches no other tenant"):
                spell("globex")

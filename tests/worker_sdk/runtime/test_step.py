from __future__ import annotations

import pytest
from taglane.errors import BadName, OperatorNeeded, TaglaneError, TagNotOwned
from taglane.runtime.step import TagMissing, check_tags
from taglane.store.server import Server

OPERATOR = "redis://:secret@127.0.0.1:1/0"
ACME = "redis://taglane-acme:secret@127.0.0.1:1/0"


@pytest.mark.parametrize("tags", [["acme"], ["acme", "acme.gpu"], ["acme.gpu"], ["acme.gpu", "acme.io", "acme"]])
@pytest.mark.parametrize("url", [OPERATOR, ACME])
def test_tags_of_one_tenant(url: str, tags: list[str]) -> None:
    """Any of its pools; with the operator's credential, the first tag says whose worker it is."""
    assert "acme" == check_tags(tags, Server(url))


@pytest.mark.parametrize("tags", [["acme1"], ["acme", "acme1"], ["acme1.gpu"], ["acme.gpu", "acm"]])
def test_tags_that_are_not_the_credentials(tags: list[str]) -> None:
    """The error names the tag, before anything is connected."""
    with pytest.raises(TagNotOwned) as caught:
        check_tags(tags, Server(ACME))
    assert caught.value.tag != "acme"
    assert "acme" == caught.value.tenant


@pytest.mark.parametrize("tags", [["acme", "globex"], ["acme.gpu", "acme1"]])
def test_tags_of_two_tenants(tags: list[str]) -> None:
    """A worker is one tenant's, also with a credential that reaches both."""
    with pytest.raises(TagNotOwned):
        check_tags(tags, Server(OPERATOR))


@pytest.mark.parametrize("tags", [["Acme"], [""], ["acme.a.b"], ["acme", "acme.*"], ["*"], ["{acme}"], ["shared"]])
@pytest.mark.parametrize("url", [OPERATOR, ACME])
def test_tags_that_are_none(url: str, tags: list[str]) -> None:
    """Malformed, in any place."""
    with pytest.raises(BadName):
        check_tags(tags, Server(url))


def test_a_shared_pools_worker_is_the_operators() -> None:
    """It serves that pool alone; a tenant's credential is told whose it takes."""
    assert "shared" == check_tags(["shared.gpu"], Server(OPERATOR))

    for tags in (["acme", "shared.gpu"], ["shared.gpu", "shared.small"], ["shared.gpu", "acme"]):
        with pytest.raises(BadName, match="start one for each shared pool"):
            check_tags(tags, Server(OPERATOR))
    for tags in (["shared.gpu"], ["acme", "shared.gpu"]):
        with pytest.raises(OperatorNeeded, match="a worker of the shared pool"):
            check_tags(tags, Server(ACME))


def test_no_tag() -> None:
    """A worker without one would serve nobody, or everybody: it says what to write."""
    with pytest.raises(TagMissing, match="--tag tenant_a") as caught:
        check_tags([], Server(ACME))
    assert isinstance(caught.value, TaglaneError)

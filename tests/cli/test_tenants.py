"""`taglane tenant`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from redis import Redis

if TYPE_CHECKING:
    from cli.conftest import Cli


def test_create_prints_a_url_that_opens(taglane: Cli) -> None:
    """The JSON is exactly tenant, tag and url."""
    answer = taglane.ok("tenant", "create", "acme", "-o", "json")

    assert ["tenant", "tag", "url"] == list(answer.json)
    assert ("acme", "acme") == (answer.json["tenant"], answer.json["tag"])
    with Redis.from_url(answer.json["url"]) as client:
        assert client.ping()
    assert "" == answer.err


def test_create_says_what_comes_next(taglane: Cli) -> None:
    """Data on stdout, the next command on stderr."""
    answer = taglane.ok("tenant", "create", "acme")

    assert ["tenant:", "tag:", "url:"] == [line.split()[0] for line in answer.out.splitlines()]
    assert "taglane worker --tag acme" in answer.err


def test_a_name_is_taken_once_and_has_a_shape(taglane: Cli) -> None:
    """5 for a conflict, 2 for what can't be a name."""
    taglane.ok("tenant", "create", "acme")

    again, bad = taglane("tenant", "create", "acme"), taglane("tenant", "create", "Acme!")

    assert (5, "tenant 'acme' exists: see  taglane tenant show acme") == (again.code, again.error)
    assert 2 == bad.code
    assert "tenant 'Acme!' must be" in bad.error


def test_list_and_show(taglane: Cli, acme: Cli) -> None:
    """Names in order; what is asked for and not there is 3, with what was meant."""
    taglane.ok("job", "add", "report", "-t", "acme", "--task", "a.b", "--manual")

    assert ["acme", "other"] == [row["tenant"] for row in taglane.ok("tenant", "list", "-o", "json").json]
    shown = taglane.ok("tenant", "show", "acme", "-o", "json").json
    missing = taglane("tenant", "show", "acm")

    assert (["report"], []) == (shown["jobs"], shown["workers"])
    assert 3 == missing.code
    assert "did you mean 'acme'" in missing.error
    refused = acme("tenant", "list")
    assert 4 == refused.code
    assert "takes the operator's credential, and TAGLANE_URL holds that of tenant 'acme'" in refused.error


def test_rotate(taglane: Cli, acme: Cli) -> None:
    """The old url is refused, the new one opens."""
    made = taglane.ok("tenant", "rotate", "acme", "-o", "json").json

    assert 4 == acme("run", "list").code
    assert [] == acme.of(made["url"]).ok("run", "list", "-o", "json").json
    assert 3 == taglane("tenant", "rotate", "nobody").code


def test_delete(taglane: Cli, acme: Cli) -> None:
    """After it, nothing of the tenant answers."""
    taglane.ok("enqueue", "a.b", "-t", "acme")

    assert 2 == taglane("tenant", "delete", "acme").code  # nobody there to ask, and it was not said
    assert taglane.ok("tenant", "delete", "acme", "-y", "-o", "json").json["deleted"]

    assert 3 == taglane("tenant", "delete", "acme").code
    assert 4 == acme("run", "list").code
    assert 3 == taglane("job", "list", "-t", "acme").code

"""`taglane tenant`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taglane.store.connect import connect
from taglane.store.server import Server
from taglane_scheduler.care.measures import Measure, Measures

if TYPE_CHECKING:
    from cli.conftest import Cli
    from redis import Redis

BY = ("--by", "connections", "--limit", "1")


def test_create_prints_a_url_that_opens(taglane: Cli) -> None:
    """The JSON is exactly tenant, tag and url."""
    answer = taglane.ok("tenant", "create", "acme", "-o", "json")

    assert ["tenant", "tag", "url"] == list(answer.json)
    assert ("acme", "acme") == (answer.json["tenant"], answer.json["tag"])
    with connect(answer.json["url"]) as client:
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


def test_cut_and_restore(taglane: Cli, acme: Cli) -> None:
    """With a reason, which is shown; each once; what is undone is said with its command."""
    said = taglane.ok("tenant", "cut", "acme", "--reason", "a stolen url").out

    assert "cut off tenant acme; let it in again:  taglane tenant restore acme" in said
    assert "was cut off before" in taglane.ok("tenant", "cut", "acme").out
    assert 4 == acme("run", "list").code
    assert "a stolen url" == taglane.ok("tenant", "show", "acme", "-o", "json").json["cut"]
    (alert,) = taglane.ok("alerts", "-o", "json").json
    assert ("tenant_cut", "acme") == (alert["kind"], alert["tenant"])

    assert "restored tenant acme\n" == taglane.ok("tenant", "restore", "acme").out

    assert "tenant acme was not cut off\n" == taglane.ok("tenant", "restore", "acme").out
    acme.ok("run", "list")
    assert taglane.ok("tenant", "show", "acme", "-o", "json").json["cut"] is None
    assert [3, 3] == [taglane("tenant", command, "nobody").code for command in ("cut", "restore")]
    assert [4, 4] == [acme("tenant", command, "other").code for command in ("cut", "restore")]


def test_top_lists_who_uses_most(taglane: Cli, acme: Cli, url: str) -> None:
    """Numbers as JSON, sizes for people; what no scheduler has measured is nowhere."""
    assert [] == taglane.ok("tenant", "top", "-o", "json").json
    assert "taglane scheduler" in taglane.ok("tenant", "top").err
    assert taglane.ok("tenant", "show", "acme", "-o", "json").json["uses"] is None
    server = Server(url)
    Measures(server).put(
        [
            Measure("acme", connections=3, bandwidth=2048.4, data=3 << 20, buffers=1 << 19, at=1_000),
            Measure("other", connections=9, bandwidth=None, data=5, buffers=None, at=2_000),
        ]
    )
    server.close()

    rows = taglane.ok("tenant", "top", "-o", "json").json

    use = {"connections": 3, "bandwidth": 2048, "memory": (3 << 20) + (1 << 19), "measured": "1970-01-01T00:00:01Z"}
    assert {"tenant": "acme", **use} == rows[0]
    assert ("other", None, 5) == (rows[1]["tenant"], rows[1]["bandwidth"], rows[1]["memory"])
    assert ["other"] == [row["tenant"] for row in taglane.ok("tenant", "top", *BY, "-o", "json").json]
    assert "2.0 KiB" in taglane.ok("tenant", "top").out
    assert "3.5 MiB" in taglane.ok("tenant", "top").out
    assert use == taglane.ok("tenant", "show", "acme", "-o", "json").json["uses"]
    assert 4 == acme("tenant", "top").code


def test_rotate(taglane: Cli, acme: Cli) -> None:
    """Both urls open for the overlap, which is a day unless said otherwise; and it is said until when."""
    answer = taglane.ok("tenant", "rotate", "acme")
    url = answer.out.split()[-1]

    assert 0 == acme("run", "list").code
    assert 0 == acme.of(url)("run", "list").code
    assert "the old password opens until " in answer.err
    first, second = taglane.ok("tenant", "show", "acme", "-o", "json").json["passwords"]
    assert first["until"] is not None
    assert second["until"] is None
    assert f"{first['id']} (until {first['until']}) {second['id']}" in taglane.ok("tenant", "show", "acme").out
    assert 3 == taglane("tenant", "rotate", "nobody").code


def test_rotate_at_once(taglane: Cli, acme: Cli) -> None:
    """Without an overlap the old url is refused; what is no duration is refused with how one looks."""
    made = taglane.ok("tenant", "rotate", "acme", "--overlap", "0s", "-o", "json").json

    assert 4 == acme("run", "list").code
    assert [] == acme.of(made["url"]).ok("run", "list", "-o", "json").json
    assert 1 == len(taglane.ok("tenant", "show", "acme", "-o", "json").json["passwords"])
    wrong = taglane("tenant", "rotate", "acme", "--overlap", "soon")
    assert 2 == wrong.code
    assert "write it like 30s, 5m, 1h30m" in wrong.err


def test_where_nobody_makes_users_it_is_said_loudly(taglane: Cli, redis: Redis) -> None:
    """Everything works with the operator's url, which is the one that create prints; doctor warns."""
    redis.acl_setuser(
        "clerk", enabled=True, passwords="+word", keys="*", channels="*", categories=["+@all"], commands=["-acl"]
    )
    clerk = taglane.of(taglane.url.replace("://:", "://clerk:").replace(redis_password(taglane), "word"))

    made = clerk.ok("tenant", "create", "acme", "-o", "json")

    assert clerk.url == made.json["url"]
    assert made.err.startswith("WARNING: ")
    assert "a tag is a convention" in made.err
    run = clerk.ok("enqueue", "a.b", "-t", "acme").out.strip()
    assert [run] == [each["id"] for each in clerk.ok("run", "list", "-t", "acme", "-o", "json").json]
    checks = {each["check"]: each for each in clerk("doctor", "-o", "json").json}
    assert "warn" == checks["isolation"]["status"]
    assert "ACL SETUSER" in checks["isolation"]["mend"]
    rotated = clerk("tenant", "rotate", "acme")
    assert 4 == rotated.code
    assert "ACL SETUSER" in rotated.error
    clerk.ok("tenant", "delete", "acme", "-y")
    assert [] == redis.keys("*{acme}*")


def redis_password(taglane: Cli) -> str:
    return taglane.url.split(":")[2].split("@")[0]


def test_delete(taglane: Cli, acme: Cli) -> None:
    """After it, nothing of the tenant answers."""
    taglane.ok("enqueue", "a.b", "-t", "acme")

    assert 2 == taglane("tenant", "delete", "acme").code  # nobody there to ask, and it was not said
    assert taglane.ok("tenant", "delete", "acme", "-y", "-o", "json").json["deleted"]

    assert 3 == taglane("tenant", "delete", "acme").code
    assert 4 == acme("run", "list").code
    assert 3 == taglane("job", "list", "-t", "acme").code

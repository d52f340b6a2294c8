"""`taglane queue`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from factories import HandWorker
from taglane.store.server import Server

if TYPE_CHECKING:
    from cli.conftest import Cli

FIELDS = "tenant tag queued delayed parked waiting_since workers"


def test_list_has_exactly_these_fields(taglane: Cli, acme: Cli) -> None:
    """A row for each tag with something to do; the operator sees all tenants."""
    acme.ok("enqueue", "a.b")
    acme.ok("enqueue", "a.b", "--delay", "1h")
    acme.ok("enqueue", "a.b", "--tag", "acme.gpu")
    taglane.ok("enqueue", "a.b", "-t", "other")

    own, gpu = acme.ok("queue", "list", "-o", "json").json

    assert FIELDS.split() == list(own)
    assert ("acme", "acme", 1, 1, 0) == tuple(own[name] for name in ("tenant", "tag", "queued", "delayed", "workers"))
    assert own["waiting_since"].endswith("Z")
    assert ("acme.gpu", 1, 0) == (gpu["tag"], gpu["queued"], gpu["delayed"])
    assert 3 == len(taglane.ok("queue", "list", "-o", "json").json)
    assert 1 == len(taglane.ok("queue", "list", "-t", "other", "-o", "json").json)
    assert 4 == acme("queue", "list", "-t", "other").code
    assert 3 == taglane("queue", "list", "-t", "nobody").code


def test_a_tag_without_a_worker_is_marked(acme: Cli) -> None:
    """With the command that starts one on stderr; a shared pool's workers are the operator's."""
    server = Server(acme.url)
    acme.ok("enqueue", "a.b")
    acme.ok("enqueue", "a.b", "--tag", "acme.gpu")
    acme.ok("enqueue", "a.b", "--tag", "shared.batch")
    HandWorker(server).hello()
    server.close()

    answer = acme.ok("queue", "list")

    served = {line.split()[1]: line.split()[-1] for line in answer.out.splitlines()[1:]}
    assert {"acme": "1", "acme.gpu": "none", "shared.batch": "-"} == served
    assert ["note: no worker serves tag 'acme.gpu' now; start one:  taglane worker --tag acme.gpu"] == [
        *answer.err.splitlines()
    ]


def test_nothing_to_list(acme: Cli) -> None:
    """Says so on stderr."""
    answer = acme.ok("queue", "list")

    assert ("", True) == (answer.out, answer.err.startswith("nothing waits"))


def test_purge(taglane: Cli, acme: Cli) -> None:
    """What waits ends as cancelled, what is delayed when it is asked for; how many is said."""
    waiting = acme.ok("enqueue", "a.b").out.strip()
    later = acme.ok("enqueue", "a.b", "--delay", "1h").out.strip()

    assert "purged 1 runs of tag acme\n" == taglane.ok("queue", "purge", "acme", "-y").out
    assert {"tenant": "acme", "tag": "acme", "purged": 1} == acme.ok(
        "queue", "purge", "acme", "--delayed", "-y", "-o", "json"
    ).json

    for run_id in (waiting, later):
        run = acme.ok("run", "show", run_id, "-o", "json").json
        assert ("cancelled", "purged") == (run["state"], run["error"])


def test_purge_of_a_shared_tag_is_of_one_tenant(taglane: Cli, acme: Cli) -> None:
    """The operator says whose; a tenant purges its own."""
    theirs = taglane.ok("enqueue", "a.b", "-t", "other", "--tag", "shared.batch").out.strip()
    acme.ok("enqueue", "a.b", "--tag", "shared.batch")

    assert 2 == taglane("queue", "purge", "shared.batch", "-y").code
    assert 1 == acme.ok("queue", "purge", "shared.batch", "-y", "-o", "json").json["purged"]
    assert "queued" == taglane.ok("run", "show", theirs, "-o", "json").json["state"]
    assert 1 == taglane.ok("queue", "purge", "shared.batch", "-t", "other", "-y", "-o", "json").json["purged"]


def test_what_is_not_purged(taglane: Cli, acme: Cli) -> None:
    """Nobody there to ask and not said, another's tag, no tag, no tenant."""
    acme.ok("enqueue", "a.b")

    unsaid = acme("queue", "purge", "acme")

    assert (2, True) == (unsaid.code, "say so with -y" in unsaid.err)
    assert 4 == acme("queue", "purge", "other", "-y").code
    assert 2 == taglane("queue", "purge", "acme", "-t", "other", "-y").code
    assert 2 == taglane("queue", "purge", "No!", "-y").code
    assert 3 == taglane("queue", "purge", "nobody", "-y").code
    assert 1 == acme.ok("queue", "list", "-o", "json").json[0]["queued"]


def test_scale_says_what_an_autoscaler_asks(taglane: Cli, acme: Cli) -> None:
    """How much there is to do, and how many slots that takes; the operator's to see."""
    for _ in range(3):
        acme.ok("enqueue", "a.b")

    found = taglane.ok("queue", "scale", "acme", "--target", "1s", "-o", "json").json

    assert {"tag": "acme", "backlog": 3, "running": 0, "wanted": 3, "workers": 0, "slots": 0} == found
    assert ["acme", "3", "0", "1", "0", "0"] == taglane.ok("queue", "scale", "acme").out.splitlines()[-1].split()
    assert 4 == acme("queue", "scale", "acme").code
    assert 2 == taglane("queue", "scale", "acme", "--target", "soon").code
    assert 2 == taglane("queue", "scale", "Acme!").code

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import pytest
import taglane
from celery import Celery
from taglane.runtime import app as runtime_app

if TYPE_CHECKING:
    from collections.abc import Callable

URL = "redis://taglane-acme:secret@127.0.0.1:1/0"


@pytest.fixture
def make_app(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Celery]:
    """Makes applications on Taglane, and leaves Celery's modules as they were."""
    for module in runtime_app._modules_with_ids():  # noqa: SLF001
        monkeypatch.setattr(module, "uuid", module.uuid)

    def make(configure: Callable[[Celery], Any] = lambda _: None, url: str = URL) -> Celery:
        app = Celery("installed", set_as_current=False)
        configure(app)
        return taglane.install(app, url)

    return make


def test_a_task_is_acknowledged_when_it_has_ended(make_app: Callable[..., Celery]) -> None:
    """Unless the application says otherwise, a task of a dead worker runs again."""
    conf = make_app().conf
    assert (True, True) == (conf.task_acks_late, conf.task_reject_on_worker_lost)


def test_several_sentinels_are_one_broker_to_celery(make_app: Callable[..., Celery]) -> None:
    """It takes no url of several hosts: it is shown the first, and no credential."""
    app = make_app(url="sentinel://taglane-acme:secret@h1:7001,h2:7002/0?master=main&sentinel_password=secret")

    assert "taglane://h1:7001//" == app.connection_for_write().as_uri(include_password=True)


class Settings:
    """Settings in an object, as `config_from_object` takes them."""

    task_acks_late = False
    task_default_queue = "orders"


class OldSettings:
    """Settings by their old names."""

    CELERY_ACKS_LATE = False
    CELERY_DEFAULT_QUEUE = "orders"


CONFIGURATIONS: list[Callable[[Celery], Any]] = [
    lambda app: app.conf.update(task_acks_late=False, task_default_queue="orders"),
    lambda app: app.config_from_object(Settings),
    lambda app: app.config_from_object(OldSettings),
]


@pytest.mark.parametrize("configure", CONFIGURATIONS, ids=["conf", "object", "old names"])
def test_what_the_application_has_decided_stays(
    make_app: Callable[..., Celery], configure: Callable[[Celery], Any]
) -> None:
    """Wherever it keeps its settings, and however it calls them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Celery's, of the old names
        conf = make_app(configure).conf
        assert (False, True) == (conf.task_acks_late, conf.task_reject_on_worker_lost)
        assert "orders" == conf.task_default_queue
        assert conf.broker_url.startswith("taglane://")


def test_installing_twice_is_installing_once(make_app: Callable[..., Celery]) -> None:
    """As a worker does that is given another url."""
    app = make_app()
    assert app is taglane.install(app, URL + "?again=1")
    assert URL + "?again=1" == app.conf.broker_transport_options["secret_url"]
    assert 1 == len([step for step in app.steps["worker"] if step.__name__ == "TagStep"])
    assert 1 == len([option for option in app.user_options["worker"] if "--tag" in option.opts])


def test_fresh_ids_carry_the_tenant(make_app: Callable[..., Celery]) -> None:
    """Of the block, else of the credential: so an id alone finds its run."""
    app = make_app()
    assert app.signature("a.task").freeze().id.startswith("acme.")
    with taglane.tenant("globex"):
        assert app.signature("a.task").freeze().id.startswith("globex.")


def test_eager_mode_is_celerys_own(make_app: Callable[..., Celery]) -> None:
    """No server, no tenant, no run: the task is called in place."""
    app = make_app(lambda app: app.conf.update(task_always_eager=True))

    def double(number: int) -> int:
        return 2 * number

    task = app.task(double, name="installed.double", shared=False)
    assert 6 == task.delay(3).get(disable_sync_subtasks=False)


def test_no_address_is_shown(make_app: Callable[..., Celery]) -> None:
    """The url holds the password: neither the broker's nor the backend's shown name does."""
    app = make_app()
    assert "secret" not in app.connection().as_uri(include_password=True)
    assert "secret" not in app.backend.as_uri(include_password=True)
    assert "taglane://" in app.conf.humanize(with_defaults=False, censored=True)

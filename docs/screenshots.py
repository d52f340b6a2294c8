"""Makes docs/console/*.png, the pictures of the console: `python docs/screenshots.py [NAME…]`, in the repository.

It starts a server, fills it with what tests/seed.py knows, executes a few runs with a real worker, and looks at all of
it by Debian's chromium (`CHROMIUM` names another one). A picture that is left out of NAME… stays as it is.
"""
# ruff: noqa: INP001, T201 - a script, in no package, that prints

from __future__ import annotations

import os
import shutil
import struct
import sys
import tempfile
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from consoles import console_of  # noqa: E402 - found by the line above
from eventually import eventually  # noqa: E402
from playwright.sync_api import sync_playwright  # noqa: E402
from processes import WorkerProcess  # noqa: E402
from seed import Seed, fill  # noqa: E402
from taglane.store import keys  # noqa: E402
from taglane_scheduler.care.attention import PATIENCE_MS  # noqa: E402
from taglane_scheduler.embedded import EmbeddedServer, find_server  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

    from consoles import Console
    from playwright.sync_api import Browser, BrowserContext

FOLDER = Path(__file__).parent / "console"
DESK, PHONE = 1280, 390
COLOURS = 256
NEAR = 100
"""Colours that are no further apart, squared, are one."""

PASSWORD = "correct horse battery"  # noqa: S105 - of a server that is gone in a minute


@dataclass(frozen=True)
class Shot:
    """One page: where it is, and how much of it is shown."""

    name: str
    path: str
    height: int = 800
    width: int = DESK


def shots(running: str, failed: str) -> Iterator[Shot]:
    """Yield what is shown in docs/console.md."""
    yield Shot("overview", "/", 900)
    yield Shot("overview-phone", "/", 844, PHONE)
    yield Shot("jobs", "/jobs", 760)
    yield Shot("job", "/jobs/acme/report", 900)
    yield Shot("job-form", "/jobs/new", 900)
    yield Shot("runs", "/runs?q=tenant:globex+state:failed,dead+since:1h", 480)
    yield Shot("runs-wrong", "/runs?q=tenant:acme+stat:failed", 300)
    yield Shot("run", f"/runs/{running}", 900)
    yield Shot("run-phone", f"/runs/{running}", 844, PHONE)
    yield Shot("run-failed", f"/runs/{failed}", 740)
    yield Shot("dead", "/dead", 480)
    yield Shot("queues", "/queues", 700)
    yield Shot("workers", "/workers", 640)
    yield Shot("tenants", "/tenants", 560)
    yield Shot("tenant", "/tenants/hooli", 900)
    yield Shot("templates", "/templates", 480)
    yield Shot("alerts", "/alerts", 900)
    yield Shot("audit", "/audit", 640)
    yield Shot("people", "/people", 640)
    yield Shot("keys", "/keys", 560)
    yield Shot("account", "/account", 640)


def main(names: set[str]) -> None:
    """Make the pictures, or those whose names are given."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        sys.exit("no chromium on PATH: apt-get install chromium, or say CHROMIUM=/path/to/it")
    FOLDER.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        EmbeddedServer(binary=find_server(), directory=Path(folder)) as server,
        console_of(server) as console,
        sync_playwright() as playwright,
    ):
        fill(console.services)
        console.services.access.people.add("ann", PASSWORD, "admin", None)
        console.services.access.people.add("greg", PASSWORD, "operate", "globex")
        url = console.services.tenants.create("soylent").url
        with WorkerProcess(url, ["soylent"], "talky.celery") as worker:
            worker.wait_ready()
            running, failed = talk(console, Path(folder) / "gate")
            browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"])
            take(browser, console, [each for each in shots(running, failed) if not names or each.name in names])
            browser.close()
            (Path(folder) / "gate").touch()


def talk(console: Console, gate: Path) -> tuple[str, str]:
    """Let a run log that goes on, and one that fails; return their ids."""
    seed = Seed(console.services, "soylent")
    seed.job("import", "talky.celery.order", params={"gate": str(gate), "order": "A-1042", "token": "t0p"})
    seed.job("lookup", "talky.celery.fail", params={})
    running = console.services.jobs.trigger("soylent", "import")
    failed = console.services.jobs.trigger("soylent", "lookup")
    stores = console.services.stores
    eventually(lambda: stores.runs.get(failed).is_ended and len(stores.logs.read(running).lines) > 1, 20)
    unserved = "umbrella"
    eventually(lambda: (stores.standings.read([unserved])[0].oldest or 0) > PATIENCE_MS, 20)
    return running, failed


def take(browser: Browser, console: Console, wanted: list[Shot]) -> None:
    """Look at pages as they are in the light and in the dark."""
    for scheme in ("light", "dark"):
        context: BrowserContext = browser.new_context(locale="en-US", timezone_id="UTC", color_scheme=scheme)
        page = context.new_page()
        page.goto(f"{console.url}/login")
        page.locator("[name=name]").fill("ann")
        page.locator("[name=password]").fill(PASSWORD)
        page.locator("form:has([name=password]) button").click()
        page.wait_for_url(f"{console.url}/")
        for shot in wanted:
            page.set_viewport_size({"width": shot.width, "height": shot.height})
            beat(console)
            page.goto(console.url + shot.path)
            page.wait_for_function("document.fonts.ready.then(() => true)")
            file = FOLDER / f"{shot.name}-{scheme}.png"
            file.write_bytes(smaller(page.screenshot()))
            print(f"{file.name}  {file.stat().st_size // 1024} KB")
        context.close()


def beat(console: Console) -> None:
    """Let the workers of the seed live that have no process, but the one that is to have stalled."""
    server, now = console.services.server, console.services.stores.standings.read(["wonka"])[0].at
    for worker in console.services.stores.workers.list():
        if worker.id.startswith("apps-") and (worker.tenant, worker.id) != ("wayne", "apps-2-4101"):
            server.redis.hset(keys.worker(worker.tenant, worker.id), "seen", str(now))


def smaller(png: bytes) -> bytes:
    """Return a picture with a palette of `COLOURS`: a colour that is not among them becomes the nearest that is."""
    width, height, rows = read_png(png)
    counted: Counter[bytes] = Counter()
    for row in rows:
        counted.update(row[at : at + 3] for at in range(0, len(row), 3))
    palette: list[bytes] = []
    number: dict[bytes, int] = {}
    for colour, _ in counted.most_common():  # a rare colour that is like no other goes before a common shade
        red, green, blue = colour
        far, near = min(
            (((red - r) ** 2 + (green - g) ** 2 + (blue - b) ** 2, at) for at, (r, g, b) in enumerate(palette)),
            default=(NEAR + 1, 0),
        )
        if far > NEAR and len(palette) < COLOURS:
            near = len(palette)
            palette.append(colour)
        number[colour] = near
    lines = b"".join(b"\0" + bytes(number[row[at : at + 3]] for at in range(0, len(row), 3)) for row in rows)
    head = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        chunk(kind, body)
        for kind, body in (
            (b"IHDR", head),
            (b"PLTE", b"".join(palette)),
            (b"IDAT", zlib.compress(lines, 9)),
            (b"IEND", b""),
        )
    )


def chunk(kind: bytes, body: bytes) -> bytes:
    """Return one chunk of a PNG."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def read_png(png: bytes) -> tuple[int, int, list[bytes]]:
    """Return width, height and rows of three bytes a pixel, of a picture of chromium's: eight bits, without alpha."""
    at, data, width, height, deep = 8, b"", 0, 0, 3
    while at < len(png):
        (size,), kind = struct.unpack(">I", png[at : at + 4]), png[at + 4 : at + 8]
        body = png[at + 8 : at + 8 + size]
        if kind == b"IHDR":
            width, height, _, colours = struct.unpack(">IIBB", body[:10])
            deep = {2: 3, 6: 4}[colours]
        elif kind == b"IDAT":
            data += body
        at += 12 + size
    raw, long = zlib.decompress(data), width * deep
    rows: list[bytes] = []
    above = bytearray(long)
    for start in range(0, len(raw), long + 1):
        above = unfiltered(raw[start], bytearray(raw[start + 1 : start + 1 + long]), above, deep)
        rows.append(bytes(above) if deep == 3 else b"".join(bytes(above[x : x + 3]) for x in range(0, long, 4)))
    return width, height, rows


def unfiltered(how: int, row: bytearray, above: bytearray, deep: int) -> bytearray:
    """Return a row as it was before it was filtered: by nothing, its left, its upper, both, or Paeth's."""
    for at in range(len(row)):
        left, up = row[at - deep] if at >= deep else 0, above[at]
        if how == 1:
            row[at] = (row[at] + left) & 255
        elif how == 2:
            row[at] = (row[at] + up) & 255
        elif how == 3:
            row[at] = (row[at] + (left + up) // 2) & 255
        elif how == 4:
            corner = above[at - deep] if at >= deep else 0
            guess = left + up - corner
            row[at] = (row[at] + min((left, up, corner), key=lambda each: abs(guess - each))) & 255
    return row


if __name__ == "__main__":
    main(set(sys.argv[1:]))

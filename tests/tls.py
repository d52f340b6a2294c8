"""A server that speaks nothing but TLS, where the program under test can do that and `openssl` makes certificates."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from eventually import eventually
from taglane_scheduler.child_process import ChildProcess
from taglane_scheduler.embedded import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from taglane_scheduler.server_binary import ServerBinary


@contextmanager
def tls_server(binary: ServerBinary, folder: Path, *options: str) -> Iterator[str]:
    """One server while this lasts; answers its address, and what a url says behind the ``?``."""
    certificate, key = folder / "server.crt", folder / "server.key"
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl here to make a certificate")
    made = ["-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=here"]
    made += ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(
        ["openssl", "req", "-x509", *made, "-keyout", key, "-out", certificate], check=True, capture_output=True
    )
    port = free_port()
    tls = ["--tls-port", str(port), "--tls-cert-file", certificate, "--tls-key-file", key]
    tls += ["--tls-ca-cert-file", certificate, "--tls-auth-clients", "no", "--tls-cluster", "yes"]
    command = [binary.path, "--port", "0", *tls, "--save", "", "--bind", "127.0.0.1", "--dir", folder, *options]
    log = folder / "log"
    process = ChildProcess([str(word) for word in command], log=log)
    try:
        eventually(lambda: "Ready to accept" in log.read_text() or not process.alive)
        if not process.alive:
            pytest.skip("this server was built without TLS")
        yield f"127.0.0.1:{port}?ssl_ca_certs={certificate}"
    finally:
        process.end()

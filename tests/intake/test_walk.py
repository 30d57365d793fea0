"""What a walk yields, in which order, and what it says of the rest."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from hostile_files import encoded

from needlepoint.errors import UsageError
from needlepoint.intake.decode import decode
from needlepoint.intake.walk import Found, is_online, root_identity, split_root, walk

JPEG = encoded("JPEG")


def names(root: Path) -> tuple[list[str], dict[str, str]]:
    skipped: dict[str, str] = {}

    def on_skip(path: str, reason: str) -> None:
        assert path not in skipped
        skipped[path] = reason

    return [found.path for found in walk(root, on_skip=on_skip)], skipped


def plant(root: Path, *paths: str, data: bytes = JPEG) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)


def test_order_and_selection(tmp_path: Path) -> None:
    plant(tmp_path, "b.jpg", "B.JPG", "a/z.png", "a/b/c.webp", "ab.tif", "a b.heic", "é.gif")
    plant(tmp_path, "x.NEF", "noext", "deep/.hidden.jpg", ".trash/a.jpg", "@eaDir/a.jpg")
    plant(tmp_path, "notes.txt", "film.mp4", "a.jpg.xmp", "plain", data=b"words")
    got, skipped = names(tmp_path)
    assert got == [
        "B.JPG", "a b.heic", "ab.tif", "b.jpg", "noext", "x.NEF", "é.gif", "a/z.png", "a/b/c.webp",
    ]  # fmt: skip
    assert skipped == {}
    assert names(tmp_path)[0] == got


def test_size_and_mtime(tmp_path: Path) -> None:
    plant(tmp_path, "a.jpg")
    os.utime(tmp_path / "a.jpg", ns=(1, 1_234_567_890_123_456_789))
    (found,) = walk(tmp_path, on_skip=print)
    assert found == Found("a.jpg", len(JPEG), 1_234_567_890_123_456_789)


def test_empty_files_are_yielded_for_a_reason_later(tmp_path: Path) -> None:
    plant(tmp_path, "a.jpg", data=b"")
    assert names(tmp_path) == (["a.jpg"], {})


def test_a_single_file(tmp_path: Path) -> None:
    plant(tmp_path, "sub/a.jpg", "sub/b.jpg")
    assert names(tmp_path / "sub" / "a.jpg") == (["a.jpg"], {})
    assert split_root(tmp_path / "sub" / "a.jpg") == (str(tmp_path / "sub"), "a.jpg")
    assert split_root(tmp_path / "sub") == (str(tmp_path / "sub"), None)


def test_a_single_file_is_judged_by_its_content(tmp_path: Path) -> None:
    plant(tmp_path, "photo.bak")
    plant(tmp_path, "notes.txt", data=b"words")
    assert names(tmp_path / "photo.bak") == (["photo.bak"], {})
    assert names(tmp_path / "notes.txt") == (
        [],
        {"notes.txt": "not a picture in a known format"},
    )
    assert names(tmp_path) == ([], {})


def test_missing_root(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="gone"):
        names(tmp_path / "nowhere")


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX files")
class TestSpecialFiles:
    def test_pipes_sockets_devices(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe.jpg")
        os.mkfifo(tmp_path / "pipe")
        os.mkfifo(tmp_path / "pipe.txt")
        os.symlink("/dev/zero", tmp_path / "zero.png")
        place = os.getcwd()
        os.chdir(tmp_path)  # socket paths are short
        try:
            with socket.socket(socket.AF_UNIX) as server:
                server.bind("sock.jpg")
        finally:
            os.chdir(place)
        got, skipped = names(tmp_path)
        assert got == []
        assert skipped == {
            "pipe": "is a named pipe", "pipe.jpg": "is a named pipe", "sock.jpg": "is a socket",
            "zero.png": "is a device",
        }  # fmt: skip

    def test_folder_with_a_pictures_name(self, tmp_path: Path) -> None:
        plant(tmp_path, "album.jpg/a.png")
        assert names(tmp_path) == (["album.jpg/a.png"], {})

    def test_links_to_files(self, tmp_path: Path) -> None:
        plant(tmp_path, "real.jpg")
        os.symlink("real.jpg", tmp_path / "also.jpg")
        os.symlink("gone.jpg", tmp_path / "broken.jpg")
        os.symlink("gone.txt", tmp_path / "broken.txt")
        os.symlink("self.jpg", tmp_path / "self.jpg")
        os.symlink("self", tmp_path / "self")
        got, skipped = names(tmp_path)
        assert got == ["also.jpg", "real.jpg"]
        assert skipped == {
            "broken.jpg": "broken link", "self.jpg": "symbolic link loop",
            "self": "symbolic link loop",
        }  # fmt: skip

    def test_links_to_folders_are_followed_once(self, tmp_path: Path) -> None:
        root, outside = tmp_path / "root", tmp_path / "outside"
        plant(root, "z/a.jpg")
        plant(outside, "o.jpg", "deep/p.jpg")
        os.symlink("z", root / "a_link_to_z")
        os.symlink(root, root / "z" / "up")
        os.symlink(outside, root / "one")
        os.symlink(outside, root / "two")
        os.symlink(outside / "deep", root / "three")
        os.symlink(tmp_path, outside / "everything")
        got, skipped = names(root)
        assert got == ["z/a.jpg", "one/o.jpg", "one/deep/p.jpg"]
        assert skipped == {}

    def test_link_to_a_hidden_folder_is_followed(self, tmp_path: Path) -> None:
        plant(tmp_path, ".store/a.jpg")
        os.symlink(".store", tmp_path / "shown")
        assert names(tmp_path) == (["shown/a.jpg"], {})

    def test_names_that_are_not_utf8(self, tmp_path: Path) -> None:
        raw = os.fsencode(tmp_path) + b"/caf\xe9 \xff\n.jpg"
        with open(raw, "wb") as file:
            file.write(JPEG)
        (found,) = walk(tmp_path, on_skip=print)
        assert os.fsencode(found.path) == b"caf\xe9 \xff\n.jpg"
        assert decode(tmp_path / found.path).size == (320, 240)

    def test_very_deep_trees(self, tmp_path: Path) -> None:
        place = os.getcwd()
        os.chdir(tmp_path)
        try:
            for _ in range(60):
                os.mkdir("d" * 80)
                os.chdir("d" * 80)
            Path("end.jpg").write_bytes(JPEG)
        finally:
            os.chdir(place)
        got, skipped = names(tmp_path)
        assert got == []
        assert list(skipped.values()) == ["path too long"]
        subprocess.run(["rm", "-rf", "d" * 80], cwd=tmp_path, check=True)

    def test_without_permission(self, tmp_path: Path) -> None:
        """Run as an ordinary user, since root may read everything."""
        tmp_path.chmod(0o755)
        plant(tmp_path, "open/a.jpg", "shut/b.jpg", "c.jpg", "noext")
        (tmp_path / "shut").chmod(0)
        (tmp_path / "c.jpg").chmod(0)
        (tmp_path / "noext").chmod(0)
        program = (
            "import os, sys\n"
            "root = sys.argv[1]\n"
            "from needlepoint.intake.walk import walk\n"
            "from needlepoint.intake.decode import decode\n"
            "from needlepoint.errors import PictureError\n"
            "os.chdir(root)\n"
            "decode('open/a.jpg')\n"  # load all modules while that is still allowed
            "if os.getuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
            "for f in walk('.', on_skip=lambda p, r: print('skip', p, r)):\n"
            "    try: print(f.path, decode(f.path).size)\n"
            "    except PictureError as e: print(f.path, e.reason)\n"
        )
        for folder in tmp_path.parents:  # the test's own folder must be reachable
            if folder.stat().st_uid == os.getuid() and len(folder.parts) > 2:
                folder.chmod(folder.stat().st_mode | 0o011)
        ran = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path)],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
            check=False,
        )
        (tmp_path / "shut").chmod(0o755)
        assert ran.stdout.splitlines() == [
            "c.jpg no permission to read",
            "skip noext no permission to read",
            "open/a.jpg (320, 240)",
            "skip shut no permission to read",
        ], ran.stderr

    def test_a_folder_that_vanishes_underway(self, tmp_path: Path) -> None:
        plant(tmp_path, "a/1.jpg", "b/2.jpg", "c/3.jpg")
        skipped: list[tuple[str, str]] = []
        got = []
        for found in walk(tmp_path, on_skip=lambda p, r: skipped.append((p, r))):
            got.append(found.path)
            if found.path == "a/1.jpg":
                (tmp_path / "b" / "2.jpg").unlink()
                (tmp_path / "b").rmdir()
        assert got == ["a/1.jpg", "c/3.jpg"]
        assert skipped == [("b", "file is gone")]


class TestRoots:
    def test_identity_is_stable_and_survives_content(self, tmp_path: Path) -> None:
        before = root_identity(tmp_path)
        plant(tmp_path, "a.jpg")
        assert root_identity(tmp_path) == before
        other = tmp_path / "other"
        other.mkdir()
        assert root_identity(other) != before

    def test_missing_or_not_a_folder(self, tmp_path: Path) -> None:
        assert not is_online(tmp_path / "no")
        plant(tmp_path, "a.jpg")
        assert not is_online(tmp_path / "a.jpg")
        assert is_online(tmp_path)

    def test_emptied_by_hand_is_online(self, tmp_path: Path) -> None:
        assert is_online(tmp_path, root_identity(tmp_path), ["a.jpg"])

    def test_unplugged_mount_point_is_offline(self, tmp_path: Path) -> None:
        """An unmounted disk leaves an empty folder of another identity."""
        assert not is_online(tmp_path, "1:2")
        assert not is_online(tmp_path, "1:2", ["a.jpg"])

    def test_another_disk_at_the_same_place(self, tmp_path: Path) -> None:
        plant(tmp_path, "other.jpg")
        assert not is_online(tmp_path, "1:2", ["a.jpg", "b/c.jpg"])
        plant(tmp_path, "b/c.jpg")
        assert is_online(tmp_path, "1:2", ["a.jpg", "b/c.jpg"])
        assert is_online(tmp_path, "1:2")

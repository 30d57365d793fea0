"""The command as users run it: real processes, the real library, small pictures."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

CODE = "from needlepoint.cli.main import main; main()"
ODD_NAME = b"caf\xe9 \n1.jpg"

Run = Callable[..., "subprocess.CompletedProcess[bytes]"]


def scene(path: Path | bytes, seed: int) -> None:
    """A picture of coloured shapes on noise, 320 x 240, unlike that of any other seed."""
    random = np.random.default_rng(seed)
    noise = random.integers(90, 160, (240, 320, 3), dtype=np.uint8)
    image = Image.fromarray(noise)
    draw = ImageDraw.Draw(image)
    for _ in range(6):
        x, y = (int(v) for v in random.integers(0, [260, 180]))
        colour = tuple(int(v) for v in random.integers(0, 256, 3))
        shape = (draw.ellipse, draw.rectangle)[int(random.integers(2))]
        shape((x, y, x + 50, y + 50), fill=colour)
    with open(path, "wb") as file:
        image.save(file, "JPEG", quality=92)


class World:
    """A folder of pictures, a library, and the command with its own environment."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pictures = folder / "pictures"
        self.library = folder / "library"
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("NEEDLEPOINT_", "HF_"))},
            "HOME": str(folder),
            "XDG_DATA_HOME": str(folder / "data"),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "NEEDLEPOINT_LIBRARY": str(self.library),
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
        }

    def command(self, *args: str | bytes) -> list[str | bytes]:
        return [sys.executable, "-c", CODE, *args]

    def run(
        self, *args: str | bytes, cwd: Path | None = None, stdin: bytes | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        ran = subprocess.run(
            self.command(*args),
            cwd=cwd or self.folder,
            env=self.environment,
            input=stdin or b"",
            capture_output=True,
            timeout=120,
            check=False,
        )
        assert b"Traceback" not in ran.stderr, ran.stderr.decode()
        return ran


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    made = World(tmp_path_factory.mktemp("world"))
    (made.pictures / "trip").mkdir(parents=True)
    for seed in range(6):
        scene(made.pictures / f"{seed}.jpg", seed)
    scene(made.pictures / "trip" / "a b.jpg", 20)
    scene(os.fsencode(made.pictures) + b"/" + ODD_NAME, 21)
    ran = made.run("index", str(made.pictures))
    assert ran.returncode == 0, ran.stderr.decode()
    assert ran.stdout == b""
    return made


def rows(ran: subprocess.CompletedProcess[bytes]) -> list[dict[str, object]]:
    return [json.loads(line) for line in ran.stdout.splitlines()]


def test_a_picture_finds_itself_with_every_promised_field(world: World) -> None:
    ran = world.run("search", "./pictures/3.jpg", "-k", "3", "--format", "jsonl")
    assert ran.returncode == 0
    found = rows(ran)
    assert [row["rank"] for row in found] == [1, 2, 3]
    assert os.path.basename(str(found[0]["path"])) == "3.jpg"
    for row in found:
        assert set(row) >= {"rank", "id", "path", "score", "score_kind", "box", "source"}
        box = row["box"]
        assert box is None or (len(box) == 4 and all(isinstance(v, int) for v in box))  # type: ignore[arg-type]


def test_a_piece_of_a_picture_finds_the_picture(world: World) -> None:
    question = "pictures/4.jpg#xywh=40,40,160,120"
    assert rows(world.run("search", question, "-k", "1", "-f", "jsonl"))[0]["path"] == str(
        world.pictures / "4.jpg"
    )


def test_the_first_of_many_are_the_many_first(world: World) -> None:
    many = rows(world.run("search", "a red ball", "-k", "8", "-f", "jsonl"))
    few = rows(world.run("search", "a red ball", "-k", "3", "-f", "jsonl"))
    assert few == many[:3]


def test_names_that_are_not_utf8_survive(world: World) -> None:
    path = os.fsencode(world.pictures) + b"/" + ODD_NAME
    ran = world.run("search", path, "-k", "1", "-0")
    assert ran.stdout == path + b"\0"
    ran = world.run("search", b"img:" + path, "-k", "1", "-f", "jsonl")
    assert os.fsencode(str(rows(ran)[0]["path"])) == path
    ran = world.run("search", path, "-k", "1", "-f", "csv")
    assert path in ran.stdout
    assert world.run("search", path, "-k", "1").stdout.count(b"\n") == 2
    ran = world.run("search", path, "-k", "1", "--copy-to", "copies", "-q")
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert os.listdir(os.fsencode(world.folder / "copies")) == [b"001-" + ODD_NAME]


def test_filters_apply_before_the_search(world: World) -> None:
    trip = world.pictures / "trip"
    for where in (f"folder = '{trip}'", "folder = trip", "name ~ 'a*' and format = jpg"):
        ran = world.run("search", "x", "--where", where, "-f", "paths")
        assert ran.stdout == os.fsencode(trip / "a b.jpg") + b"\n"
    assert world.run("search", "x", "--where", "year = 1900", "-f", "paths").returncode == 1


def test_a_question_without_a_verb_sees_only_this_folder(world: World) -> None:
    ran = world.run("a ball", "-f", "paths", cwd=world.pictures / "trip")
    assert ran.returncode == 0
    assert ran.stdout == os.fsencode(world.pictures / "trip" / "a b.jpg") + b"\n"


def test_similar_leaves_the_picture_itself_out(world: World) -> None:
    first = rows(world.run("search", "./pictures/1.jpg", "-k", "1", "-f", "jsonl"))[0]
    ran = world.run("similar", f"@{first['id']}", "-k", "8", "-f", "jsonl")
    assert ran.returncode == 0
    assert first["id"] not in [row["id"] for row in rows(ran)]
    assert len(rows(ran)) == 7


def test_stdin_to_json_lines(world: World) -> None:
    ran = world.run("search", "-", "-k", "2", stdin=b"a ball\n0:x\n./pictures/2.jpg\n")
    answers = rows(ran)
    assert [a["query"] for a in answers] == ["a ball", "0:x", "./pictures/2.jpg"]
    assert "error" in answers[1]
    assert ran.returncode == 2


def test_a_contact_sheet_is_one_file(world: World) -> None:
    ran = world.run("search", "./pictures/2.jpg", "-f", "html", "-o", "sheet.html", "-q")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, b"", b"")
    page = (world.folder / "sheet.html").read_text("utf-8")
    assert page.count("<figure>") == 8
    assert "data:image/jpeg;base64," in page
    assert "http://" not in page
    assert "https://" not in page


def test_info_models_methods_and_doctor(world: World) -> None:
    assert json.loads(world.run("info", "--json").stdout)["pictures"] == 8
    models = {m["address"]: m for m in json.loads(world.run("models", "--json").stdout)}
    assert [one["pictures"] for one in models["builtin"]["library"]] == [8]
    assert {"dense", "whole"} <= {
        m["name"] for m in json.loads(world.run("methods", "--json").stdout)
    }
    ran = world.run("doctor")
    assert ran.returncode == 0, ran.stdout.decode()
    assert b"8 pictures" in ran.stdout


def test_a_library_by_methods_from_the_first_command_to_the_last(world: World) -> None:
    """Index for one method, be refused another, run what the refusal says, be answered."""
    library = str(world.folder / "by method")

    def run(*args: str) -> subprocess.CompletedProcess[bytes]:
        return world.run(*args, "--library", library)

    ran = run("index", str(world.pictures), "--method", "five-crop")
    assert ran.returncode == 0, ran.stderr.decode()
    found = rows(run("search", "./pictures/3.jpg", "-k", "8", "-f", "jsonl"))
    assert os.path.basename(str(found[0]["path"])) == "3.jpg"
    assert {row["source"]["method"] for row in found} == {"five-crop"}  # type: ignore[index]
    assert found == rows(
        run("search", "./pictures/3.jpg", "-k", "8", "-f", "jsonl", "--method", "five-crop")
    )
    for method in ("whole", "hard-max"):
        ran = run("search", "a red ball", "-f", "jsonl", "--method", method)
        assert {row["source"]["method"] for row in rows(ran)} == {method}  # type: ignore[index]

    refused = run("search", "./pictures/3.jpg", "--method", "grid:n=2")
    assert (refused.returncode, refused.stdout) == (3, b"")
    command = re.search(r"`needlepoint (.*?)`", refused.stderr.decode())
    assert command is not None
    ran = world.run(*shlex.split(command[1]))
    assert ran.returncode == 0, ran.stderr.decode()
    ran = run("search", "./pictures/3.jpg", "-k", "1", "-f", "jsonl", "--method", "grid:n=2")
    assert ran.returncode == 0
    assert rows(ran)[0]["source"]["method"] == "grid"  # type: ignore[index]
    told = json.loads(run("info", "--json").stdout)
    assert {m["recipe"]: m["pictures"] for m in told["models"]} == {"five-crop": 8, "grid:n=2": 8}
    assert b"grid:n=2" in run("info").stdout
    assert b"five-crop: 8 pictures" in run("models").stdout

    again = run("index")  # as last time
    assert b"8 unchanged" in again.stderr
    for wrong in (
        ("index", "--method", "whole"),
        ("index", "--method", "grid:n=99"),
        ("index", "--method", "grid", "--regions", "none"),
        ("search", "x", "--method", "gird"),
        ("search", "x", "--corpus", "nowhere.txt"),
    ):
        ran = run(*wrong)
        assert (ran.returncode, ran.stdout) == (2, b""), wrong
        assert ran.stderr.startswith(b"needlepoint: error: ")


def test_the_card_of_a_method(world: World) -> None:
    text = world.run("methods", "show", "five-crop").stdout.decode()
    assert "needlepoint index --method five-crop FOLDER" in text
    assert max(map(len, text.splitlines())) <= 100


def test_exit_code_2(world: World) -> None:
    assert world.run("search", "./nowhere.jpg").returncode == 2
    assert world.run("search", "@99999").returncode == 2
    assert world.run("search", "x", "--where", "camra = 1").returncode == 2


def test_exit_code_3_with_the_command_to_run(world: World) -> None:
    ran = world.run("search", "x", "--library", str(world.folder / "none"))
    assert (ran.returncode, ran.stdout) == (3, b"")
    assert b"index" in ran.stderr
    assert not (world.folder / "none").exists()


def test_exit_code_4_offline(world: World) -> None:
    library = str(world.folder / "other")
    ran = world.run(
        *("index", str(world.pictures), "--model", "hf:google/siglip2-base-patch16-224"),
        *("--library", library, "--offline"),
    )
    assert (ran.returncode, ran.stdout) == (4, b"")


def test_exit_code_5_and_the_list_of_what_was_unreadable(world: World) -> None:
    folder = world.folder / "some broken"
    folder.mkdir()
    scene(folder / "good.jpg", 30)
    (folder / "bad.jpg").write_bytes((folder / "good.jpg").read_bytes()[:300])
    library = str(world.folder / "broken library")
    ran = world.run("index", str(folder), "--library", library)
    assert ran.returncode == 5
    assert b"bad.jpg" in ran.stderr
    ran = world.run("info", "--skipped", "--json", "--library", library)
    assert [os.path.basename(one["path"]) for one in json.loads(ran.stdout)] == ["bad.jpg"]


def test_a_dry_run_writes_nothing(world: World) -> None:
    library = world.folder / "dry"
    ran = world.run("index", "--dry-run", str(world.pictures), "--library", str(library))
    assert ran.returncode == 0
    assert b"would read 8" in ran.stderr
    assert not library.exists()


def test_a_reader_that_leaves_is_no_error(world: World) -> None:
    process = subprocess.Popen(
        world.command("search", "-", "-k", "8"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=world.environment,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdin.write(b"a ball\n" * 3)
    process.stdin.flush()
    process.stdout.readline()
    process.stdout.close()
    try:
        process.stdin.write(b"a ball\n" * 20)
        process.stdin.close()
    except BrokenPipeError:
        pass
    errors = process.stderr.read()
    assert process.wait(60) == 0
    assert b"Traceback" not in errors
    assert b"Broken pipe" not in errors


def test_sigint_while_indexing_is_130_and_the_next_run_goes_on(world: World) -> None:
    folder = world.folder / "many"
    folder.mkdir()
    for seed in range(100):
        scene(folder / f"{seed:03d}.jpg", 100 + seed)
    library = world.folder / "interrupted"
    process = subprocess.Popen(
        world.command("index", str(folder), "--library", str(library)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=world.environment,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    kept = wait_for_pictures(library, process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err.decode()
    assert out == b""
    assert b"nothing acknowledged is lost" in err
    assert b"Traceback" not in err
    after = count(library)
    assert kept <= after < 100
    ran = world.run("index", str(folder), "--library", str(library), "--json")
    assert ran.returncode == 0
    report = json.loads(ran.stdout)
    assert report["added"] == 100 - after
    assert report["resumed_from"] == after
    assert count(library) == 100


def count(library: Path, question: str = "SELECT count(*) FROM pictures") -> int:
    connection = sqlite3.connect(f"file:{library}/library.sqlite3?mode=ro", uri=True)
    try:
        return int(connection.execute(question).fetchone()[0])
    finally:
        connection.close()


def wait_for_pictures(library: Path, process: subprocess.Popen[bytes]) -> int:
    """Until the first batch is acknowledged; how many pictures it has."""
    for _ in range(1200):
        assert process.poll() is None, "indexing ended before it could be interrupted"
        try:
            if kept := count(library):
                return kept
        except sqlite3.Error:
            pass
        time.sleep(0.05)
    raise AssertionError("no batch was written")


def test_searching_while_another_process_indexes(world: World) -> None:
    folder = world.folder / "more"
    folder.mkdir()
    for seed in range(40):
        scene(folder / f"{seed}.jpg", 400 + seed)
    library = world.folder / "busy"
    assert world.run("index", str(world.pictures), "--library", str(library)).returncode == 0
    process = subprocess.Popen(
        world.command("index", str(folder), "--library", str(library), "-q"), env=world.environment
    )
    codes = []
    while process.poll() is None:
        codes.append(world.run("search", "a ball", "-k", "2", "--library", str(library)).returncode)
    assert process.returncode == 0
    assert codes, "nothing was asked in time"
    assert set(codes) == {0}


def test_watch_notices_new_and_deleted_pictures(world: World, tmp_path: Path) -> None:
    folder = world.folder / "watched"
    folder.mkdir()
    scene(folder / "first.jpg", 500)
    library = world.folder / "watching"
    told = tmp_path / "told.txt"
    with told.open("wb") as messages:
        process = subprocess.Popen(
            world.command("watch", str(folder), "--library", str(library)),
            stdout=subprocess.PIPE,
            stderr=messages,
            env=world.environment,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
    present = "SELECT count(*) FROM pictures WHERE NOT gone"
    wait_for_pictures(library, process)
    # the watcher starts after the first indexing: add pictures until it has seen one
    for attempt in range(20):
        scene(folder / f"new{attempt}.jpg", 501)
        deadline = time.monotonic() + 5
        while count(library, present) == 1 and time.monotonic() < deadline:
            time.sleep(0.1)
        if count(library, present) > 1:
            break
    assert count(library, present) > 1
    (folder / "first.jpg").unlink()
    # the library knows before the terminal does: a Ctrl-C between the two would hide the line
    deadline = time.monotonic() + 60
    while b"1 missing" not in told.read_bytes() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert count(library, f"{present} AND name = 'first.jpg'") == 0
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, b"")
    assert b"1 missing" in told.read_bytes()


def test_completion_works_without_a_library(world: World) -> None:
    environment = {**world.environment, "_NEEDLEPOINT_COMPLETE": "zsh_complete"}
    environment.update(COMP_WORDS="needlepoint search --fo", COMP_CWORD="2")
    ran = subprocess.run(
        [sys.executable, "-c", CODE], env=environment, capture_output=True, check=False
    )
    assert b"--format" in ran.stdout

"""What goes wrong around a real server: does it answer or say why, and is nothing lost?

    python benchmarks/serve_faults.py

Every fault gets a fresh library of a dozen sample pictures and a server of its own. ``survived``
means that all that is asserted held; ``not tried`` that this machine does not allow the fault
(mounting needs root, jumps of the clock need libfaketime).
Writes ``results/serve-faults-HARDWARE.csv``; the quick ones are tried by
``tests/e2e/test_server_faults.py`` as well.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes.util
import http.client
import os
import random
import resource
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from glob import glob
from pathlib import Path

from common import write_rows
from fault_world import (
    FAULTS,
    FEW,
    LONG,
    QUESTIONS,
    SAMPLES,
    NotTried,
    World,
    fault,
    mounted,
    prepared,
    problem,
    suffer,
)
from needlepoint.library import Library
from serving import until


@fault("kill -9 while indexing")
def kill_while_indexing(world: World) -> str:
    world.grow(40)
    server = world.serve()
    before = server.found()
    status, job = server.post("/v1/index/jobs", {"sources": []})
    assert status == 202, job
    until(lambda: (told := server.job(job["id"]))["done"] > FEW or told["state"] == "done", LONG)
    acknowledged = server.count()
    server.kill()
    again = world.serve()
    kept = again.count()
    assert kept >= acknowledged, (kept, acknowledged)
    assert {i for i, _ in before[0]} <= {i for i, _ in again.found()[0]}
    report = again.index()
    assert report["state"] == "done", report
    assert again.count() == FEW + 40
    return f"{acknowledged} acknowledged, {kept} kept, all {FEW + 40} after one more job"


@fault("kill -9 while searching")
def kill_while_searching(world: World) -> str:
    server = world.serve()
    before = server.found()
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            with contextlib.suppress(OSError, http.client.HTTPException):
                server.get(f"/v1/search?q=a+cat+{random.random()}")

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    server.get("/v1/search?q=a+dog")
    server.kill()
    stop.set()  # until then they knock in vain
    for thread in threads:
        thread.join()
    assert world.serve().found() == before
    return "the next server answers the same"


@fault("full disk while indexing")
def full_disk(world: World) -> str:
    kept = world.folder / "kept"
    world.library.rename(kept)
    world.library.mkdir()
    with mounted(world.library, "size=1m"):
        shutil.copytree(kept, world.library, dirs_exist_ok=True)
        server = world.serve()
        before = server.found()
        world.grow(60)
        job = server.index()
        assert job["state"] == "failed", job
        assert "full" in job["error"] or "space" in job["error"], job
        held = server.count()
        after = server.found()
        assert {i for i, _ in before[0]} <= {i for i, _ in after[0]}
        assert server.get("/v1/items/1/thumb")[0] == 200
        subprocess.run(["mount", "-o", "remount,size=64m", str(world.library)], check=True)
        assert server.index()["state"] == "done"
        assert server.count() == FEW + 60
        world.servers.pop().end()
    return f"the job says: {job['error'][:80]}; {held} kept; goes on when there is room"


@fault("library deleted under the server")
def library_deleted(world: World) -> str:
    server = world.serve()
    before = server.found()
    aside = world.folder / "aside"
    shutil.copytree(world.library, aside)
    shutil.rmtree(world.library)
    told = problem(server.get("/v1/search?q=a+dog"), 503)
    problem(server.get("/healthz"), 503)
    assert server.get("/")[0] == 200
    aside.rename(world.library)
    until(lambda: server.get("/healthz")[0] == 200, LONG)
    assert server.found() == before
    return f"says: {told[:70]}; answers again when it is back"


@fault("library folder read-only")
def read_only(world: World) -> str:
    kept = world.folder / "kept"
    world.library.rename(kept)
    world.library.mkdir()
    with mounted(world.library, "size=64m"):
        shutil.copytree(kept, world.library, dirs_exist_ok=True)
        subprocess.run(["mount", "-o", "remount,ro", str(world.library)], check=True)
        server = world.serve()
        server.found()
        assert server.get("/v1/items/1/thumb")[0] == 200
        status, job = server.post("/v1/index/jobs", {"sources": []})
        if status == 202:
            job = server.ended(job["id"])
            assert job["state"] == "failed", job
            told = job["error"]
        else:
            told = problem((status, job), 403, 409, 503)
        assert "read" in told, told
        world.servers.pop().end()
    return f"searches; indexing says: {told[:80]}"


@fault("two servers on one library")
def two_servers(world: World) -> str:
    one, two = world.serve(), world.serve()
    assert one.found() == two.found()
    world.grow(40)
    status, first = one.post("/v1/index/jobs", {"sources": []})
    assert status == 202
    until(lambda: one.job(first["id"])["state"] != "waiting", LONG)
    second = two.index()
    asked = two.found()
    ended = one.ended(first["id"])
    assert ended["state"] == "done", ended
    assert asked
    if second["state"] == "failed":
        told = str(second["error"])
        assert "process" in told or "busy" in told or "index" in told, told
    else:
        told = "the second began when the first had ended"
    assert two.index()["state"] == "done"
    assert one.found() == two.found()
    assert one.count() == two.count() == FEW + 40
    return told[:90]


@fault("clock jumps by years, both ways")
def clock_jumps(world: World) -> str:
    found = glob("/usr/lib/*/faketime/libfaketime.so.1")
    found = found or [path for path in [ctypes.util.find_library("faketime")] if path]
    if not found:
        raise NotTried("libfaketime is not here")
    clock = world.folder / "clock"
    clock.write_text("+0")
    os.environ |= {
        "LD_PRELOAD": found[0],
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    try:
        server = world.serve()
    finally:
        for name in ("LD_PRELOAD", "FAKETIME_TIMESTAMP_FILE"):
            os.environ.pop(name)
    before = server.found()
    first = server.get("/v1/search?q=a+cat&limit=3")[1]
    for jump in ("+4000d", "-4000d", "+0"):
        clock.write_text(jump)
        assert server.found() == before
        status, page = server.get(f"/v1/search?q=a+cat&limit=3&cursor={first['next']}")
        assert status == 200, page
        assert page["hits"][0]["rank"] == 4
        for path in ("/healthz", "/v1/items/1/thumb", "/metrics", "/v1/info"):
            assert server.get(path)[0] == 200, path
        assert server.index()["state"] == "done"
    return "answers, cursors, small pictures and jobs as before"


@fault("folder of pictures unmounted")
def folder_away(world: World) -> str:
    server = world.serve()
    before = server.found(3)
    away = world.folder / "away"
    world.pictures.rename(away)
    assert server.found(3) == before
    told = problem(server.get("/v1/items/1/crop"), 410)
    job = server.index()
    assert server.count() == FEW, job
    assert server.found(3) == before
    away.rename(world.pictures)
    assert server.get("/v1/items/1/crop")[0] == 200
    assert server.index()["state"] == "done"
    assert server.found(3) == before
    return f"pictures stay found; crops say: {told[:60]}"


@fault("picture files deleted, cut and replaced")
def files_change(world: World) -> str:
    server = world.serve()
    before = server.found(2)
    paths = {i: server.get(f"/v1/items/{i}")[1]["path"] for i in (4, 5, 6)}
    os.unlink(paths[4])
    Path(paths[5]).write_bytes(Path(paths[5]).read_bytes()[:2000])
    shutil.copy(SAMPLES / "photo-sunset.jpg", paths[6])
    gone = problem(server.get("/v1/items/4/crop"), 410)
    problem(server.get("/v1/items/5/crop"), 422)
    assert server.get("/v1/items/6/crop")[0] == 200
    assert server.found(2) == before
    return f"says: {gone[:60]}"


@fault("database locked by another program")
def locked(world: World) -> str:
    server = world.serve()
    before = server.found()
    world.grow(3)
    other = sqlite3.connect(world.library / "library.sqlite3", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert server.found() == before
    job = server.index()
    other.execute("ROLLBACK")
    other.close()
    assert server.found()[0][0]
    again = server.index()
    assert again["state"] == "done", again
    assert server.count() == FEW + 3
    return f"searches; the job: {job['state']}, {str(job['error'])[:70]}"


@fault("cache files overwritten and deleted")
def cache_spoiled(world: World) -> str:
    world.grow(60)
    server = world.serve()
    assert server.index()["state"] == "done"
    before = server.found()
    server.get("/v1/items/1/thumb")
    spoiled = 0
    dice = random.Random(1)
    for path in world.library.rglob("*"):
        if path.is_file() and "sqlite3" not in path.name and path.suffix in (".bin", ".jpg", ""):
            with path.open("r+b") as file:
                file.write(dice.randbytes(min(5000, path.stat().st_size)))
            spoiled += 1
    for question in QUESTIONS:
        status, told = server.get(f"/v1/search?q={urllib.parse.quote(question)}")
        assert status == 200, told
    status, told = server.get("/v1/items/1/thumb")
    assert status == 200, told
    again = world.serve()
    assert again.found() == before, "the next server answers otherwise"
    shutil.rmtree(world.library / "cache")
    assert again.found() == before
    assert world.serve().found() == before
    return f"{spoiled} files spoiled; right again at the next start, and without any"


@fault("no more files may be opened")
def no_descriptors(world: World) -> str:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, hard))
    try:
        server = world.serve()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    before = server.found()
    name, port = server.server.address.removeprefix("http://").split(":")
    lines = []
    for _ in range(150):
        with contextlib.suppress(OSError):
            lines.append(socket.create_connection((name, int(port)), timeout=2))
    for line in lines:
        line.close()

    def back() -> bool:
        try:
            return server.get("/healthz", 5)[0] == 200
        except OSError:
            return False

    until(back, LONG)
    assert server.found() == before
    return f"{len(lines)} connections held open at once; answers when they end"


@fault("clients hang up in mid answer")
def hang_up(world: World) -> str:
    server = world.serve()
    before = server.found()
    name, port = server.server.address.removeprefix("http://").split(":")
    for i in range(100):
        with socket.create_connection((name, int(port))) as line:
            path = ("/v1/items?limit=5000", "/v1/items/1/crop", f"/v1/search?q=a+dog+{i}")[i % 3]
            line.sendall(f"GET {path} HTTP/1.1\r\nHost: {name}\r\n\r\n".encode())
            if i % 2:
                line.recv(100)
    assert server.found() == before
    return "100 of them; the next is answered"


@fault("SIGTERM during requests")
def end_in_good_order(world: World) -> str:
    server = world.serve()
    server.found()
    answers: list[int] = []
    began = threading.Barrier(5)

    def ask(i: int) -> None:
        began.wait()
        with contextlib.suppress(OSError):
            answers.append(server.get(f"/v1/items/{i + 1}/crop?side=4096")[0])

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    began.wait()
    until(lambda: "needlepoint_" in str(server.get("/metrics")[1]), LONG)
    code = server.server.end(signal.SIGTERM)
    for thread in threads:
        thread.join()
    assert code == 0, code
    assert all(status == 200 for status in answers), answers
    return f"{len(answers)} of 4 answered, exit code 0"


@fault("SIGTERM while indexing")
def end_while_indexing(world: World) -> str:
    world.grow(60)
    server = world.serve()
    status, job = server.post("/v1/index/jobs", {"sources": []})
    assert status == 202
    until(lambda: server.job(job["id"])["state"] != "waiting", LONG)
    began = time.monotonic()
    code = server.server.end(signal.SIGTERM)
    took = time.monotonic() - began
    assert code == 0, code
    assert "Traceback" not in "".join(server.server.said)
    again = world.serve()
    assert again.index()["state"] == "done"
    assert again.count() == FEW + 60
    return f"ends after {took:.1f} s, exit code 0; the next job completes"


@fault("another library put in its place")
def replaced(world: World) -> str:
    server = world.serve()
    server.found()
    other = world.folder / "other"
    with Library.open(other, create=True) as made:
        made.index(sorted(map(str, SAMPLES.glob("toys-*.jpg")))[:3])
    world.library.rename(world.folder / "old")
    other.rename(world.library)
    until(lambda: server.get("/healthz")[0] == 200, LONG)
    until(lambda: server.count() == 3, LONG)
    assert server.get("/v1/search?q=toys")[1]["total"] <= 3
    return "the new one is taken up"


@fault("more uploads than are kept")
def many_uploads(world: World) -> str:
    server = world.serve()
    headers = {"content-type": "image/jpeg"}
    ids = []
    for path in sorted(SAMPLES.glob("*.jpg"))[:70]:
        request = urllib.request.Request(
            server.server.address + "/v1/uploads", path.read_bytes(), headers
        )
        status, told = server.send(request)
        assert status == 201, told
        ids.append(told["question"])
    first = problem(server.get(f"/v1/search?q={urllib.parse.quote(ids[0])}"), 404)
    assert server.get(f"/v1/search?q={urllib.parse.quote(ids[-1])}")[0] == 200
    return f"the oldest says: {first[-60:]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", help="part of the name of a fault")
    args = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        template = prepared(Path(temporary) / "world")
        for name in FAULTS:
            if args.only and args.only not in name:
                continue
            began = time.monotonic()
            try:
                told, outcome = suffer(name, template), "survived"
            except NotTried as reason:
                told, outcome = str(reason), "not tried"
            except (AssertionError, OSError, TimeoutError) as error:
                told, outcome = repr(error)[:300], "did not survive"
            told = told.replace(str(template), "DIR")
            seconds = round(time.monotonic() - began, 1)
            rows.append({"fault": name, "outcome": outcome, "told": told, "seconds": seconds})
            print(rows[-1], flush=True)
    tried = [row for row in rows if row["outcome"] != "not tried"]
    survived = [row for row in tried if row["outcome"] == "survived"]
    print(f"{len(tried)} tried, {len(survived)} survived")
    if not args.only:
        print(write_rows("serve-faults", rows))


if __name__ == "__main__":
    main()

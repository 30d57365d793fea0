"""Users on a server: times by kind of request, memory, and what happens when there are too many.

    python -m venv B && B/bin/pip install -r requirements/bench.txt
    B/bin/python benchmarks/serve_load.py --library /tmp/big/library --server PYTHON

The library is one of ``big_library.py``; ``--server`` is a Python that has needlepoint. The users
are locust's: 8 of them, each waiting up to a second between requests, for ten minutes. Then 200 of
them without a pause, for half a minute, must be turned away with 429 and Retry-After where there
are too many, never by a time-out; then a single one must find the server as before.

Memory is that of the server process, sampled every two seconds; growth is the median of the last
tenth over the median of the first tenth after the warm-up (the first fifth). Resident memory
counts the mapped search files, "own" does not.
Writes ``results/serve-load-HARDWARE.csv`` and ``results/serve-load-memory-HARDWARE.csv``.
"""

from __future__ import annotations

import gevent.monkey

gevent.monkey.patch_all()

import argparse  # noqa: E402
import csv  # noqa: E402
import itertools  # noqa: E402
import os  # noqa: E402
import platform  # noqa: E402
import random  # noqa: E402
import statistics  # noqa: E402
import time  # noqa: E402
from collections import Counter, defaultdict  # noqa: E402
from pathlib import Path  # noqa: E402
from urllib.parse import quote  # noqa: E402

import gevent  # noqa: E402
from locust import FastHttpUser, between, constant, task  # noqa: E402
from locust.env import Environment  # noqa: E402

from serving import Server, serving  # noqa: E402

HERE = Path(__file__).resolve().parent
SAMPLES = sorted((HERE.parent / "samples" / "pictures").glob("*.jpg"))[:24]
THINGS = "cup dog cat lamp bicycle boat tree car chair clock bird horse bottle book".split()  # noqa: SIM905
KINDS = "red blue small old green wooden broken white tiny yellow striped dark".split()  # noqa: SIM905
WORDS = [f"a {kind} {thing}" for kind, thing in itertools.product(KINDS, THINGS)]
FILTERS = (
    "taken >= 2015-01-01",
    "rating >= 3",
    'camera = "Camera B"',
    "width > 900 and rating < 5",
    "taken >= 2010-01-01 and taken < 2013-01-01",
)
TIME_OUT = 60.0


class User(FastHttpUser):
    """Somebody who searches, looks at what was found and leafs on."""

    wait_time = between(0.0, 1.0)
    network_timeout = connection_timeout = TIME_OUT
    highest = 1

    def on_start(self) -> None:
        self.dice = random.Random(id(self))
        self.more: str | None = None
        self.found: list[int] = [1]

    def ask(self, kind: str, question: str, **more: str) -> None:
        query = "&".join(f"{k}={quote(v)}" for k, v in {"q": question, **more}.items())
        with self.client.get(f"/v1/search?{query}", name=kind, catch_response=True) as answer:
            judge(answer)
            if answer.status_code == 200:
                told = answer.json()
                self.found = [hit["id"] for hit in told["hits"]] or self.found
                follow = told["next"]
                self.more = f"/v1/search?{query}&cursor={follow}" if follow else None

    def get(self, kind: str, path: str) -> None:
        with self.client.get(path, name=kind, catch_response=True) as answer:
            judge(answer)

    def any_id(self) -> int:
        return self.dice.randint(1, self.highest)

    @task(6)
    def words(self) -> None:
        self.ask("words", self.dice.choice(WORDS))

    @task(2)
    def words_filtered(self) -> None:
        self.ask("words, filtered", self.dice.choice(WORDS), where=self.dice.choice(FILTERS))

    @task(2)
    def item(self) -> None:
        self.ask("like an item", f"@{self.any_id()}")

    @task(1)
    def piece(self) -> None:
        self.ask("like a piece", f"@{self.any_id()}#xywh=percent:25,25,40,40")

    @task(1)
    def upload(self) -> None:
        data = self.dice.choice(SAMPLES).read_bytes()
        question = ""
        headers = {"content-type": "image/jpeg"}
        with self.client.post(
            "/v1/uploads", data=data, headers=headers, name="upload", catch_response=True
        ) as answer:
            judge(answer)
            if answer.status_code == 201:
                question = answer.json()["question"]
        if question:
            self.ask("like an upload", question)

    @task(3)
    def next_page(self) -> None:
        if self.more:
            self.get("next page", self.more)
            self.more = None

    @task(12)
    def thumb(self) -> None:
        self.get("thumb", f"/v1/items/{self.dice.choice(self.found)}/thumb?side=320")

    @task(2)
    def crop(self) -> None:
        self.get("crop", f"/v1/items/{self.dice.choice(self.found)}/crop?side=1024")

    @task(2)
    def facts(self) -> None:
        self.get("facts", f"/v1/items/{self.any_id()}")

    @task(1)
    def list_items(self) -> None:
        self.get("list of 1000", "/v1/items?limit=1000&fields=brief&order=newest")

    @task(1)
    def facets(self) -> None:
        self.get("facets", f"/v1/facets?where={quote(self.dice.choice(FILTERS))}")


def judge(answer: object) -> None:
    """Right: what was asked for, or a refusal that says when to come back."""
    status = answer.status_code  # type: ignore[attr-defined]
    if status in (200, 201) or (
        status == 429 and answer.headers.get("retry-after")  # type: ignore[attr-defined]
    ):
        answer.success()  # type: ignore[attr-defined]
    else:
        text = (answer.text or "")[:200]  # type: ignore[attr-defined]
        answer.failure(f"{status} {text}")  # type: ignore[attr-defined]


class Tally:
    """Times in ms by kind and status, and what went wrong."""

    def __init__(self) -> None:
        self.times: dict[str, list[float]] = defaultdict(list)
        self.refused: Counter[str] = Counter()
        self.wrong: Counter[str] = Counter()

    def note(
        self, name: str, response_time: float, response: object, exception: object, **_: object
    ) -> None:
        if exception is not None:
            self.wrong[f"{name}: {str(exception)[:160]}"] += 1
        elif getattr(response, "status_code", 0) == 429:
            self.refused[name] += 1
        else:
            self.times[name].append(response_time)

    def rows(self, phase: str, seconds: float) -> list[dict[str, object]]:
        wrong = Counter()
        for told, count in self.wrong.items():
            wrong[told.partition(": ")[0]] += count
        rows = []
        for name in sorted({*self.times, *self.refused, *wrong}):
            times = sorted(self.times[name])
            rows.append(
                {
                    "phase": phase,
                    "kind": name,
                    "answered": len(times),
                    "refused_429": self.refused[name],
                    "errors": wrong[name],
                    **{f"p{q}_ms": round(quantile(times, q / 100), 1) for q in (50, 95, 99)},
                    "highest_ms": round(times[-1], 1) if times else "",
                    "per_second": round(len(times) / seconds, 2),
                }
            )
        return rows


def quantile(times: list[float], q: float) -> float:
    return times[min(len(times) - 1, int(q * len(times)))] if times else float("nan")


def load(server: Server, users: int, seconds: float, wait: object, samples: list[dict]) -> Tally:
    """Let some users do as they like for a while."""

    class Chosen(User):
        host = server.address
        wait_time = wait

    tally = Tally()
    environment = Environment(user_classes=[Chosen])
    environment.events.request.add_listener(tally.note)
    runner = environment.create_local_runner()
    runner.start(users, spawn_rate=max(8, users / 5))
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        gevent.sleep(2)
        now = {"users": users, "second": round(time.monotonic() - began, 1)}
        samples.append({**now, **{k: round(v, 1) for k, v in server.memory().items()}})
    runner.quit()
    return tally


def growth(samples: list[dict], of: str) -> float:
    settled = [one[of] for one in samples[len(samples) // 5 :]]
    tenth = max(1, len(settled) // 10)
    return statistics.median(settled[-tenth:]) / statistics.median(settled[:tenth]) - 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--library", type=Path, required=True)
    parser.add_argument("--server", required=True, help="a Python that has needlepoint")
    parser.add_argument("--users", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--many", type=int, default=200, help="users of the second phase")
    parser.add_argument("--many-seconds", type=float, default=30)
    args = parser.parse_args()
    rows: list[dict[str, object]] = []
    memory: list[dict] = []
    with serving(args.library, python=args.server) as server:
        import urllib.request

        with urllib.request.urlopen(server.address + "/v1/info", timeout=TIME_OUT) as told:
            import json

            User.highest = json.load(told)["pictures"] - 100
        calm: list[dict] = []
        phases = (
            (f"{args.users} users", args.users, args.seconds, between(0.0, 1.0), calm),
            (f"{args.many} users", args.many, args.many_seconds, constant(0), memory),
            ("1 user, afterwards", 1, 20.0, between(0.0, 0.2), memory),
        )
        for phase, users, seconds, wait, samples in phases:
            tally = load(server, users, seconds, wait, samples)
            rows += tally.rows(phase, seconds)
            print(f"\n{phase}, load {os.getloadavg()[0]:.1f}")
            for row in rows[-len(tally.rows(phase, seconds)) :]:
                print("  ", {k: v for k, v in row.items() if k != "phase"})
            print("   errors:", dict(tally.wrong))
            rows[-1]["load"] = round(os.getloadavg()[0], 1)
        for of in ("rss_mb", "own_mb"):
            first, last = calm[len(calm) // 5][of], calm[-1][of]
            print(f"{of}: {first} to {last}, growth {growth(calm, of):+.1%}")
        print("server said:", "".join(server.said)[-2000:])
    write("serve-load", rows)
    write("serve-load-memory", calm + memory)


def write(name: str, rows: list[dict]) -> None:
    """As ``common.write_rows``, which needs needlepoint where this program does not."""
    target = HERE / "results" / f"{name}-{os.cpu_count()}-core-{platform.machine().lower()}.csv"
    columns = list(dict.fromkeys(key for row in rows for key in row))
    with target.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n", restval="")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()

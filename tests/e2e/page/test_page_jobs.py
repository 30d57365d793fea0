"""The indexing panel: started, followed while it runs, stopped, and read afterwards."""

from __future__ import annotations

import shutil
from pathlib import Path
from uuid import uuid4

import pytest
from playwright.sync_api import expect
from views_kit import Views

from page_pictures import SAMPLES


@pytest.fixture
def root(views: Views) -> Path:
    """The folder that the library is of."""
    return Path(views.api("/v1/info")["roots"][0]["path"])


def open_panel(views: Views) -> None:
    """Open the panel and wait for its form."""
    views.go("?side=jobs", ".jobs-form button")


def look(views: Views) -> str:
    """Look for changes and wait for the end of that run, whose number is given."""
    before = views.state("job")
    views.page.get_by_role("button", name="Look for changes").click()
    views.page.wait_for_function(
        "job => ![null, job].includes(new URLSearchParams(location.search).get('job'))", arg=before
    )
    expect(views.page.locator(".jobs-state")).to_contain_text("Done")
    return views.state("job")


def test_a_run_tells_what_it_added_and_what_it_left_out_and_why(views: Views, root: Path) -> None:
    whole = (SAMPLES / "pictures" / "photo-cat.jpg").read_bytes()
    fresh = uuid4()  # what a first try has left is known to the library
    added, broken = root / f"added-{fresh}.jpg", root / f"broken-{fresh}.jpg"
    added.write_bytes(whole + fresh.bytes)
    broken.write_bytes(whole[:1500])
    open_panel(views)
    try:
        job = views.api(f"/v1/index/jobs/{look(views)}")
        report = views.page.locator(".jobs-report")
        expect(report.locator("div", has_text="added")).to_contain_text("1")
        same = job["report"]["unchanged"]  # whatever other tests have left there
        assert same > 30
        expect(report.locator("div", has_text="unchanged")).to_contain_text(str(same))
        left = views.page.locator(".jobs-reasons[data-what=skipped]")
        expect(left.locator("summary")).to_have_text("1 left out")
        expect(left.locator("li")).to_contain_text(broken.name)
        expect(left.locator("li")).to_contain_text(job["report"]["skipped"][0][1])
        now = views.api("/v1/info")["pictures"]
        expect(views.page.locator("#tools .summary")).to_contain_text(str(now))
    finally:
        added.unlink()
        broken.unlink()


def test_progress_is_live_and_a_run_can_be_stopped(views: Views, root: Path) -> None:
    more = root / "more"
    shutil.copytree(SAMPLES / "pictures", more)
    open_panel(views)
    # only events move the panel: the server is not asked again
    asked: list[str] = []
    views.page.on("request", lambda request: asked.append(request.url))
    try:
        views.page.get_by_role("button", name="Look for changes").click()
        stop = views.page.get_by_role("button", name="Stop")
        views.page.wait_for_function(
            "() => document.querySelector('.jobs-progress progress')?.value > 0"
        )
        stop.click()
        expect(views.page.locator(".jobs-state")).to_contain_text("Stopped")
        assert sum("/events" in url for url in asked) == 1
        assert not [url for url in asked if "/v1/index/jobs/" in url and "/events" not in url][1:]
    finally:
        shutil.rmtree(more)


def test_a_folder_that_may_not_be_indexed_is_refused_in_words(views: Views) -> None:
    open_panel(views)
    views.page.get_by_label("Another folder, as the server sees it").fill("/etc")
    views.page.get_by_role("button", name="Look for changes").click()
    expect(views.page.locator(".notice")).to_contain_text("/etc")


def test_an_earlier_run_can_be_read_again(views: Views) -> None:
    open_panel(views)
    runs = [look(views), look(views)]
    views.page.locator(".jobs-run").first.click()
    views.page.wait_for_function(
        "job => new URLSearchParams(location.search).get('job') === job", arg=runs[0]
    )
    expect(views.page.locator(".jobs-state")).to_contain_text("Done")

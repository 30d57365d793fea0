"""The comparison of two listings against a slow model, and the stories it must get right."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from needlepoint.errors import PictureError
from needlepoint.intake.changes import Known, Plan, digest, plan
from needlepoint.intake.walk import Found

# A file is (content, mtime); its size is its content's length, so equal content has equal size.
Files = dict[str, tuple[str, int]]


def size_of(content: str) -> int:
    return len(content)


def known_from(files: Files, start: int = 1) -> dict[str, Known]:
    return {
        path: Known(start + i, size_of(content), mtime, content.encode())
        for i, (path, (content, mtime)) in enumerate(sorted(files.items()))
    }


def found_from(files: Files) -> list[Found]:
    return [Found(path, size_of(content), mtime) for path, (content, mtime) in files.items()]


def run(before: Files, after: Files) -> tuple[Plan, list[str]]:
    read: list[str] = []

    def digest_of(file: Found) -> bytes:
        read.append(file.path)
        return after[file.path][0].encode()

    return plan(known_from(before), found_from(after), digest_of), read


def told(result: Plan) -> dict[str, object]:
    return {
        "new": [f.path for f in result.new],
        "changed": [(i, f.path) for i, f in result.changed],
        "moved": [(i, f.path) for i, f in result.moved],
        "touched": [(i, f.path) for i, f in result.touched],
        "missing": result.missing,
        "unchanged": result.unchanged,
    }


def story(before: Files, after: Files, **wanted: object) -> None:
    blank = {"new": [], "changed": [], "moved": [], "touched": [], "missing": [], "unchanged": 0}
    assert told(run(before, after)[0]) == blank | wanted


A, B, C = ("aaa", 1), ("bbb", 2), ("ccccc", 3)


class TestStories:
    def test_nothing(self) -> None:
        story({}, {})
        story({"a": A, "b": B}, {"a": A, "b": B}, unchanged=2)

    def test_first_time(self) -> None:
        story({}, {"b": B, "a": A}, new=["a", "b"])

    def test_deletion(self) -> None:
        story({"a": A, "b": B}, {"b": B}, missing=[1], unchanged=1)

    def test_touched(self) -> None:
        story({"a": A}, {"a": ("aaa", 9)}, touched=[(1, "a")])

    def test_changed_with_and_without_another_size(self) -> None:
        story({"a": A}, {"a": ("aab", 9)}, changed=[(1, "a")])
        story({"a": A}, {"a": ("aabb", 9)}, changed=[(1, "a")])
        story({"a": A}, {"a": ("aabb", 1)}, changed=[(1, "a")])

    def test_rename(self) -> None:
        story({"a": A}, {"z/a": A}, moved=[(1, "z/a")])
        story({"a": A}, {"b": ("aaa", 77)}, moved=[(1, "b")])

    def test_change_of_case(self) -> None:
        story({"Img.JPG": A}, {"img.jpg": A}, moved=[(1, "img.jpg")])

    def test_swap(self) -> None:
        story({"a": A, "b": B}, {"a": B, "b": A}, moved=[(2, "a"), (1, "b")])
        story({"a": A, "b": C}, {"a": C, "b": A}, moved=[(2, "a"), (1, "b")])

    def test_circle(self) -> None:
        story(
            {"a": A, "b": B, "c": C},
            {"a": C, "b": A, "c": B},
            moved=[(3, "a"), (1, "b"), (2, "c")],
        )

    def test_chain(self) -> None:
        story(
            {"1": A, "2": B, "3": C},
            {"2": A, "3": B, "4": C},
            moved=[(1, "2"), (2, "3"), (3, "4")],
        )

    def test_one_of_two_copies_moved(self) -> None:
        story({"a": A, "b": A}, {"a": A, "c": A}, moved=[(2, "c")], unchanged=1)

    def test_both_copies_moved_keep_their_names_where_they_can(self) -> None:
        story(
            {"a/x": A, "a/y": A}, {"b/y": A, "c/x": A, "d/z": A},
            moved=[(2, "b/y"), (1, "c/x")], new=["d/z"],
        )  # fmt: skip

    def test_a_copy_is_new(self) -> None:
        story({"a": A}, {"a": A, "b": A}, new=["b"], unchanged=1)

    def test_moved_over_another(self) -> None:
        story({"a": A, "b": B}, {"b": ("aaa", 1)}, moved=[(1, "b")], missing=[2])
        story({"a": A, "c": C}, {"c": ("aaa", 1)}, moved=[(1, "c")], missing=[2])

    def test_copied_over_another(self) -> None:
        story({"a": A, "c": C}, {"a": A, "c": ("aaa", 9)}, changed=[(2, "c")], unchanged=1)

    def test_moved_away_and_replaced(self) -> None:
        story({"a": A}, {"a": ("new", 5), "old/a": A}, moved=[(1, "old/a")], new=["a"])

    def test_never_hashed_before(self) -> None:
        known = {"a": Known(1, 3, 1, b""), "b": Known(2, 3, 1, b"")}
        found = [Found("a", 3, 9), Found("c", 3, 1)]
        assert told(plan(known, found, lambda file: b"x")) == {
            "new": ["c"], "changed": [(1, "a")], "moved": [], "touched": [], "missing": [2],
            "unchanged": 0,
        }  # fmt: skip

    @pytest.mark.parametrize("error", [OSError("gone"), PictureError("x", "gone")])
    def test_files_that_cannot_be_read(self, error: Exception) -> None:
        def digest_of(file: Found) -> bytes:
            raise error

        known = known_from({"a": A, "b": B})
        got = plan(known, [Found("a", 3, 9), Found("c", 3, 2)], digest_of)
        assert told(got)["changed"] == [(1, "a")]
        assert told(got)["new"] == ["c"]
        assert got.missing == [2]
        assert got.digests == {}


def test_only_what_matters_is_read() -> None:
    before = {"same": ("one", 1), "gone": ("four", 1), "touched": ("fives", 1)}
    after = {
        "same": ("one", 1), "touched": ("fives", 2), "new": ("seventy", 1), "maybe": ("4444", 1),
    }  # fmt: skip
    result, read = run(before, after)
    assert sorted(read) == ["maybe", "touched"]
    assert result.digests == {"maybe": b"4444", "touched": b"fives"}


def test_many_equal_files_are_quick() -> None:
    before = {f"a/{i}": A for i in range(20_000)}
    after = {f"b/{i}": A for i in range(20_000)}
    result, _ = run(before, after)
    names = {old.id: path for path, old in known_from(before).items()}
    assert all(names[i][2:] == file.path[2:] for i, file in result.moved)
    assert len(result.moved) == 20_000


def model(before: Files, after: Files) -> dict[str, object]:
    """Slow restatement by content: who is at home, who finds its content elsewhere, who is left."""
    known = known_from(before)
    told: dict[str, object] = {"unchanged": set(), "touched": set()}
    settled_ids, settled_paths = set(), set()
    for path in sorted(after):
        if path in before:
            (old, old_time), (new, new_time) = before[path], after[path]
            trusted = size_of(old) == size_of(new) and old_time == new_time
            if trusted or old == new:
                key = "unchanged" if trusted else "touched"
                told[key].add(path)  # type: ignore[attr-defined]
                settled_ids.add(known[path].id)
                settled_paths.add(path)
    movers: Counter[str] = Counter()
    for content in {c for c, _ in before.values()}:
        owners = [
            p for p, (c, _) in before.items() if c == content and known[p].id not in settled_ids
        ]
        places = [p for p, (c, _) in after.items() if c == content and p not in settled_paths]
        movers[content] = min(len(owners), len(places))
    told["movers"] = +movers
    return told


contents = st.sampled_from(["a", "b", "cc", "dd", "ee", "ff", "ggg"])
trees = st.dictionaries(
    st.sampled_from(["1", "2", "3", "4", "x/1", "x/2", "y/1"]),
    st.tuples(contents, st.integers(1, 3)),
    max_size=7,
)


@settings(max_examples=600, deadline=None)
@given(before=trees, after=trees)
def test_against_the_model(before: Files, after: Files) -> None:
    result, read = run(before, after)
    known = known_from(before)
    wanted = model(before, after)

    # every found file and every known id stands exactly once
    listed = result.changed + result.moved + result.touched
    stay = [p for p in after if p in wanted["unchanged"]]  # type: ignore[operator]
    assert result.unchanged == len(stay)
    paths = [f.path for f in result.new] + [f.path for _, f in listed] + stay
    assert sorted(paths) == sorted(after)
    ids = [i for i, _ in listed] + result.missing + [known[p].id for p in stay]
    assert sorted(ids) == sorted(k.id for k in known.values())

    by_id = {old.id: (path, before[path][0]) for path, old in known.items()}
    assert {f.path for _, f in result.touched} == wanted["touched"]
    assert Counter(by_id[i][1] for i, _ in result.moved) == wanted["movers"]
    for i, file in result.moved:
        assert by_id[i][1] == after[file.path][0]
        assert by_id[i][0] != file.path
    for i, file in result.changed:
        assert by_id[i][0] == file.path
        assert by_id[i][1] != after[file.path][0]
    moved = {i for i, _ in result.moved}
    for file in result.new:
        assert file.path not in known or known[file.path].id in moved
    for i in result.missing:
        path = by_id[i][0]
        # its path is gone, or now holds a picture that came from elsewhere
        assert path not in after or path in {f.path for _, f in result.moved}
    assert len(read) == len(set(read))


@settings(max_examples=200, deadline=None)
@given(before=trees, after=trees, data=st.data())
def test_order_of_the_listing_does_not_matter(
    before: Files, after: Files, data: st.DataObject
) -> None:
    shuffled = dict(data.draw(st.permutations(list(after.items()))))
    assert told(run(before, after)[0]) == told(run(before, shuffled)[0])


@settings(max_examples=200, deadline=None)
@given(before=trees, after=trees)
def test_a_plan_carried_out_leaves_nothing_to_do(before: Files, after: Files) -> None:
    result, _ = run(before, after)
    known, fresh = known_from(before), 1000
    library = {p: k for p, k in known.items() if p in after}
    for i, file in result.changed + result.moved + result.touched:
        library[file.path] = Known(i, file.size, file.mtime_ns, after[file.path][0].encode())
    for file in result.new:
        fresh += 1
        library[file.path] = Known(fresh, file.size, file.mtime_ns, after[file.path][0].encode())
    again = plan(library, found_from(after), lambda f: pytest.fail("nothing should be read"))
    assert again.unchanged == len(after)
    assert told(again)["new"] == told(again)["missing"] == told(again)["moved"] == []


def test_digest(tmp_path) -> None:
    from hashlib import blake2b

    data = bytes(range(256)) * 9000
    (tmp_path / "a").write_bytes(data)
    assert digest(tmp_path / "a") == blake2b(data, digest_size=16).digest()
    with pytest.raises(PictureError, match="gone"):
        digest(tmp_path / "b")
    with pytest.raises(PictureError, match="folder"):
        digest(tmp_path)

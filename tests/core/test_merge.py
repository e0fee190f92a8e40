"""Three-way merge of plain values."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_middleware.codecs.msgpack import MsgpackCodec
from openclaw_middleware.core.merge import MISSING, merge

encode = MsgpackCodec().encode


def same(one: Any, other: Any) -> bool:
    if one is MISSING or other is MISSING:
        return one is other
    return encode(one) == encode(other)


def merged(base: Any, mine: Any, theirs: Any) -> tuple[Any, list[str]]:
    paths: list[str] = []
    return merge(base, mine, theirs, same=same, collided=paths.append, path="k"), paths


@pytest.mark.parametrize(
    ("base", "mine", "theirs", "result"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, {"a": 1, "c": 3}, {"a": 1, "c": 3, "b": 2}),
        ({"a": 1}, {}, {"a": 1, "c": 3}, {"c": 3}),
        ({"a": {"x": 1}}, {"a": {"x": 1, "y": 2}}, {"a": {"x": 5}}, {"a": {"x": 5, "y": 2}}),
        ([1], [1, 2], [1, 3], [1, 3, 2]),
        ([1], [1, 2], [], [2]),
        ([1], [1, 2], [1, 2], [1, 2, 2]),
        (MISSING, [1], [2], [2, 1]),
        (MISSING, [1], [1], [1]),
        (MISSING, {"a": 1}, {"b": 2}, {"b": 2, "a": 1}),
        ({1, 2}, {1, 2, 3}, {2}, {2, 3}),
        (1, 2, 1, 2),
        (1, 1, 2, 2),
        (1, 2, 2, 2),
    ],
)
def test_what_two_changes_lead_to_without_a_collision(
    base: Any, mine: Any, theirs: Any, result: Any
) -> None:
    """Disjoint changes both survive."""
    assert merged(base, mine, theirs) == (result, [])


@pytest.mark.parametrize(
    ("base", "mine", "theirs", "result", "path"),
    [
        (1, 2, 3, 2, "k"),
        (1, "1", 3, "1", "k"),
        ([1, 2], [1], [1, 2, 3], [1], "k"),
        ({"a": 1}, {"a": 2}, {"a": 3}, {"a": 2}, "k.a"),
        ({"a": 1}, {"a": 2}, MISSING, MISSING, "k"),
        ([1], [1, 2], MISSING, MISSING, "k"),
        ({"a": [1]}, {"a": [1, 2]}, {}, {}, "k.a"),
        ({"a": 1}, {}, {"a": 2}, {}, "k.a"),
    ],
)
def test_a_true_collision_is_won_by_the_later_and_told(
    base: Any, mine: Any, theirs: Any, result: Any, path: str
) -> None:
    """The last commit wins one value; a change inside what was deleted is dropped."""
    assert merged(base, mine, theirs) == (result, [path])


values = st.recursive(
    st.integers(-3, 3) | st.text("ab", max_size=2) | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("xyz", max_size=1), inner),
    max_leaves=6,
)
mappings = st.dictionaries(st.text("pqr", min_size=1, max_size=1), values, max_size=3)


@given(mappings, mappings)
def test_a_change_nobody_met_arrives_as_it_is(base: dict[str, Any], mine: dict[str, Any]) -> None:
    """With nobody else writing, the merge is what I wrote."""
    assert same(merged(base, mine, base)[0], mine) or base == mine


@given(mappings, mappings)
def test_no_change_of_mine_leaves_theirs(base: dict[str, Any], theirs: dict[str, Any]) -> None:
    """With nothing changed by me, the merge is what they wrote."""
    assert same(merged(base, base, theirs)[0], theirs)


@given(mappings, mappings, mappings)
def test_keys_only_one_side_changed_keep_that_change(
    base: dict[str, Any], mine: dict[str, Any], theirs: dict[str, Any]
) -> None:
    """No lost update: whatever the rest does, a key changed on one side only has that value."""
    result, _ = merged(base, mine, theirs)
    if same(mine, theirs) or result is MISSING:
        return
    for key in {*base, *mine, *theirs}:
        start, ours, other = (side.get(key, MISSING) for side in (base, mine, theirs))
        if same(start, other) and not same(start, ours):
            assert same(result.get(key, MISSING), ours)
        if same(start, ours) and not same(start, other):
            assert same(result.get(key, MISSING), other)

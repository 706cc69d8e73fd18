"""What every filter promises: the rules by hand, and the same decisions as the scalar reference."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from multiprocessing import shared_memory
from pathlib import Path
from typing import Any

import feedback_batches
import numpy as np
import pytest
import yaml
from feedback_batches import NARROW, NOW, SETTINGS, batch, hostile
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_lab import wiring
from rag_lab.errors import ConfigError, DataError, RagLabError
from rag_lab.l4_feedback import steps, users
from rag_lab.l4_feedback.feedback import MAX_ITEMS, FeedbackBatch, Filter, Filtered, Reason
from rag_lab.l4_feedback.filters import jitted
from rag_lab.l4_feedback.filters.pool import Pool
from rag_lab.l4_feedback.filters.scalar import Scalar

CONF = Path(__file__).resolve().parents[3] / "conf" / "filter"
VARIANTS = sorted(file.stem for file in CONF.glob("*.yaml") if file.stem != "none")
KEPT, INVALID, DUPLICATE, SIGMA, ROBUST, LOW = Reason


def built(name: str, given: Any = SETTINGS) -> Filter:
    node = yaml.safe_load((CONF / f"{name}.yaml").read_text(encoding="utf-8"))
    return wiring.build(node | given._asdict(), "filter")


@pytest.fixture(scope="module")
def every() -> Iterator[dict[str, Filter]]:
    """All filters with SETTINGS, built from their YAML as a run builds them."""
    filters = {name: built(name) for name in VARIANTS}
    yield filters
    for each in filters.values():
        each.close()


@pytest.fixture(params=VARIANTS)
def one(request: pytest.FixtureRequest, every: dict[str, Filter]) -> Filter:
    return every[request.param]


def reasons(found: Filtered) -> list[Reason]:
    return [Reason(code) for code in found.reason]


def unlike(found: Filtered, expected: Filtered, given: FeedbackBatch, values: Any = SETTINGS) -> str:
    """How a result differs from the reference, apart from items within one part in 10⁵ of a threshold."""
    for result in (found, expected):
        assert (result.weight.dtype, result.keep.dtype, result.reason.dtype) == (np.float32, bool, np.int8)
        assert len(result.weight) == len(result.keep) == len(result.reason) == len(given.user)
        assert (result.keep == (result.reason == KEPT)).all()
        assert (result.weight[~result.keep] == 0).all()
        assert ((result.weight >= 0) & (result.weight <= 1)).all()
    differing = found.reason != expected.reason
    if differing.any():  # rare: see who is on a threshold
        for name in ("min_trust", "sigma_limit", "robust_limit"):
            for factor in (1 - 1e-5, 1 + 1e-5):
                moved = Scalar(values._replace(**{name: getattr(values, name) * factor})).weigh(given, NOW)
                differing &= moved.reason == expected.reason
    if differing.any():
        place = int(np.flatnonzero(differing)[0])
        return f"item {place}: {Reason(found.reason[place])!r} for {Reason(expected.reason[place])!r}"
    same = found.reason == expected.reason
    error = np.abs(found.weight - expected.weight)[same]
    if (error > 1e-5 * expected.weight[same] + 1e-7).any():
        return f"a weight differs by {error.max()}"
    return ""


# The rules, one by one, in every variant.


def test_no_items(one: Filter) -> None:
    found = one.weigh(batch([]), NOW)
    assert [len(column) for column in found] == [0, 0, 0]


def test_a_single_item_is_believed_as_far_as_the_prior_goes(one: Filter) -> None:
    """0.7 is 717 parts of 1,024 (rounded); attention is 1, depth is reached, and no time has passed."""
    found = one.weigh(batch([{}]), NOW)
    assert reasons(found) == [KEPT]
    assert found.weight[0] == pytest.approx(717 / 1024)


def test_weight_by_hand(one: Filter) -> None:
    """Dwell of 5 s: 1 − 1/e; position 4 of 10 with severity ½: √0.4; 30 days old: a half."""
    found = one.weigh(batch([{"dwell_s": 5.0, "position": 4, "time_s": NOW - 30 * 86_400}]), NOW)
    assert found.weight[0] == pytest.approx(717 / 1024 * (1 - math.exp(-1)) * math.sqrt(0.4) * 0.5)


def test_all_equal(one: Filter) -> None:
    """12 agreements and 20 that the prior is worth make (12 · 1024 + 20 · 717)/32 = 832 parts of 1,024 for all;
    one's own and 4 of theirs (1024 + 4 · 832)/5 = 870.
    """
    found = one.weigh(batch([{"user": number, "query": number % 3} for number in range(12)]), NOW)
    assert set(reasons(found)) == {KEPT}
    np.testing.assert_allclose(found.weight, 870 / 1024)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        *[("rating", value) for value in (math.nan, math.inf, -math.inf, -0.01, 1.01)],
        *[("time_s", value) for value in (math.nan, math.inf, -math.inf, NOW + 300.5)],
        *[("dwell_s", value) for value in (math.nan, math.inf, -0.5)],
        *[("domain", value) for value in (-2, 256, 2**31 - 1)],
        *[("user", -1), ("query", -1), ("position", 0), ("position", -4)],
    ],
)
def test_what_is_not_a_sound_number_is_invalid(one: Filter, column: str, value: float) -> None:
    """And it changes nothing for the others."""
    others = [{"user": number, "query": 1, "rating": number / 4} for number in range(5)]
    found = one.weigh(batch([*others, {"user": 9, "query": 1, column: value}]), NOW)
    assert reasons(found)[-1] == INVALID
    np.testing.assert_array_equal(found.weight[:-1], one.weigh(batch(others), NOW).weight)


def test_a_clock_a_little_ahead_counts_as_now(one: Filter) -> None:
    ahead, now = (one.weigh(batch([{"time_s": time_s}]), NOW) for time_s in (NOW + 300, NOW))
    assert ahead.weight[0] == now.weight[0] and ahead.keep[0]


def test_very_old_feedback_is_kept_and_worth_nothing(one: Filter) -> None:
    found = one.weigh(batch([{"time_s": -1e300}]), NOW)
    assert reasons(found) == [KEPT] and found.weight[0] == 0


def test_of_duplicates_the_first_is_kept(one: Filter) -> None:
    """The same user, query and time; what was said does not matter. Another time is another item."""
    rows = [{}, {"rating": 0.9}, {"time_s": NOW - 1e-6}, {"user": 1}, {"query": 1}, {}]
    assert reasons(one.weigh(batch(rows), NOW)) == [KEPT, DUPLICATE, KEPT, KEPT, KEPT, DUPLICATE]


def test_an_invalid_item_has_no_duplicates(one: Filter) -> None:
    rows = [{"rating": math.nan}, {}, {}]
    assert reasons(one.weigh(batch(rows), NOW)) == [INVALID, KEPT, DUPLICATE]


def test_zero_and_minus_zero_are_one_time(one: Filter) -> None:
    assert reasons(one.weigh(batch([{"time_s": 0.0}, {"time_s": -0.0}]), NOW)) == [KEPT, DUPLICATE]


def test_too_little_attention(one: Filter) -> None:
    """717/1024 · (1 − exp(−dwell/5)) passes 0.2503 between 2.2 and 2.3 seconds."""
    rows = [{"user": number, "query": number, "dwell_s": dwell_s} for number, dwell_s in enumerate((0.0, 2.2, 2.3))]
    assert reasons(one.weigh(batch(rows), NOW)) == [LOW, LOW, KEPT]


def known(answers: int = 30) -> list[dict[str, Any]]:
    """What makes users 0 to 3 reliable: in domain 0 they agree on good and bad answers."""
    return [{"user": user, "query": query, "rating": float(query % 2)} for query in range(answers) for user in range(4)]


def answers(ratings: list[tuple[float, float, float]], domain: int, first: int = 1000) -> list[dict[str, Any]]:
    """Answers that users 0, 1 and 2 rate, numbered from `first` on."""
    return [
        {"user": user, "query": first + number, "rating": rating, "domain": domain}
        for number, each in enumerate(ratings)
        for user, rating in enumerate(each)
    ]


CALM = [(0.5, 0.5, 0.5), (0.5, 0.51, 0.5), (0.5, 0.5, 1.0)]
WILD = [(0.0, 0.5, 1.0), (1.0, 0.0, 0.5), (0.5, 1.0, 0.0), (0.0, 1.0, 0.5)]


def test_sigma_cannot_fire_below_eleven_items_and_robust_z_can(one: Filter) -> None:
    """Nine differences: three 0, three ±1 grain, then -32, -32 and 64. MAD is 1, so the last three have a
    robust z of 0.6745 · 32 = 21.6 and more; the plain z of nine is at most 8/3.
    """
    found = reasons(one.weigh(batch(known() + answers(CALM, 1)), NOW))
    assert found[-3:] == [ROBUST] * 3 and found[:-3] == [KEPT] * (len(found) - 3)


def test_where_most_differences_are_equal_the_mean_deviation_decides(one: Filter) -> None:
    """Six times 0, -32, -32 and 64: MAD is 0, the mean of |x| 128/9, z 64/(1.2533 · 14.2) = 3.59 and half that."""
    found = reasons(one.weigh(batch(known() + answers([CALM[0], CALM[0], CALM[2]], 1)), NOW))
    assert found[-1] == ROBUST and found[:-1] == [KEPT] * (len(found) - 1)


def test_three_sigma_in_a_large_domain(one: Filter) -> None:
    """120 differences, all 0 but where one user says the opposite: 128 grains for it, and a third for the rest."""
    rows = known()
    rows[41]["rating"] = 1 - rows[41]["rating"]
    found = reasons(one.weigh(batch(rows), NOW))
    assert found[41] == SIGMA and found[40] == found[42] == found[43] != KEPT
    assert found.count(KEPT) == 116


def test_the_unknown_domain_is_a_group_of_its_own(one: Filter) -> None:
    """A difference that is nothing among the wild ones of domain 1 is an outlier among the calm ones of -1."""
    apart, together = (
        reasons(one.weigh(batch(known(60) + answers(WILD, 1) + answers(CALM, domain, 2000)), NOW)) for domain in (-1, 1)
    )
    assert apart[-1] == ROBUST and together[-1] == KEPT


def crowd(liar: list[float], count: int = 12) -> FeedbackBatch:
    """Four users who agree on good and bad answers, and one who says what is given."""
    rows = []
    for query in range(count):
        rows += [{"user": user, "query": query, "rating": float(query % 2)} for user in range(4)]
        rows.append({"user": 4, "query": query, "rating": liar[query % len(liar)]})
    return batch(rows)


@pytest.mark.parametrize("liar", [[1.0], [0.0], [0.5], [1.0, 0.0], [1.0, 1.0, 0.0, 0.0]])
def test_whoever_agrees_no_more_than_by_chance_is_not_trusted(one: Filter, liar: list[float]) -> None:
    """Always the same, the opposite, or something unrelated: all half the scale off or more, and all dropped."""
    found = one.weigh(crowd(liar), NOW)
    assert (found.reason[4::5] == LOW).all()
    assert all(found.keep[number::5].all() for number in range(4))


def test_honest_users_gain_trust(one: Filter) -> None:
    found = one.weigh(crowd([0.0, 1.0]), NOW)
    assert found.keep.all() and found.weight.min() > 0.9


def test_where_nearly_everything_is_good_the_honest_are_believed(one: Filter) -> None:
    """They agree no more than two who say "good" blindly would, and yet nothing speaks against them."""
    rows = [
        {"user": user, "query": query, "rating": 0.0 if user == 4 else 1.0 - 0.05 * ((user + query) % 3)}
        for query in range(30)
        for user in range(5)
    ]
    found = one.weigh(batch(rows), NOW)
    assert (found.reason[4::5] == LOW).all()
    assert found.keep.sum() == 120 and found.weight[found.keep].min() > 0.8


def test_a_second_reading_takes_the_liars_out_of_the_means(one: Filter) -> None:
    """Five honest users and two who say the opposite, on 12 answers. The others' mean is 43 grains from each
    honest rating: 12 · (64 − 43) of 12 · 64 make the honest trusted, at 295 parts of 1,024 (shrunk), and nobody
    else. Without the liars nothing is left to disagree with: everyone's reliability becomes 492, that of the
    honest (12 · 1024 + 4 · 492)/16.
    """
    rows = [
        {"user": user, "query": query, "rating": float((query + (user > 4)) % 2)}
        for query in range(12)
        for user in range(7)
    ]
    found = one.weigh(batch(rows), NOW)
    assert reasons(found) == ([KEPT] * 5 + [LOW] * 2) * 12
    np.testing.assert_allclose(found.weight[found.keep], 891 / 1024)


def test_whoever_meets_no_trusted_other_keeps_the_first_reading(one: Filter) -> None:
    """Two who contradict each other, and meet nobody else, are not believed for want of a trusted other."""
    rows = [{"user": user, "query": 100 + query, "rating": float(user % 2)} for query in range(12) for user in (8, 9)]
    found = one.weigh(batch(known() + rows), NOW)
    assert (found.reason[-24:] == LOW).all() and found.keep[:-24].all()


def test_the_last_domain_there_may_be(one: Filter) -> None:
    near = crowd([1.0])
    far = near._replace(domain=np.full(len(near.user), 255, np.int32))
    np.testing.assert_array_equal(one.weigh(far, NOW).weight, one.weigh(near, NOW).weight)


def test_ids_may_be_sparse(one: Filter) -> None:
    """Row numbers near 2³¹ cost no more memory than small ones, and say the same."""
    near = crowd([1.0])
    far = near._replace(user=near.user * 400_000_000, query=2**31 - 1 - near.query)
    for mine, theirs in zip(one.weigh(far, NOW), one.weigh(near, NOW), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_the_batch_is_left_as_it_was(one: Filter) -> None:
    given = hostile(np.random.default_rng(3))
    before = [column.copy() for column in given]
    one.weigh(given, NOW)
    for column, copy in zip(given, before, strict=True):
        np.testing.assert_array_equal(column, copy)


def test_other_types_and_strides_are_taken(one: Filter) -> None:
    given = crowd([1.0])
    loose = FeedbackBatch(
        *(np.repeat(column.astype(np.int64 if column.dtype.kind == "i" else np.float64), 2)[::2] for column in given)
    )
    np.testing.assert_array_equal(one.weigh(loose, NOW).weight, one.weigh(given, NOW).weight)


def test_what_cannot_be_a_batch(one: Filter) -> None:
    given = crowd([1.0])
    with pytest.raises(DataError, match=r"^feedback: columns of \[59, 60\] items; all have the same number$"):
        one.weigh(given._replace(rating=given.rating[1:]), NOW)
    with pytest.raises(DataError, match=r"^feedback: user is float32\[60\]; give int32\[N\]$"):
        one.weigh(given._replace(user=given.rating), NOW)
    with pytest.raises(DataError, match=r"^feedback: query holds numbers beyond int32"):
        one.weigh(given._replace(query=given.query.astype(np.int64) + 2**40), NOW)
    with pytest.raises(DataError, match=r"^now is nan; give the time"):
        one.weigh(given, math.nan)
    many = np.zeros(MAX_ITEMS + 1, np.int8)
    with pytest.raises(DataError, match=r"^feedback: 4,194,305 items; at most 4,194,304: weigh a longer log in parts$"):
        one.weigh(FeedbackBatch(many, many, many, many, many, many, many), NOW)


# Agreement.


@pytest.mark.parametrize(
    ("batches", "pool_rests"),
    [pytest.param(400, 20, id="some"), pytest.param(10_000, 0, id="ten-thousand", marks=pytest.mark.soak)],
)
def test_hostile_batches(batches: int, pool_rests: int) -> None:
    """Every variant says of every item what the reference says, with either settings in turn; of some batches only
    every so many go to the pool, which is slow on few items. All ten thousand:
    `pytest -m soak tests/unit/l4_feedback/test_filters.py`.
    """
    sets = SETTINGS, NARROW
    filters = [{name: built(name, values) for name in VARIANTS} for values in sets]
    random = np.random.default_rng(0)
    seen = np.zeros(len(Reason), np.int64)
    try:
        for number in range(batches):
            given, values, every = hostile(random, 24), sets[number % 2], filters[number % 2]
            expected = every["scalar"].weigh(given, NOW)
            seen += np.bincount(expected.reason, minlength=len(seen))
            for name, filter in every.items():
                if name != "pool" or number % (pool_rests + 1) == 0:
                    problem = unlike(filter.weigh(given, NOW), expected, given, values)
                    assert not problem, f"batch {number}, {name}: {problem}\n{given}"
    finally:
        for each in filters:
            each["pool"].close()
    assert (seen > batches / 400).all(), seen  # every reason was met, or this test shows little


@pytest.mark.parametrize("items", [3_000, 35_000])
def test_large_batches(every: dict[str, Filter], items: int) -> None:
    """Longer than a block of the vectorized filter, and unevenly cut between workers."""
    random = np.random.default_rng(items)
    parts = [hostile(random, 60) for _ in range(items // 30)]
    given = FeedbackBatch(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
    shift = np.repeat(np.arange(len(parts)) // 7, [len(part.user) for part in parts]).astype(np.int32)
    given = given._replace(query=np.where(given.query < 1000, given.query + 10 * shift, given.query))
    expected = every["scalar"].weigh(given, NOW)
    for name in VARIANTS:
        problem = unlike(every[name].weigh(given, NOW), expected, given)
        assert not problem, f"{name}: {problem}"


@pytest.mark.parametrize("shuffled", [False, True])
def test_a_long_log_with_duplicates(every: dict[str, Filter], shuffled: bool) -> None:
    """Whether it is in order of time or not: the order only says where equal items can be."""
    random = np.random.default_rng(5)
    log = users.simulate(
        0, random.random(9_000), np.zeros(9_000, bool), random.integers(-1, 3, 9_000), NOW - 9_000, users=300,
        noise=0.3, each=4,
    ).batch  # fmt: skip
    items = len(log.user)
    again = np.sort(np.concatenate([np.arange(items), random.integers(0, items, 500)]))
    order = random.permutation(len(again)) if shuffled else np.arange(len(again))
    given = FeedbackBatch(*(column[again][order] for column in log))
    given.rating[random.integers(0, len(again), 50)] = math.nan
    expected = every["scalar"].weigh(given, NOW)
    assert len(again) > steps.BLOCK and (expected.reason == DUPLICATE).sum() > 400
    for name in VARIANTS:
        problem = unlike(every[name].weigh(given, NOW), expected, given)
        assert not problem, f"{name}: {problem}"


finite = partial(st.floats, allow_nan=False, allow_infinity=False, width=32)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "user": st.integers(-1, 5),
                "query": st.integers(-1, 4),
                "domain": st.integers(-2, 2),
                "rating": st.floats(width=32) | st.sampled_from([0.0, 0.5, 1.0]) | finite(0, 1),
                "time_s": st.floats() | finite(0, 100).map(lambda age: NOW - age),
                "dwell_s": st.floats(width=32) | finite(0, 100),
                "position": st.integers(-(2**31), 2**31 - 1) | st.integers(1, 12),
            }
        ),
        max_size=25,
    )
)
def test_anything_at_all(rows: list[dict[str, Any]]) -> None:
    given = batch(rows)
    expected = Scalar(SETTINGS).weigh(given, NOW)
    for name in ("vectorized", "jax"):
        problem = unlike(built(name).weigh(given, NOW), expected, given)
        assert not problem, f"{name}: {problem}"


def test_order_does_not_matter(one: Filter) -> None:
    """But for duplicates, of which the first counts."""
    random = np.random.default_rng(11)
    given = crowd([1.0, 0.25, 0.5])
    order = random.permutation(len(given.user))
    found = one.weigh(FeedbackBatch(*(column[order] for column in given)), NOW)
    np.testing.assert_array_equal(found.weight, one.weigh(given, NOW).weight[order])


# What is particular to one variant.


def test_no_filter_keeps_everything() -> None:
    none = wiring.build(yaml.safe_load((CONF / "none.yaml").read_text(encoding="utf-8")), "filter")
    found = none.weigh(batch([{"rating": math.nan}, {}, {}]), NOW)
    assert found.keep.all() and (found.weight == 1).all() and (found.reason == KEPT).all()
    none.close()


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("scalar", "min_trust", 1.5),
        ("jax", "depth", 0),
        ("vectorized", "half_life_days", 0),
        ("pool", "workers", 9),
    ],
)
def test_settings_out_of_range(name: str, key: str, value: float) -> None:
    node = yaml.safe_load((CONF / f"{name}.yaml").read_text(encoding="utf-8"))
    with pytest.raises(ConfigError, match=rf"^filter\.{key}: given {value}; "):
        wiring.build(node | {key: value}, "filter")


def test_all_variants_have_the_same_settings() -> None:
    nodes = {name: yaml.safe_load((CONF / f"{name}.yaml").read_text(encoding="utf-8")) for name in VARIANTS}
    for node in nodes.values():
        node.pop("_target_")
    assert nodes["pool"].pop("workers") >= 1
    assert all(node == nodes["scalar"] for node in nodes.values())


def test_few_programs_are_compiled() -> None:
    """Batches of up to 128 items, with up to 1,024 users and queries and three domains, share one."""
    values = SETTINGS._replace(skew_s=123.0)
    filter = built("jax", values)
    before = jitted._judge._cache_size()
    random = np.random.default_rng(0)
    for size in (1, 2, 17, 100, 128):
        rows = [{"user": user, "domain": user % 4 - 1} for user in random.integers(0, 1024, size)]
        filter.weigh(batch(rows), NOW)
    assert jitted._judge._cache_size() == before + 1
    filter.weigh(batch([{"user": user} for user in range(129)]), NOW)
    assert jitted._judge._cache_size() == before + 2


def blocks() -> set[str]:
    """Blocks of shared memory that Python made."""
    folder = Path("/dev/shm")
    return {file.name for file in folder.glob("psm_*")} if folder.is_dir() else set()


@pytest.fixture
def pool() -> Iterator[Pool]:
    filter = built("pool")
    assert isinstance(filter, Pool)
    yield filter
    filter.close()


def members(pool: Pool) -> list[Any]:
    assert pool._crew is not None
    return [process for process, _ in pool._crew.members]


def test_a_pool_starts_with_its_first_batch_and_leaves_nothing(pool: Pool) -> None:
    before = blocks()
    assert pool._crew is None
    expected = pool.weigh(crowd([1.0]), NOW)
    started = members(pool)
    assert len(started) == pool.workers and all(process.is_alive() for process in started)
    pids = [process.pid for process in started]
    pool.weigh(crowd([1.0]), NOW)
    assert [process.pid for process in members(pool)] == pids  # they persist
    pool.close()
    pool.close()
    assert blocks() <= before
    assert not any(alive(pid) for pid in pids)
    with pytest.raises(RagLabError, match=r"^the filter's pool is closed; build another$"):
        pool.weigh(crowd([1.0]), NOW)
    assert expected.keep.sum() == 48


def test_a_killed_worker_is_replaced(pool: Pool) -> None:
    before = blocks()
    expected = pool.weigh(crowd([1.0]), NOW)
    victim = members(pool)[-1]
    victim.kill()
    victim.join()
    again = pool.weigh(crowd([1.0]), NOW)
    np.testing.assert_array_equal(again.weight, expected.weight)
    assert victim not in members(pool)
    pool.close()
    assert blocks() <= before


def test_a_pool_that_is_dropped_ends() -> None:
    before = blocks()
    pool = built("pool")
    pool.weigh(crowd([1.0]), NOW)
    pids = [process.pid for process in members(pool)]  # type: ignore[arg-type]
    del pool
    assert not any(alive(pid) for pid in pids) and blocks() <= before


def test_a_killed_parent_leaves_neither_processes_nor_memory(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        "import time\n"
        "import feedback_batches as b\n"
        "from rag_lab.l4_feedback.filters.pool import Pool\n"
        "if __name__ == '__main__':\n"
        "    pool = Pool(b.SETTINGS, 2)\n"
        "    pool.weigh(b.batch([{}]), b.NOW)\n"
        "    print(*[process.pid for process, _ in pool._crew.members],\n"
        "          *[arena.layout.name for arena in pool._crew.arenas.values()], flush=True)\n"
        "    time.sleep(60)\n",
        encoding="utf-8",
    )
    tests = Path(feedback_batches.__file__).parent
    parent = subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (tests.parent, tests)))},
    )  # fmt: skip
    try:
        assert parent.stdout is not None
        one, two, *names = parent.stdout.readline().split()
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        parent.stdout.close()
    assert gone(lambda: not alive(int(one)) and not alive(int(two)))
    assert len(names) == 2 and gone(lambda: not any(exists(name) for name in names))


def gone(check: Any) -> bool:
    """Whether it becomes true within ten seconds."""
    for _ in range(200):
        if check():
            return True
        time.sleep(0.05)
    return False


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits to be collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def exists(name: str) -> bool:
    folder = Path("/dev/shm")
    if folder.is_dir():
        return (folder / name.lstrip("/")).exists()
    try:
        shared_memory.SharedMemory(name).close()
    except FileNotFoundError:
        return False
    return True

"""The names of variants, and which of them a run has."""

from __future__ import annotations

import pytest

from rag_lab.errors import ConfigError
from rag_lab.experiment.variants import candidates, name_of, sets_of, standing
from rag_lab.l4_feedback.policy import Ceiling

STATIC = "rag_lab.l4_feedback.policies.static.build"


def test_a_standing_policy_has_the_name_of_its_file() -> None:
    for name in ("static", "bm25", "dense", "thompson", "static_domain_tuned_pulls"):
        assert name_of(name, standing(name)) == name


@pytest.mark.parametrize(("alpha", "name"), [(1.0, "bm25"), (0.0, "dense"), (0.5, "static"), (0.3, "static_0.3")])
def test_a_static_policy_is_named_by_its_alpha(alpha: float, name: str) -> None:
    assert name_of("static", {"_target_": STATIC, "alpha": alpha, "actions": ["alpha"]}) == name


def test_a_whole_number_from_the_command_line_is_the_same_alpha() -> None:
    assert name_of("static", {"_target_": STATIC, "alpha": 1, "actions": ["alpha"]}) == "bm25"


def test_other_settings_are_custom() -> None:
    assert name_of("thompson", standing("thompson") | {"prior_strength": 1.0}) == "thompson_custom"
    node = {"_target_": "rag_lab.l4_feedback.policies.recommended.build", "path": "recommended.yaml"}
    assert name_of("recommended", node) == "recommended"


def test_an_unknown_reference_is_refused_with_the_names_allowed() -> None:
    with pytest.raises(ConfigError, match=r"did you mean 'static'.*allowed: bm25, chosen, .*thompson"):
        standing("statc")


def test_the_treatment_comes_first_and_everyone_once() -> None:
    found = candidates("bm25", standing("bm25"), ["static", "bm25", "static", "oracle_query"])
    assert [one.name for one in found] == ["bm25", "static", "oracle_query"]
    assert isinstance(found[-1].policy, Ceiling)


def test_a_treatment_keeps_its_own_values_beside_the_standing_one() -> None:
    found = candidates("static", {"_target_": STATIC, "alpha": 0.3, "actions": ["alpha"]}, ["static"])
    assert [(one.name, one.node["alpha"]) for one in found] == [("static_0.3", 0.3), ("static", 0.5)]


def test_a_ceiling_is_no_treatment() -> None:
    with pytest.raises(ConfigError, match="policy=oracle_domain: a ceiling looks at the answers"):
        candidates("oracle_domain", standing("oracle_domain"), [])


def test_the_action_sets_do_not_change_a_name() -> None:
    assert name_of("thompson", standing("thompson") | {"actions": ["alpha"]}) == "thompson"


def test_a_choice_brings_several_who_may_be_under_test() -> None:
    found = candidates("chosen", standing("chosen") | {"among": ["thompson", "ridge"]}, ["ridge", "static"])
    assert [(one.name, one.treatment) for one in found] == [("thompson", True), ("ridge", True), ("static", False)]
    with pytest.raises(ConfigError, match=r"policy\.among: oracle_query is no policy of its own"):
        candidates("chosen", standing("chosen") | {"among": ["oracle_query"]}, [])


def test_references_follow_the_sets_of_whoever_is_under_test() -> None:
    every = candidates("static", standing("static"), ["oracle_query", "static_tuned"])
    assert sets_of(every, ("alpha", "rich")) == ("alpha",)
    assert sets_of(candidates("ridge", standing("ridge"), []), ("alpha", "rich")) == ("alpha", "rich")
    with pytest.raises(ConfigError, match="ridge: actions=rich: no such name"):
        sets_of(candidates("ridge", standing("ridge"), []), ("alpha",))


def test_a_ranking_is_no_treatment() -> None:
    with pytest.raises(ConfigError, match="policy=learned: it ranks and chooses no action"):
        candidates("learned", standing("learned"), [])

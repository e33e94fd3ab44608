"""What people may write, what it means, and what they are told where it means nothing."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tamis.errors import InvalidSetting, UndeclaredLabel
from tamis.evaluation.objectives import (
    Goal,
    Objective,
    parse_fixed,
    parse_losses,
    parse_objective,
    parse_purpose,
    require_purpose,
    with_thresholds,
)
from tamis.schema import Kind, Target

MULTI = Target(name="tags", kind=Kind.MULTI_LABEL, labels=("toxic", "a=b", "precision>=0.9", "safe"))
OTHER = Target(name="moods", kind=Kind.MULTI_LABEL, labels=("toxic", "happy"))
SINGLE = Target(name="topic", kind=Kind.SINGLE_LABEL, labels=("delivery", "payment"))

objectives = st.one_of(
    st.sampled_from([Objective(Goal.F1), Objective(Goal.MICRO_F1), Objective(Goal.MACRO_F1)]),
    st.builds(
        Objective, st.sampled_from([Goal.PRECISION, Goal.RECALL]), st.integers(1, 999).map(lambda number: number / 1000)
    ),
    st.builds(Objective, st.just(Goal.COST), st.none(), st.integers(1, 10_000), st.integers(1, 10_000)),
)


@given(objectives)
def test_what_an_objective_is_written_as_means_it_again(objective):
    assert parse_objective(str(objective)) == objective


@given(objectives, st.text(min_size=1).filter(lambda text: text.strip() == text))
@settings(max_examples=60)
def test_any_label_can_have_an_objective_of_its_own(objective, label):
    if label.lower().startswith("shared:"):
        with pytest.raises(InvalidSetting):
            parse_purpose(f"{label}={objective}")
    else:
        assert parse_purpose(f"{label}={objective}").labels == {label: objective}


@given(objectives)
def test_a_label_cannot_begin_like_one_threshold_for_all(objective):
    with pytest.raises(InvalidSetting):
        parse_purpose(f"shared:={objective}")


@pytest.mark.parametrize(
    ("text", "goal", "floor"),
    [(" Precision >= 0.95 ", Goal.PRECISION, 0.95), ("RECALL≥.9", Goal.RECALL, 0.9), ("macro-f1", Goal.MACRO_F1, None)],
)
def test_spaces_and_case_do_not_matter(text, goal, floor):
    assert parse_objective(text) == Objective(goal, floor)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("precision>0.95", "precision takes a floor, with >= before it"),
        ("recall", "recall takes a floor"),
        ("precision>=95", "not 95: give one, such as 0.95"),
        ("precision>=95%", "such as 0.95"),
        ("recall>=1", "between 0 and 1"),
        ("recall>=nan", "between 0 and 1"),
        ("cost", "cost:fp=1,fn=5"),
        ("cost:fp=0,fn=1", "above 0"),
        ("cost:fp=1,fn=inf", "above 0"),
        ("precison>=0.9", "write f1, micro-f1"),
        ("toxic=recal>=0.9", "of the label 'toxic', write f1"),
        ("toxic=recall>=90", "of the label 'toxic', a floor is a share"),
        ("=f1", "write f1"),
        ("", "write f1"),
    ],
)
def test_what_means_nothing_is_refused_with_the_place_and_the_cure(text, told):
    with pytest.raises(InvalidSetting) as refused:
        parse_purpose(text)
    assert told in str(refused.value)
    assert repr(text) in str(refused.value)
    assert "--" not in refused.value.for_callers


@pytest.mark.parametrize(
    ("optimise", "fixed", "told"),
    [
        (["f1", "recall>=0.9"], {}, "all labels have the objective f1 already"),
        (["a=f1", "a=recall>=0.9"], {}, "'a' has an objective already"),
        (["a=f1"], {"a": 0.5}, "an objective and a threshold by hand"),
        ([], {"a": 1.5}, "not from 0 to 1"),
        ([], {"a": float("nan")}, "not from 0 to 1"),
    ],
)
def test_what_contradicts_itself_is_refused(optimise, fixed, told):
    with pytest.raises(InvalidSetting, match=told):
        parse_purpose(optimise, fixed)


def test_one_threshold_for_all_labels_needs_an_objective_for_all():
    assert parse_purpose("shared:recall>=0.9") == parse_purpose("recall>=0.9", shared=True)
    with pytest.raises(InvalidSetting, match="shared:f1"):
        parse_purpose("toxic=f1", shared=True)


def test_thresholds_by_hand_are_read_from_the_last_equals_sign():
    assert parse_fixed(["a=b=0.4", " toxic = 1 "]) == {"a=b": 0.4, "toxic": 1.0}
    for text, told in (("0.4", "LABEL=THRESHOLD"), ("a=x", "no number"), ("=1", "LABEL=THRESHOLD")):
        with pytest.raises(InvalidSetting, match=told):
            parse_fixed([text])
    with pytest.raises(InvalidSetting, match="already"):
        parse_fixed(["a=0.1", "a=0.2"])


def test_nothing_asked_for_is_refused_where_something_must_be():
    assert not parse_purpose()
    with pytest.raises(InvalidSetting, match="Nothing is asked for"):
        require_purpose(parse_purpose())
    assert require_purpose(parse_purpose(fixed={"a": 0.0}))


def test_labels_find_their_places_and_single_label_targets_are_left_out():
    wanted = parse_purpose(["f1", "safe=recall>=0.9", "a=b=macro-f1"], {"precision>=0.9": 0.3}).of([SINGLE, MULTI])
    assert list(wanted) == ["tags"]
    assert wanted["tags"].by_label == {3: Objective(Goal.RECALL, 0.9), 1: Objective(Goal.MACRO_F1)}
    assert wanted["tags"].fixed == {2: 0.3}
    assert str(wanted["tags"]) == "f1"


def test_a_target_of_which_nothing_is_wanted_is_left_alone():
    assert list(parse_purpose(fixed={"happy": 0.2}).of([MULTI, OTHER])) == ["moods"]
    assert list(parse_purpose("f1").of([MULTI, OTHER])) == ["tags", "moods"]
    assert list(parse_purpose("f1").of([MULTI, OTHER], "moods")) == ["moods"]


def test_a_label_of_several_targets_is_asked_for_with_its_target():
    with pytest.raises(InvalidSetting, match="moods and tags: write TARGET/LABEL, such as tags/toxic"):
        parse_purpose("toxic=f1").of([MULTI, OTHER])
    assert parse_purpose("moods/toxic=f1").of([MULTI, OTHER])["moods"].by_label == {0: Objective(Goal.F1)}
    assert parse_purpose("toxic=f1").of([MULTI, OTHER], "moods")["moods"].by_label == {0: Objective(Goal.F1)}


@pytest.mark.parametrize(
    ("optimise", "fixed"),
    [
        (["safe=f1", "tags/safe=recall>=0.9"], {}),
        (["safe=f1"], {"tags/safe": 0.3}),
        ([], {"safe": 0.3, "tags/safe": 0.9}),
    ],
)
def test_a_label_under_two_names_is_refused(optimise, fixed):
    with pytest.raises(InvalidSetting, match="'safe' and 'tags/safe' are the same label"):
        parse_purpose(optimise, fixed).of([MULTI, OTHER])


def test_a_label_may_hold_any_number_of_equals_signs():
    label = "=" * 1_000 + "x"
    assert list(parse_purpose(f"{label}=cost:fp=1,fn=5").labels) == [label]


@pytest.mark.parametrize(
    ("purpose", "only", "error", "told"),
    [
        ("toxi=f1", None, UndeclaredLabel, "did you mean 'toxic'"),
        ("f1", "nothing", UndeclaredLabel, "There is no target 'nothing'"),
        ("f1", "topic", InvalidSetting, "single-label"),
        ("delivery=f1", None, InvalidSetting, "single-label target 'topic'"),
    ],
)
def test_what_has_no_threshold_is_refused_with_what_to_use(purpose, only, error, told):
    with pytest.raises(error, match=told):
        parse_purpose(purpose).of([SINGLE, MULTI], only)


def test_a_model_without_multi_label_targets_has_no_thresholds():
    with pytest.raises(InvalidSetting, match="abstain"):
        with_thresholds([SINGLE])


def test_an_abstain_loss_is_for_all_single_label_targets_or_for_those_that_are_named():
    assert parse_losses([]) is None
    assert parse_losses(["0.05"]) == 0.05
    assert parse_losses(["a=b=0.1", "topic=0"]) == {"a=b": 0.1, "topic": 0.0}
    for purpose in (parse_purpose(abstain_loss=0.05), parse_purpose(abstain_loss={"topic": 0.05})):
        assert require_purpose(purpose)
        assert purpose.losses([SINGLE, MULTI]) == {"topic": 0.05}
        assert purpose.of([SINGLE, MULTI]) == {}
    assert parse_purpose("f1", abstain_loss={"topic": 0.0}).losses([SINGLE, MULTI], "tags") == {"topic": 0.0}
    assert parse_purpose("f1").losses([SINGLE, MULTI]) == {}
    assert not parse_purpose(abstain_loss={})


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        (["0.7"], "not from 0 to 0.5"),
        (["-0.1"], "not from 0 to 0.5"),
        (["nan"], "not from 0 to 0.5"),
        (["much"], "no number"),
        (["topic=much"], "no number"),
        (["0.1", "0.2"], "one share for all"),
        (["0.1", "topic=0.2"], "one share for all"),
        (["topic=0.1", "topic=0.2"], "has a share already"),
    ],
)
def test_what_is_no_abstain_loss_is_refused(texts, told):
    with pytest.raises(InvalidSetting, match=told):
        parse_purpose(abstain_loss=parse_losses(texts))


@pytest.mark.parametrize(
    ("loss", "only", "error"),
    [(0.1, "tags", InvalidSetting), ({"tags": 0.1}, None, InvalidSetting), ({"nothing": 0.1}, None, UndeclaredLabel)],
)
def test_an_abstain_loss_of_what_does_not_abstain_is_refused(loss, only, error):
    with pytest.raises(error):
        parse_purpose(abstain_loss=loss).losses([SINGLE, MULTI], only)
    with pytest.raises(InvalidSetting, match="none of these"):
        parse_purpose(abstain_loss=0.1).losses([MULTI])

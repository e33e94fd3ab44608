import pytest

from tamis.data.checks.findings import judge
from tamis.data.checks.report import (
    CheckReport,
    FileReport,
    LabelCount,
    Languages,
    Likeness,
    Overlap,
    Place,
    RejectedRow,
    Rejects,
    Repeats,
    TargetReport,
    Window,
)
from tamis.schema import Kind


def target(name="y", *, multi=False, labels=None, unknown=None, **more):
    labels = {"a": {"train": 60}, "b": {"train": 40}} if labels is None else labels
    known = {}
    for rows in labels.values():
        for split, count in rows.items():
            known[split] = known.get(split, 0) + count
    return TargetReport(
        **{
            "name": name,
            "kind": Kind.MULTI_LABEL if multi else Kind.SINGLE_LABEL,
            "labels": tuple(LabelCount(label=label, rows=rows) for label, rows in labels.items()),
            "known": known,
            "unknown": unknown or {},
            "without_label": {},
            **more,
        }
    )


def report(**more):
    rows = more.pop("rows", {"train": 100})
    files = tuple(FileReport(name=f"{split}.jsonl", split=split, rows=count) for split, count in rows.items())
    return CheckReport(
        **{
            "splits": tuple(rows),
            "rows": rows,
            "files": files,
            "rejects": Rejects(),
            "targets": (target(),),
            "lengths": (),
            "window": None,
            "likeness": Likeness(),
            "languages": (),
            "findings": (),
            **more,
        }
    )


def found(made, places=None, *, allowed=0.0, languages=()):
    return judge(made, places or {}, max_bad_share=allowed, base_languages=languages)


def codes(made, **options):
    return {finding.code: finding.severity for finding in found(made, **options)}


def test_good_data_has_no_findings():
    assert found(report()) == ()


def test_every_finding_says_what_will_be_done():
    rows = {"train": 20, "test": 10}
    bad = report(
        rows=rows,
        targets=(
            target(
                labels={"Cat": {"train": 19}, "cats": {"train": 1}, "dog": {"test": 10}},
                ratio=19.0,
                effective_labels=1.2,
                unknown={"train": 3},
                as_list=1,
                as_string=2,
            ),
        ),
        likeness=Likeness(
            repeats=(Repeats(split="train", exact=9, loose=1, near=1),),
            conflicts=1,
            conflict_rows=2,
            near_conflicts=1,
            overlaps=(Overlap(split="test", other="train", same=1, near=1, share=0.1),),
        ),
    )
    told = found(bad)
    assert len(told) > 10
    assert all(finding.action.endswith(".") and finding.message.endswith(".") for finding in told)
    order = [("error", "warning", "info").index(finding.severity) for finding in told]
    assert order == sorted(order)


@pytest.mark.parametrize(
    ("count", "allowed", "expected"),
    [
        (0, 0.0, {}),
        (1, 0.0, {"bad_rows": "error"}),
        (1, 0.01, {"bad_rows_left_out": "warning"}),
        (2, 0.01, {"bad_rows": "error"}),
    ],
)
def test_the_share_of_bad_rows_decides(count, allowed, expected):
    first = (RejectedRow(file="f", line=3, code="not_json", cause="Not JSON", cure="Write it"),)
    rejects = Rejects(count=count, by_code={"not_json": count}, by_split={"train": count}, first=first)
    made = report(rows={"train": 99}, rejects=rejects)
    assert codes(made, allowed=allowed) == expected


def test_bad_rows_are_judged_by_split():
    rejects = Rejects(count=5, by_code={"c": 5}, by_split={"train": 0, "test": 5})
    made = report(
        rows={"train": 1_000, "test": 5},
        rejects=rejects,
        targets=(target(labels={"a": {"train": 500, "test": 3}, "b": {"train": 500, "test": 2}}),),
    )
    assert codes(made, allowed=0.1) == {"bad_rows": "error"}


@pytest.mark.parametrize(
    ("labels", "multi", "learnable"),
    [
        ({"a": {"train": 50}, "b": {"train": 50}}, False, True),
        ({"a": {"train": 100}}, False, False),
        ({"a": {"train": 99}, "b": {"test": 1}}, False, False),
        ({"a": {"train": 100}}, True, True),
    ],
)
def test_a_target_needs_labels_to_tell_apart(labels, multi, learnable):
    assert ("nothing_to_learn" not in codes(report(targets=(target(labels=labels, multi=multi),)))) == learnable


def test_no_rows_and_no_labels_are_errors():
    assert codes(report(rows={"train": 0}, targets=()))["no_rows"] == "error"
    assert codes(report(rows={"train": 100, "test": 0}))["no_rows"] == "error"
    assert codes(report(targets=()))["nothing_to_learn"] == "error"


def test_what_could_not_be_read_is_an_error_and_says_how_far():
    files = (FileReport(name="f.gz", split="train", rows=7, error="f.gz is cut off."),)
    (finding,) = found(report(rows={"train": 100}, files=files))
    assert (finding.severity, finding.code) == ("error", "unreadable")
    assert finding.message == "f.gz is cut off. (7 rows were read before.)"


def test_rare_labels():
    labels = {"a": {"train": 90}, "b": {"train": 9}, "c": {"train": 1}}
    assert codes(report(targets=(target(labels=labels),))) == {"lonely_labels": "warning", "few_rows_of_label": "info"}


def test_unseen_and_untested_labels():
    labels = {"a": {"train": 50, "test": 5}, "b": {"train": 50}, "c": {"test": 5}}
    made = report(rows={"train": 100, "test": 10}, targets=(target(labels=labels),))
    told = {finding.code: finding for finding in found(made)}
    assert "'c'" in told["unseen_labels"].message
    assert "(5 rows elsewhere)" in told["unseen_labels"].message
    assert "'b'" in told["untested_labels"].message


def test_targets_that_only_other_splits_have():
    rows = {"train": 100, "test": 10}
    here, there = target("here"), target("there", labels={"x": {"test": 10}})
    assert codes(report(rows=rows, targets=(here, there)))["no_common_target"] == "error"
    both = target("here", labels={"a": {"train": 50, "test": 5}, "b": {"train": 50, "test": 5}})
    assert codes(report(rows=rows, targets=(both, there))) == {"ignored_target": "warning"}
    assert codes(report(targets=(target(other_names=("intent",)),))) == {"target_renamed": "info"}


@pytest.mark.parametrize(
    ("ratio", "expected"), [(9.9, {}), (10, {"imbalance": "info"}), (100, {"imbalance": "warning"})]
)
def test_imbalance(ratio, expected):
    assert codes(report(targets=(target(ratio=ratio, effective_labels=1.9),))) == expected


@pytest.mark.parametrize(("unknown", "severity"), [(50, "info"), (51, "warning")])
def test_unknown_targets(unknown, severity):
    assert codes(report(targets=(target(unknown={"train": unknown}),))) == {"unknown_target": severity}


@pytest.mark.parametrize(
    ("names", "alike"),
    [
        (("Refund", "refund"), True),
        (("refund", "refunds"), True),
        (("where_is it", "where-is  IT"), True),
        (("category", "categories"), True),
        (("box", "boxes"), True),
        (("pass", "pas"), False),
        (("news", "new"), True),
        (("bus", "bu"), False),
        (("a", "as"), False),
        (("class_1", "class_2"), False),
    ],
)
def test_label_names_that_look_the_same(names, alike):
    made = report(targets=(target(labels={name: {"train": 50} for name in names}),))
    assert ("similar_label_names" in codes(made)) == alike


def test_lists_of_one_and_mixtures():
    one = target(multi=True, labels_per_row={"train": {1: 100}})
    assert codes(report(targets=(one,))) == {"lists_of_one": "warning"}
    mixed = target(multi=True, as_list=4, as_string=96, labels_per_row={"train": {1: 90, 2: 10}})
    assert codes(report(targets=(mixed,))) == {"mixed_values": "warning"}


def test_labels_that_look_like_texts():
    labels = {f"label {number}": {"train": 1} for number in range(60)}
    assert codes(report(targets=(target(labels=labels),)))["labels_like_texts"] == "warning"
    assert codes(report(targets=(target(more_labels=True),))) == {"too_many_labels": "error"}
    assert codes(report(more_targets=True)) == {"too_many_targets": "error"}


@pytest.mark.parametrize(("exact", "severity"), [(5, "info"), (6, "warning")])
def test_repeats(exact, severity):
    place = (Place(file="f", line=1), Place(file="f", line=2))
    made = report(likeness=Likeness(repeats=(Repeats(split="train", exact=exact),)))
    (finding,) = found(made, {("duplicates",): (place,)})
    assert (finding.code, finding.severity, finding.where) == ("duplicates", severity, (place,))


def test_overlaps_carry_the_places_of_their_splits():
    laps = tuple(Overlap(split="test", other=other, same=2, share=0.2) for other in ("train", "validation"))
    places = {("overlap", "test", "validation"): ((Place(file="v", line=1),),)}
    first, second = found(report(likeness=Likeness(overlaps=laps)), places)
    assert (first.where, second.where) == ((), places["overlap", "test", "validation"])


@pytest.mark.parametrize(
    ("tokens", "over", "expected"),
    [(None, 0.0, {}), (512, 0.0, {}), (512, 0.01, {"over_window": "info"}), (512, 0.06, {"over_window": "warning"})],
)
def test_texts_over_the_window(tokens, over, expected):
    window = Window(base="b", tokens=tokens, rows_over=round(100 * over), share_over=over)
    assert codes(report(window=window)) == expected


@pytest.mark.parametrize(
    ("shares", "measured", "base", "told"),
    [
        ({"en": 0.9, "und": 0.1}, 100, ("en",), False),
        ({"en": 0.5, "fr": 0.5}, 100, ("en",), True),
        ({"en": 0.5, "fr": 0.5}, 100, ("en", "fr"), False),
        ({"en": 0.5, "fr": 0.5}, 100, (), False),
        ({"fr": 1.0}, 10, ("en",), False),
    ],
)
def test_languages_that_the_base_was_not_made_for(shares, measured, base, told):
    made = report(
        languages=(Languages(split="train", measured=measured, shares=shares),), window=Window(base="b", tokens=None)
    )
    assert ("other_languages" in codes(made, languages=base)) == told


def test_remarks_of_the_readers_are_passed_on():
    notes = (
        {"code": "extra_key", "detail": "id", "count": 9, "line": 2},
        {"code": "mixed_values", "detail": "", "count": 1, "line": 1},
    )
    files = (
        FileReport(name="f", split="train", rows=100, notes=notes, detection={"warnings": ["Look at it."]}),
        FileReport(name="f", split="test", rows=0, error="cut"),
    )
    told = {finding.code: finding for finding in found(report(files=files))}
    assert told["detection"].severity == "warning"
    assert told["extra_key"].where[0][0].line == 2
    assert told["split_found"].severity == "info"
    assert "mixed_values" not in told


def test_remarks_of_a_kind_are_told_together():
    notes = [{"code": "extra_key", "detail": key, "count": 5, "line": 1} for key in ("id", "date")]
    files = tuple(FileReport(name=name, split="train", rows=50, notes=notes) for name in ("f", "g"))
    (told,) = found(report(files=files))
    assert told.message == "A key or column that is not read ('id', 'date'), 20 times."
    assert [group[0].file for group in told.where] == ["f", "g"]


def test_targets_without_end_are_told_once():
    targets = tuple(target(f"t{number}", labels={"a": {"train": 1}}) for number in range(30))
    assert codes(report(targets=targets, more_targets=True)) == {"too_many_targets": "error"}


def test_few_rows_are_said():
    assert codes(report(rows={"train": 30}))["few_rows"] == "warning"

"""Aliases: moved, rolled back, dropped; every move is in the history."""

import pytest

from tamis.errors import AliasMoved, Conflict, InvalidSetting, UnknownAlias, UnknownModel
from tamis.store.records import AliasMove, ModelRecord
from tamis.workspace.aliases import trail
from tamis.workspace.workspace import Workspace


@pytest.fixture
def models(workspace: Workspace):
    """Five versions of a model without files, a to e."""
    made = [
        workspace.store.models.add(
            ModelRecord(
                id=f"00000000-0000-4000-8000-{number:012d}",
                name="shop",
                root="english",
                base="static-en",
                place=f"objects:models/{number}",
                created_at=number,
            )
        )
        for number in range(5)
    ]
    return dict(zip("abcde", made, strict=True))


@pytest.fixture
def go(workspace: Workspace, models):
    """Makes moves: a letter points `prod` at that model, `<` rolls back, `x` drops."""

    def go(moves: str) -> str:
        for move in moves:
            if move == "<":
                workspace.aliases.roll_back("prod")
            elif move == "x":
                workspace.aliases.drop("prod")
            else:
                workspace.aliases.set("prod", models[move].id)
        here = workspace.store.aliases.find("prod")
        return next((letter for letter, model in models.items() if model.id == here), "")

    return go


@pytest.mark.parametrize(
    ("moves", "here"),
    [
        ("ab<", "a"),
        ("abc<<", "a"),
        ("abc<d<", "b"),
        ("abc<d<<", "a"),
        ("abab<<", "b"),
        ("ab<b<", "a"),
        ("ax<", "a"),
        ("abx<", "b"),
        ("abx<<", "a"),
        ("axb<", "a"),
        ("axa", "a"),
        ("abxb<", "a"),
        ("abcde<<<<", "a"),
    ],
)
def test_rolling_back_goes_along_the_models_that_it_pointed_at(go, moves, here):
    assert go(moves) == here


@pytest.mark.parametrize("moves", ["a<", "ab<<", "axa<", "abc<<<"])
def test_there_is_an_end_to_it(go, moves):
    with pytest.raises(Conflict, match="nothing to roll back to"):
        go(moves)


def test_every_move_is_told_of(workspace: Workspace, models, go):
    workspace.aliases.set("prod", "shop@1", by="key-1")
    go("bb<x")
    history = workspace.aliases.history("prod")
    assert [(move.number, move.why, move.from_name, move.to_name) for move in history.moves] == [
        (4, "drop", "shop@1", None),
        (3, "roll back", "shop@2", "shop@1"),
        (2, "set", "shop@1", "shop@2"),
        (1, "set", None, "shop@1"),
    ]
    assert [move.moved_by for move in history.moves] == [None, None, None, "key-1"]
    assert history.total == 4
    assert [move.number for move in workspace.aliases.history("prod", 1, 3).moves] == [1]
    assert workspace.aliases.list() == []
    assert go("<") == "a"
    (alias,) = workspace.aliases.list()
    assert (alias.name, alias.model.id, alias.last.number) == ("prod", models["a"].id, 5)
    assert workspace.aliases.get("prod") == alias


def test_a_model_that_is_gone_stays_in_the_history_and_is_not_gone_back_to(workspace: Workspace, models, go):
    go("abc")
    workspace.models.delete(models["b"].id)
    history = workspace.aliases.history("prod")
    assert history.gone == {models["b"].id}
    assert history.moves[0].from_name == "shop@2"
    with pytest.raises(
        Conflict, match=r"shop@2 before, which is deleted.*Earlier it pointed at shop@1, which is there"
    ):
        go("<")
    assert workspace.store.aliases.find("prod") == models["c"].id
    assert go("ad<") == "a"


def test_an_archived_model_is_neither_gone_back_to_nor_pointed_at(workspace: Workspace, models, go):
    go("ab")
    workspace.models.archive(models["a"].id)
    with pytest.raises(Conflict, match=r"shop@1 before, which is archived: unarchive it first\. Point prod at another"):
        go("<")
    with pytest.raises(UnknownModel, match="archived"):
        workspace.aliases.set("prod", "shop@1")
    workspace.models.unarchive("shop@1")
    assert go("<") == "a"


def test_names_that_no_alias_can_have(workspace: Workspace, models):
    for name in ("shop", "", "a b", "a/b", "ft:x", "-a", "00000000-0000-4000-8000-000000000009", "x" * 65):
        with pytest.raises(InvalidSetting):
            workspace.aliases.set(name, "shop@1")
    with pytest.raises(UnknownModel):
        workspace.aliases.set("prod", "gone")


def test_aliases_that_are_not_there(workspace: Workspace):
    for ask in ("get", "drop", "roll_back", "history"):
        with pytest.raises(UnknownAlias, match="no alias prod"):
            getattr(workspace.aliases, ask)("prod")


def test_who_looked_before_a_move_does_not_undo_it(workspace: Workspace, models, go):
    """A promotion is for the model that was measured: not even where the alias came back to it meanwhile."""
    go("a")
    standing = workspace.aliases.standing("prod")
    go("b<")
    assert workspace.store.aliases.find("prod") == standing.model.id
    with pytest.raises(AliasMoved, match="moved meanwhile"):
        workspace.aliases.promote("prod", models["c"].id, {}, after=standing.number)
    assert workspace.store.aliases.find("prod") == models["a"].id
    workspace.aliases.promote("prod", models["c"].id, {"rows": 3}, after=workspace.aliases.standing("prod").number)
    move = workspace.aliases.history("prod", 0, 1).moves[0]
    assert (move.why, move.to_id, move.figures) == ("promote", models["c"].id, {"rows": 3})


def test_what_an_alias_stood_at_before_moves_were_noted_is_on_its_trail():
    moved = AliasMove(
        alias="prod", number=1, why="set", moved_at=1, from_id="0", from_name="old@1", to_id="1", to_name="new@1"
    )
    assert [stop.name for stop in trail([moved]).before()] == ["old@1"]
    dropped = AliasMove(alias="prod", number=1, why="drop", moved_at=1, from_id="0", from_name="old@1")
    assert [stop.name for stop in trail([dropped]).before()] == ["old@1"]
    assert trail([]).before() == ()

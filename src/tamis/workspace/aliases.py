"""Aliases: pointed at models, moved, rolled back, dropped, each with a line in their history.

Rolling back goes along the models that an alias was pointed at, one back each time: after A, B, C it leads to B, then
to A; where it is then pointed at D, rolling back leads to where it stood before D. Rolling back a dropped alias brings
it back. It does not know what a promotion measures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tamis.errors import Conflict, InvalidSetting, UnknownAlias
from tamis.ml import registry
from tamis.store.models import is_id
from tamis.store.opening import Store
from tamis.store.records import DROP, PROMOTE, ROLL_BACK, SET, AliasMove, Json, ModelRecord
from tamis.workspace.models import Models

Listed = list["Alias"]


@dataclass(frozen=True, slots=True)
class Alias:
    """An alias, the model that it points at, and its last move (None: it was made before moves were noted)."""

    name: str
    model: ModelRecord
    last: AliasMove | None


@dataclass(frozen=True, slots=True)
class Standing:
    """What an alias points at (None: nothing), after its move of this number: it is the same while that is the last."""

    model: ModelRecord | None
    number: int


@dataclass(frozen=True, slots=True)
class History:
    """A page of an alias's moves, the newest first, how many there are in all, and the ids of models that are gone."""

    moves: Sequence[AliasMove]
    total: int
    gone: frozenset[str]


@dataclass(frozen=True, slots=True)
class Stop:
    """A model that an alias was pointed at, as it was called then."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Trail:
    """Where rolling back leads: the models in the order that the alias went to them; whether it was dropped since."""

    stops: tuple[Stop, ...]
    dropped: bool

    def before(self) -> tuple[Stop, ...]:
        """The stops that rolling back leads to, the next one last."""
        return self.stops if self.dropped else self.stops[:-1]


class Aliases:
    """The aliases of a workspace."""

    def __init__(self, store: Store, models: Models) -> None:
        """Take the store, and the models that aliases point at."""
        self._store, self._models = store, models

    def list(self) -> Listed:
        """Return all aliases, by name."""
        self._models.take_in()
        there = {model.id: model for model in self._store.models.list()[0]}
        last = self._store.aliases.last_moves()
        pointing = self._store.aliases.list()
        return [Alias(name, there[id], last.get(name)) for name, id in pointing.items() if id in there]

    def get(self, name: str) -> Alias:
        """Return an alias.

        Raises:
            UnknownAlias: there is none of this name.
        """
        model = self._store.models.by_alias(name)
        if model is None:
            raise _unknown(name)
        moves, _ = self._store.aliases.history(name, 0, 1)
        return Alias(name, model, moves[0] if moves else None)

    def standing(self, name: str) -> Standing:
        """Return what an alias points at, for who will move it if it is not moved meanwhile.

        Raises:
            InvalidSetting: there is none, and none can have this name.
        """
        moves, _ = self._store.aliases.history(name, 0, 1)  # first: the number must not be newer than the model
        model = self._store.models.by_alias(name)
        if model is None:
            self.check_name(name)
        return Standing(model, moves[0].number if moves else 0)

    def history(self, name: str, page: int = 0, page_size: int | None = None) -> History:
        """Return a page of the moves of an alias (default: all), also of one that was dropped.

        Raises:
            UnknownAlias: there never was one of this name.
        """
        moves, total = self._store.aliases.history(name, page, page_size)
        if not total and self._store.aliases.find(name) is None:
            raise _unknown(name)
        ids = {id for move in moves for id in (move.from_id, move.to_id) if id is not None}
        return History(moves, total, frozenset(ids - self._store.aliases.still_there(ids)))

    def check_name(self, name: str) -> None:
        """Do nothing where an alias may have this name.

        Raises:
            InvalidSetting: it is none that an alias can have, or that of a model.
        """
        registry.require_name(name)
        if is_id(name):
            raise InvalidSetting(f"{name} is an id: choose another alias.", setting="alias")
        if self._store.models.by_name(name) is not None:
            raise InvalidSetting(f"{name} is the name of a model: choose another alias.", setting="alias")

    def set(self, name: str, reference: str, *, by: str | None = None) -> Alias:
        """Point an alias, new or not, at a model.

        Raises:
            UnknownModel: there is no such model, or it is archived.
            InvalidSetting: the name is none that an alias can have, or that of a model.
        """
        self.check_name(name)
        model = self._models.answering(reference)
        self._move(name, model.id, SET, by)
        return self.get(name)

    def promote(self, name: str, model_id: str, figures: Json, *, after: int, by: str | None = None) -> Alias:
        """Point an alias at the model that passed, unless it was moved since the move of number `after`.

        Raises:
            UnknownModel: the model was deleted or archived meanwhile.
            AliasMoved: the alias was moved meanwhile.
        """
        model = self._models.answering(model_id)
        self._move(name, model.id, PROMOTE, by, figures=figures, after=after)
        return self.get(name)

    def drop(self, name: str, *, by: str | None = None) -> None:
        """Delete an alias; its model and its history stay.

        Raises:
            UnknownAlias: there is no such alias.
        """
        if self._move(name, None, DROP, by) is None:
            raise _unknown(name)

    def roll_back(self, name: str, *, by: str | None = None) -> Alias:
        """Point an alias at the model before, or bring it back where it was dropped.

        Raises:
            UnknownAlias: there never was one of this name.
            Conflict: there is nothing before, or that model is deleted or archived.
            AliasMoved: somebody else moved it at this moment.
        """
        moves = self.history(name).moves
        before = trail(moves).before()
        if not before:
            raise Conflict(f"{name} pointed at no other model before: there is nothing to roll back to.", alias=name)
        model = self._to_go_back_to(name, before)
        self._move(name, model.id, ROLL_BACK, by, after=moves[0].number)
        return self.get(name)

    def _to_go_back_to(self, name: str, before: Sequence[Stop]) -> ModelRecord:
        """Return the last of these models.

        Raises:
            Conflict: it is deleted or archived; the message names an earlier one that answers.
        """
        *earlier, stop = before
        model = self._store.models.find(stop.id)
        if model is not None and not model.archived:
            return model
        why = "deleted" if model is None else "archived: unarchive it first"
        found = (self._store.models.find(each.id) for each in reversed(earlier))
        other = next((each for each in found if each is not None and not each.archived), None)
        cure = "" if other is None else f" Earlier it pointed at {other.name}@{other.version}, which is there."
        raise Conflict(
            f"{name} pointed at {stop.name} before, which is {why}. Point {name} at another model.{cure}", alias=name
        )

    def _move(
        self,
        name: str,
        to: str | None,
        why: str,
        by: str | None,
        *,
        figures: Json | None = None,
        after: int | None = None,
    ) -> AliasMove | None:
        moved = self._store.aliases.move(name, to, why, by=by, figures=figures, after=after)
        self._models.changes += 1
        return moved


def trail(moves: Sequence[AliasMove]) -> Trail:
    """Return where rolling back leads after these moves: all of an alias's, the newest first."""
    stops: list[Stop] = []
    dropped = False
    if moves and moves[-1].from_id is not None:
        stops.append(Stop(moves[-1].from_id, str(moves[-1].from_name)))
    for move in reversed(moves):
        if move.why == ROLL_BACK and not dropped:
            stops.pop()
        elif move.to_id is not None and (not stops or stops[-1].id != move.to_id):
            stops.append(Stop(move.to_id, str(move.to_name)))
        dropped = move.to_id is None
    return Trail(tuple(stops), dropped)


def _unknown(name: str) -> UnknownAlias:
    where = "tamis alias list, over HTTP GET /v1/tamis/aliases"
    return UnknownAlias(f"There is no alias {name[:200]}: see which there are with {where}.", alias=name)

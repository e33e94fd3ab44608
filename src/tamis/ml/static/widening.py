"""A static model that takes in the n-grams of new rows, and whose scores stay what they were.

N-grams that the model does not know yet get the weight that unknown ones have, so that no input changes its length, and
weights of 0 for every label that is there. It does not know what is fitted afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tamis.ml.static.lexical import Counted, Tally, Terms, Vocabulary, tallies_of, terms_of, with_shares
from tamis.ml.static.model import StaticModel
from tamis.ml.static.runs import Ints
from tamis.ml.static.sparse import Floats, find


def widened(model: StaticModel, counted: Counted, most_terms: int) -> StaticModel:
    """Return the model with `most_terms` more n-grams at most, of those that the counted inputs have.

    N-grams of two inputs or more are terms; those of one input alone share a private column, as in training.
    """
    before = model.vocabulary
    tallies = [_unknown(tally, terms) for tally, terms in zip(tallies_of(counted), before.blocks, strict=True)]
    chosen = terms_of(tallies, most_terms, counted.in_groups.shape[0], private=True)
    fresh = [replace(new, unknown=old.unknown) for new, old in zip(chosen, before.blocks, strict=True)]
    merged = [_merged(old, new) for old, new in zip(before.blocks, fresh, strict=True)]
    known = _vocabulary([terms for terms, _ in merged], before.n_owners)
    lengths = known.lengths(counted, known.look_up(counted))
    singles = with_shares(_vocabulary(fresh, counted.runs.n_rows), counted, lengths)
    characters, words, pairs = (
        _with_singles(terms, new, before.n_owners) for terms, new in zip(known.blocks, singles.blocks, strict=True)
    )
    vocabulary = Vocabulary(characters, words, pairs, before.n_owners + counted.runs.n_rows)
    return replace(model, vocabulary=vocabulary, weights=_moved(model, [places for _, places in merged], vocabulary))


def _vocabulary(blocks: Sequence[Terms], n_owners: int) -> Vocabulary:
    characters, words, pairs = blocks
    return Vocabulary(characters, words, pairs, n_owners)


def with_labels(model: StaticModel, columns: dict[str, slice]) -> StaticModel:
    """Return the model with room for more labels: `columns` of each target, the labels that are there first.

    The new ones have weights of 0.
    """
    total = max((place.stop for place in columns.values()), default=0)
    source, goal = _same_labels(model, columns)
    network = model.network

    def wide(array: Floats) -> Floats:
        made = np.zeros((*array.shape[:-1], total), dtype=np.float32)
        made[..., goal] = array[..., source]
        return made

    network = replace(network, heads=wide(network.heads), head_bias=wide(network.head_bias))
    return replace(model, weights=wide(model.weights), network=network, columns=dict(columns))


def _same_labels(model: StaticModel, columns: dict[str, slice]) -> tuple[Ints, Ints]:
    """Where each label stands before and afterwards."""
    source, goal = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    for name, place in model.columns.items():
        count = place.stop - place.start
        source.append(np.arange(place.start, place.stop))
        goal.append(np.arange(columns[name].start, columns[name].start + count))
    return np.concatenate(source), np.concatenate(goal)


def _unknown(tally: Tally, terms: Terms) -> Tally:
    """The n-grams that are neither a term nor a single yet."""
    new = ~(find(terms.hashes, tally.hashes)[1] | find(terms.single_hashes, tally.hashes)[1])
    return Tally(tally.hashes[new], tally.frequency[new], tally.group[new], tally.count[new])


def _merged(old: Terms, new: Terms) -> tuple[Terms, Ints]:
    """Return the terms of both, and where the old ones stand among them."""
    hashes = np.concatenate([old.hashes, new.hashes])
    order = np.argsort(hashes, kind="stable")
    idf = np.concatenate([old.idf, np.full(len(new), old.unknown, dtype=np.float32)])
    places = np.flatnonzero(order < len(old))
    return replace(old, hashes=hashes[order], idf=idf[order]), places


def _with_singles(terms: Terms, new: Terms, n_owners: int) -> Terms:
    """The terms with the singles of new inputs, whose private columns stand behind the old ones."""
    hashes = np.concatenate([terms.single_hashes, new.single_hashes])
    order = np.argsort(hashes, kind="stable")
    owners = np.concatenate([terms.single_owners, new.single_owners + np.int32(n_owners)])
    shares = np.concatenate([terms.single_shares, new.single_shares])
    return replace(
        terms,
        single_hashes=hashes[order],
        single_owners=owners[order].astype(np.int32),
        single_shares=shares[order].astype(np.float32),
    )


def _moved(model: StaticModel, places: Sequence[Ints], vocabulary: Vocabulary) -> Floats:
    """Return the weights in their new places, 0 for new columns; a block without terms has a column too."""
    before, at, parts = model.vocabulary, 0, []
    n_labels = model.weights.shape[1]
    for old, new, place in zip(before.blocks, vocabulary.blocks, places, strict=True):
        part = np.zeros((max(len(new), 1), n_labels), dtype=np.float32)
        part[place] = model.weights[at : at + len(old)]
        at += max(len(old), 1)
        parts.append(part)
    private = np.zeros((max(vocabulary.n_owners, 1), n_labels), dtype=np.float32)
    private[: before.n_owners] = model.weights[at : at + before.n_owners]
    at += max(before.n_owners, 1)
    return np.concatenate([*parts, private, model.weights[at:]])
